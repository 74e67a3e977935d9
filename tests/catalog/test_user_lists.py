"""Names of user lists and of their files, and how they lead back."""

from datetime import UTC, datetime

import hypothesis.strategies as st
import pytest
from hypothesis import given

from catalog.errors import InvalidField
from catalog.user_lists import (
    FILE_NAME_BYTES,
    Charset,
    ListFormat,
    ListKind,
    charset_of,
    created_at_of,
    file_name_of,
    list_name,
)

MADE = datetime(2022, 5, 24, 1, 36, 58, 534160, tzinfo=UTC)


def test_a_list_is_named_as_the_documents_do():
    assert list_name(ListKind.SEGMENT, MADE, 1000) == "DES-202205240136-5818534160000"


@given(
    st.datetimes(timezones=st.just(UTC)).filter(lambda made_at: made_at.year > 1000),
    st.integers(1, 10**9),
)
def test_a_path_leads_back_to_the_instant_of_its_list(made_at, id):
    name = list_name(ListKind.TAG, made_at, id)
    assert created_at_of(f"/jobs/results/{name}/any.csv") == made_at


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "/jobs/results/",
        "/jobs/results/../../x",
        "/jobs/results/DES-202213400136-1/x.csv",
        "/jobs/results/DES-202205240136-99999999999999/x.csv",
        "jobs/results/DES-202205240136-5818534160000/x.csv",
        "/jobs/results/DES-202205240136-1/x.csv",
    ],
)
def test_other_paths_lead_nowhere(path):
    assert created_at_of(path) is None


def test_a_file_is_named_by_its_title_and_the_day():
    name = file_name_of(None, title="高价值/用户", made_at=MADE, format=ListFormat.CSV)
    assert name == "高价值用户_2022-05-24_UserList.csv"


@given(st.text())
def test_no_title_makes_a_file_name_that_is_too_long_or_a_path(title):
    name = file_name_of(None, title=title, made_at=MADE, format=ListFormat.JSON)
    assert len(name.encode()) <= FILE_NAME_BYTES
    assert "/" not in name
    assert name.endswith("_2022-05-24_UserList.json")


def test_a_suffix_is_not_doubled():
    named = {"title": "", "made_at": MADE, "format": ListFormat.CSV}
    assert file_name_of("文件a", **named) == file_name_of("文件a.csv", **named) == "文件a.csv"


@pytest.mark.parametrize("asked", ["a/b", "..", "a\nb", "x" * 300, "\\x", " "])
def test_file_names_that_no_file_has_are_refused(asked):
    with pytest.raises(InvalidField, match="exportFileName"):
        file_name_of(asked, title="", made_at=MADE, format=ListFormat.CSV)


@pytest.mark.parametrize(
    ("asked", "charset"),
    [
        (None, Charset.UTF_8),
        ("", Charset.UTF_8),
        ("utf-8", Charset.UTF_8),
        ("utf_8_sig", Charset.UTF_8_MARKED),
        ("UTF-16LE", Charset.UTF_16LE),
        ("gbk", Charset.GBK),
        ("GB18030", Charset.GB18030),
    ],
)
def test_charsets_are_taken_in_any_case(asked, charset):
    assert charset_of(asked) is charset


def test_an_unknown_charset_is_refused_with_those_that_are_known():
    with pytest.raises(InvalidField, match="GB18030"):
        charset_of("latin-1")
