"""Local files that become a data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.batches import FileFormat
from catalog.errors import Invalid
from catalog.schemas import IdentityDescriptor
from service.cli.sources import find_files, identity, with_a_primary


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"x": 1}\n')


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.json", FileFormat.JSON),
        ("a.JSONL", FileFormat.JSON),
        ("a.ndjson", FileFormat.JSON),
        ("a.csv", FileFormat.CSV),
        ("a.parquet", FileFormat.PARQUET),
    ],
)
def test_a_file_is_what_its_name_says(tmp_path, name, format):
    write(tmp_path, name)
    assert find_files(tmp_path / name).format is format


def test_a_folder_is_all_its_files_by_their_paths(tmp_path):
    write(tmp_path, "b.json", "day=1/a.jsonl", "notes.txt", "_SUCCESS", ".git/x.json")
    files = find_files(tmp_path)
    assert [files.upload_name(path) for path in files.paths] == ["b.json", "day=1/a.jsonl"]
    assert [path.name for path in files.skipped] == ["notes.txt"]


def test_rows_come_in_the_order_in_which_the_service_numbers_them(tmp_path):
    for name, value in (("b.json", 2), ("a/z.json", 1), ("é.json", 3)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f'{{"x": {value}}}')
    assert [row["x"] for row in find_files(tmp_path).rows()] == [1, 2, 3]


def test_formats_are_not_mixed_in_a_batch(tmp_path):
    write(tmp_path, "a.json", "b.csv")
    with pytest.raises(Invalid, match="csv and json files: a batch has one format"):
        find_files(tmp_path)


def test_a_name_that_does_not_tell_needs_a_format(tmp_path):
    write(tmp_path, "a.txt")
    with pytest.raises(Invalid, match=r"a\.txt: its name does not end in"):
        find_files(tmp_path / "a.txt")
    assert find_files(tmp_path / "a.txt", FileFormat.JSON).format is FileFormat.JSON


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(Invalid, match="no file in it ends in"):
        find_files(tmp_path)


def test_an_identity_is_a_field_and_a_namespace():
    assert identity("person.crmId=lumaCrmId:primary") == IdentityDescriptor(
        path=("person", "crmId"), namespace="lumaCrmId", is_primary=True
    )


@pytest.mark.parametrize("text", ["", "crmId", "crmId=", "=crm", "crmId=crm:first"])
def test_what_is_no_identity_is_refused(text):
    with pytest.raises(Invalid, match="is not FIELD=NAMESPACE"):
        identity(text)


def test_the_first_identity_is_primary_unless_another_is_said_to_be():
    unmarked = (identity("a=A"), identity("b=B"))
    assert [each.is_primary for each in with_a_primary(unmarked)] == [True, False]
    marked = (identity("a=A"), identity("b=B:primary"))
    assert with_a_primary(marked) == marked
    with pytest.raises(Invalid, match="only one"):
        with_a_primary((identity("a=A:primary"), identity("b=B:primary")))
