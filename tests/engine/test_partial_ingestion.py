"""Partial ingestion: which rows are set aside, what is told of them, and what the others become."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.schemas import IDENTITY_MAP, Field
from catalog.store_files import StoreFileKind
from service.engine import row_errors
from service.engine.orders import IdentityRules, Promoted, Reason
from service.engine.rows import EMPTY_FILE, MISSING_FIELD, UNREADABLE_ROW
from tests.engine.intake import LONG, Intake, lines
from tests.engine.promoted import BY_CRM, CRM

FIELDS = (CRM, Field("count", LONG), IDENTITY_MAP)
NO_IDENTITY = "no primary identity: the row names none"


def told(intake: Intake, promoted: Promoted, path: str) -> list[dict[str, Any]]:
    (file,) = (file for file in promoted.meta_files if file.path == path)
    content = intake.files.read(file.key, 0, file.size_bytes)
    return [json.loads(line) for line in content.splitlines()]


def ecid(value: str) -> dict[str, Any]:
    return {"ECID": [{"id": value, "primary": True}]}


@pytest.mark.parametrize(("percentage", "is_refused"), [(24.9, True), (25, False), (100, False)])
def test_at_most_the_share_that_was_asked_for_is_set_aside(
    intake: Intake, *, percentage: float, is_refused: bool
) -> None:
    rows = [{"count": 1}, {"count": "many"}, {"count": 3}, {"count": 4}]
    promoted = intake.promote(lines(*rows), *FIELDS, tolerated_percentage=percentage)
    assert promoted.is_refused is is_refused
    assert (promoted.input_row_count, promoted.failed_row_count) == (4, 1)
    (error,) = promoted.errors
    assert (error.path, error.row, error.code) == ("upload", 2, UNREADABLE_ROW)
    if is_refused:
        assert (promoted.dataset_files, promoted.output_row_count) == ((), 0)
    else:
        assert [row["count"] for row in intake.rows(promoted)] == [1, 3, 4]
        assert promoted.output_row_count == 3


def test_a_batch_may_lose_all_of_its_rows_when_that_was_asked_for(intake: Intake) -> None:
    promoted = intake.promote(lines({}, {}), *FIELDS, **BY_CRM, tolerated_percentage=100)
    assert not promoted.is_refused
    assert [file.row_count for file in promoted.dataset_files] == [0]
    assert [file.row_count for file in promoted.store_files] == [0, 0, 0]
    assert promoted.reasons == (Reason(code=MISSING_FIELD, message=NO_IDENTITY, row_count=2),)


@pytest.mark.parametrize("rest", [b'[{"count": 1}, {"count": 2}', b"[1, 2] and more"])
def test_a_file_that_cannot_be_read_to_its_end_fails_the_batch_whatever_its_share(
    intake: Intake, rest: bytes
) -> None:
    sent = {"a": lines({"count": 1}), "b": rest}
    assert intake.promote(sent, *FIELDS, tolerated_percentage=100).is_refused


def test_an_empty_file_counts_as_one_row_that_is_set_aside(intake: Intake) -> None:
    sent = {"a": lines({"count": 1}), "b": b""}
    promoted = intake.promote(sent, *FIELDS, tolerated_percentage=50)
    assert [row["count"] for row in intake.rows(promoted)] == [1]
    assert [(error.path, error.row, error.code) for error in promoted.errors] == [
        ("b", 0, EMPTY_FILE)
    ]


def test_reasons_are_counted_beyond_the_rows_that_are_named(intake: Intake) -> None:
    rows = [{"count": []}] * 150 + [{"count": {}}] * 20
    promoted = intake.promote(lines(*rows), *FIELDS, tolerated_percentage=100)
    assert len(promoted.errors) == 100
    assert [reason.row_count for reason in promoted.reasons] == [150, 20]


def test_what_is_set_aside_is_told_with_its_reason_and_as_it_was_sent(intake: Intake) -> None:
    content = b'{"crm": "1", "count": "many"}\n{"crm": oops}\n{"crm": "3"}\n{"count": NaN}\n'
    promoted = intake.promote(
        {"day=1/a.json": content, "b": b""},
        *FIELDS,
        **BY_CRM,
        tolerated_percentage=90,
        with_diagnostics=True,
    )
    assert [file.path for file in promoted.meta_files] == [
        "row_errors/part-00000.json",
        "row_errors_sample.json",
        "input_files/fileMetaData1.json",
    ]
    found = told(intake, promoted, "row_errors/part-00000.json")
    assert found == told(intake, promoted, "row_errors_sample.json")
    empty, *others = found
    assert empty["_filename"] == "b"
    assert [(each["_filename"], each["_row"]) for each in others] == [
        ("day=1/a.json", 1),
        ("day=1/a.json", 2),
        ("day=1/a.json", 4),
    ]
    assert others[0]["crm"] == "1"
    assert others[0]["count"] == "many"
    assert others[0]["_errors"] == [
        {
            "code": UNREADABLE_ROW,
            "message": "count: a text where a whole number of 64 bits is expected",
        }
    ]
    assert [each.get("_corrupt_record") for each in others] == [
        None,
        '{"crm": oops}',
        '{"count": NaN}',
    ]
    assert told(intake, promoted, "input_files/fileMetaData1.json") == [
        {"path": "day=1/a.json", "sizeInBytes": len(content)},
        {"path": "b", "sizeInBytes": 0},
    ]


def test_a_batch_that_fails_tells_of_its_rows_too(intake: Intake) -> None:
    promoted = intake.promote(lines({"count": []}, {"count": {}}), *FIELDS, with_diagnostics=True)
    assert promoted.is_refused
    assert [row["count"] for row in told(intake, promoted, "row_errors/part-00000.json")] == [
        [],
        {},
    ]


def test_nothing_is_told_unless_it_was_asked_for(intake: Intake) -> None:
    promoted = intake.promote(lines({"count": []}), *FIELDS, tolerated_percentage=100)
    assert promoted.meta_files == ()


def test_rows_of_csv_and_parquet_are_told_by_their_columns(intake: Intake) -> None:
    told_about = {"tolerated_percentage": 100, "with_diagnostics": True}
    content = b'crm,count\n1,many\n"=HYPERLINK(1)",2,3\n3,3\n'
    promoted = intake.promote(content, *FIELDS, format="csv", **told_about)
    short, wide = told(intake, promoted, "row_errors/part-00000.json")
    assert (short["crm"], short["count"]) == ("1", "many")
    assert wide["_corrupt_record"] == '"=HYPERLINK(1)",2,3'
    assert [row["crm"] for row in intake.rows(promoted)] == ["3"]

    table = pa.table({"crm": [b"\xff", b"2"], "count": [float("nan"), 2.0]})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    promoted = intake.promote(sink.getvalue(), *FIELDS, format="parquet", **told_about)
    (row,) = told(intake, promoted, "row_errors/part-00000.json")
    assert (row["crm"], row["count"]) == ("\ufffd", "nan")


def test_long_rows_are_told_by_their_beginning_and_files_of_them_are_cut(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_errors, "LINE_BYTES", 200)
    monkeypatch.setattr(row_errors, "FILE_BYTES", 500)
    monkeypatch.setattr(row_errors, "MOST_BYTES", 1000)
    monkeypatch.setattr(row_errors, "SAMPLE_ROWS", 1)
    sent = {str(n): lines({"count": [], "crm": "x" * 1000}) for n in range(10)}
    promoted = intake.promote(sent, *FIELDS, with_diagnostics=True)
    paths = [file.path for file in promoted.meta_files]
    assert paths[:2] == ["row_errors/part-00000.json", "row_errors/part-00001.json"]
    (row,) = told(intake, promoted, "row_errors_sample.json")
    assert row["_corrupt_record"].startswith('{"count": [], "crm": "xxx')
    assert len(row["_corrupt_record"]) == 200
    assert promoted.failed_row_count == 10


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(rows=st.lists(st.sampled_from(["good", "unreadable", "unfit", "nobody"]), max_size=30))
def test_rows_that_are_set_aside_change_nothing_for_the_others(
    intake: Intake, rows: list[str]
) -> None:
    written = {
        "unreadable": b"{nope\n",
        "unfit": lines({"crm": "x", "count": "y"}),
        "nobody": lines({"count": 5}),
    }
    good = [n for n, kind in enumerate(rows, start=1) if kind == "good"]
    content = b"".join(
        lines({"crm": str(n % 3), "count": n}) if kind == "good" else written[kind]
        for n, kind in enumerate(rows, start=1)
    )
    content = content or b"[]"
    promoted = intake.promote(content, *FIELDS, **BY_CRM, tolerated_percentage=100)
    assert [row["count"] for row in intake.rows(promoted)] == good
    stored = intake.stored(promoted, StoreFileKind.RECORDS)
    # A later row replaces the earlier one, and rows keep the numbers they have in the batch.
    last = {n % 3: n for n in good}
    assert sorted(row["count"] for row in stored) == sorted(last.values())
    assert all(row["_seq"] + 1 == row["count"] for row in stored)
    assert promoted.failed_row_count == len(rows) - len(good)


# Identities


def test_rows_with_an_ecid_that_is_none_stay_out_of_profiles_and_are_counted(
    intake: Intake,
) -> None:
    rules = IdentityRules(ecid_digits=38)
    rows = [
        {"crm": "1", "identityMap": ecid("1" * 38)},
        {"crm": "2", "identityMap": ecid("1" * 37)},
        {"crm": "3", "identityMap": {"ecid": [{"id": "x" * 38}]}},
        {"crm": "4"},
    ]
    promoted = intake.promote(
        lines(*rows), *FIELDS, **BY_CRM, identity_rules=rules, with_diagnostics=True
    )
    assert not promoted.is_refused
    assert [row["crm"] for row in intake.rows(promoted)] == ["1", "2", "3", "4"]
    stored = {row["crm"] for row in intake.stored(promoted, StoreFileKind.RECORDS)}
    assert stored == {"1", "4"}
    assert (promoted.failed_row_count, promoted.skipped_row_count) == (0, 2)
    assert [row.row for row in promoted.skipped] == [2, 3]
    assert [row["crm"] for row in told(intake, promoted, "row_errors/part-00000.json")] == [
        "2",
        "3",
    ]


def test_any_ecid_is_taken_unless_it_must_have_a_form(intake: Intake) -> None:
    promoted = intake.promote(lines({"identityMap": ecid("1")}), *FIELDS, for_profile=True)
    assert promoted.skipped_row_count == 0
    assert len(intake.stored(promoted, StoreFileKind.RECORDS)) == 1


def test_a_row_with_too_many_identities_is_refused(intake: Intake) -> None:
    def row(count: int) -> dict[str, Any]:
        return {"identityMap": {"crm": [{"id": str(n), "primary": n == 0} for n in range(count)]}}

    rules = IdentityRules(most_per_row=20)
    sent = lines(row(20), row(21))
    refusal = intake.refusal(sent, *FIELDS, for_profile=True, identity_rules=rules)
    assert refusal == (2, MISSING_FIELD, "more than 20 identities in one row")


def test_namespaces_may_be_named_by_their_numbers(intake: Intake) -> None:
    rules = IdentityRules(codes={"4": "ECID", "6": "Email"})
    sent = lines({"identityMap": {"4": [{"id": "7", "primary": True}], "6": [{"id": "a@b"}]}})
    promoted = intake.promote(sent, *FIELDS, for_profile=True, identity_rules=rules)
    assert promoted.namespaces == ("ECID", "Email")
    found = intake.stored(promoted, StoreFileKind.IDENTITIES)
    assert {(row["namespace"], row["value"]) for row in found} == {("ecid", "7"), ("email", "a@b")}
