"""Promotion: the data set files of a batch, its refused rows, and that nothing changes either."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.schemas import IDENTITY_MAP, SEGMENT_MEMBERSHIP, Field
from service.engine import dataset_files, json_rows
from service.engine.arrow_types import arrow_schema
from service.engine.rows import MISSING_FIELD
from tests.engine.intake import DAY, LONG, TEXT, Intake, a_list, an_object, lines
from tests.engine.promoted import (
    BY_CRM,
    EVENT,
    EVENTS,
    IDENTITIES,
    LINKS,
    NAME,
    NOON,
    RECORD,
    RECORDS,
    named,
)


def test_rows_are_kept_in_the_order_of_paths_and_lines(intake: Intake) -> None:
    uploads = {"b": lines({"name": "3"}), "a/2": lines({"name": "2"}), "B": lines({"name": "1"})}
    assert [row["name"] for row in intake.accepted(uploads, NAME)] == ["1", "2", "3"]


def test_files_have_the_whole_schema_nested_and_maps_as_maps(intake: Intake) -> None:
    fields = (an_object("o", Field("x", LONG)), IDENTITY_MAP, SEGMENT_MEMBERSHIP, Field("d", DAY))
    promoted = intake.promote(lines({"d": "2004-09-25"}), *fields)
    assert intake.table(promoted).schema.equals(arrow_schema(fields))


def test_a_batch_without_rows_or_files_has_one_file_with_the_schema(intake: Intake) -> None:
    for uploads in ({}, {"a": b"[]"}):
        promoted = intake.promote(uploads, *RECORD, **BY_CRM)
        (file,) = promoted.dataset_files
        assert file.row_count == 0
        assert intake.table(promoted).schema.equals(arrow_schema(RECORD))
        assert [file.row_count for file in promoted.store_files] == [0, 0, 0]


def test_what_is_said_of_a_file_is_true(intake: Intake) -> None:
    promoted = intake.promote(lines({"crm": "1"}, {"crm": "2"}), *RECORD, **BY_CRM)
    files = [*promoted.dataset_files, *promoted.store_files]
    assert [file.row_count for file in files] == [2, 2, 2, 0]
    for file in files:
        content = intake.files.read(file.key, 0, file.size_bytes + 1)
        assert len(content) == file.size_bytes
        assert hashlib.sha256(content).hexdigest() == file.sha256


def test_row_groups_and_files_are_cut_by_rows(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset_files, "GROUP_ROWS", 100)
    monkeypatch.setattr(dataset_files, "FILE_ROWS", 200)
    promoted = intake.promote(lines(*({"name": str(n)} for n in range(450))), NAME)
    assert [file.key.rpartition("/")[2] for file in promoted.dataset_files] == [
        "dataset-00001.parquet",
        "dataset-00002.parquet",
        "dataset-00003.parquet",
    ]
    opened = [pq.ParquetFile(intake.files.open(file.key)) for file in promoted.dataset_files]
    groups = [
        [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] for file in opened
    ]
    assert groups == [[100, 100], [100, 100], [50]]
    assert [row["name"] for row in intake.rows(promoted)] == [str(n) for n in range(450)]


def test_large_rows_make_smaller_row_groups_and_files(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", 1)
    monkeypatch.setattr(dataset_files, "GROUP_BYTES", 1000)
    monkeypatch.setattr(dataset_files, "FILE_BYTES", 1)
    uploads = {str(n): lines({"name": f"{n}" * 600}) for n in range(6)}
    promoted = intake.promote(uploads, NAME)
    assert [file.row_count for file in promoted.dataset_files] == [2, 2, 2]


def test_one_refused_row_fails_the_batch_and_the_others_are_only_counted(intake: Intake) -> None:
    rows = [{"crm": str(n)} if n % 2 else {"crm": []} for n in range(300)]
    promoted = intake.promote({"a": lines(*rows), "b": b""}, *RECORD, **BY_CRM)
    assert (promoted.dataset_files, promoted.store_files) == ((), ())
    assert len(promoted.errors) == 100
    assert promoted.errors[0].row == 1
    counts = (promoted.input_row_count, promoted.output_row_count, promoted.failed_row_count)
    assert counts == (301, 0, 151)


def test_a_required_field_must_be_there_where_its_object_is(intake: Intake) -> None:
    needed = an_object("o", an_object("p", Field("x", LONG, is_required=True), Field("y", LONG)))
    items = a_list("l", an_object("", Field("x", LONG, is_required=True)))
    rows = [{}, {"o": {}}, {"o": {"p": {"x": 1}}}, {"l": [{"x": 1}]}]
    assert len(intake.accepted(lines(*rows), needed, items)) == 4
    for row, path in (({"o": {"p": {"x": None}}}, "o.p.x"), ({"l": [{"x": 1}, {}]}, "l.x")):
        message = f"{path}: the required field is missing"
        assert intake.refusal(lines({}, row), needed, items) == (2, MISSING_FIELD, message)


def test_a_required_field_of_the_root_must_be_there(intake: Intake) -> None:
    name = Field("name", TEXT, is_required=True)
    assert intake.refusal(lines({"name": "a"}, {}), name)[:2] == (2, MISSING_FIELD)
    assert intake.accepted(lines({"name": ""}), name) == [{"name": ""}]


def test_an_event_needs_a_time_but_no_id(intake: Intake) -> None:
    content = lines({"crm": "1", "timestamp": NOON}, {"crm": "1", "_id": "x"})
    message = "timestamp: the required field is missing"
    assert intake.refusal(content, *EVENT, **EVENTS) == (2, MISSING_FIELD, message)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.booleans()), max_size=40),
    st.integers(30, 3000),
    st.integers(1, 3),
)
def test_blocks_and_threads_change_no_row(
    intake: Intake, drawn: list[Any], block_bytes: int, threads: int
) -> None:
    rows = [{"crm": str(n), "name": str(m), **named(f"x:{m}")} for n, m, _ in drawn]
    rows = [
        row if keep else {**row, "name": []} for row, (*_, keep) in zip(rows, drawn, strict=True)
    ]
    uploads = {"a": lines(*rows), "b": json.dumps(rows).encode()}
    whole = intake.promote(uploads, *RECORD, **BY_CRM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_rows, "BLOCK_BYTES", block_bytes)
        cut = intake.promote(uploads, *RECORD, **BY_CRM, threads=threads)
    assert cut.errors == whole.errors
    assert (cut.input_row_count, cut.failed_row_count) == (
        whole.input_row_count,
        whole.failed_row_count,
    )
    assert cut.namespaces == whole.namespaces
    if not whole.errors:
        assert intake.rows(cut) == intake.rows(whole)
        for kind in (RECORDS, IDENTITIES, LINKS):
            assert intake.stored(cut, kind) == intake.stored(whole, kind)


def test_two_runs_give_the_same_bytes(intake: Intake) -> None:
    rows = [{"crm": str(n % 700), "name": str(n), **named(f"e:{n}")} for n in range(2000)]
    first, second = (intake.promote(lines(*rows), *RECORD, **BY_CRM, threads=n) for n in (1, 3))
    for one, other in zip(
        (*first.dataset_files, *first.store_files),
        (*second.dataset_files, *second.store_files),
        strict=True,
    ):
        assert one.sha256 == other.sha256


def test_nothing_is_left_in_scratch(intake: Intake, tmp_path: Path) -> None:
    intake.promote(lines({"crm": "1"}), *RECORD, **BY_CRM)
    intake.promote(lines({"crm": []}), *RECORD, **BY_CRM)
    assert [path for path in tmp_path.rglob("*") if path.name.startswith(".")] == []


def test_progress_is_told_as_the_work_gets_on(intake: Intake) -> None:
    content = {"a": lines({"crm": "1"}), "b": lines({"crm": "2"})}
    intake.promote(content, *RECORD, **BY_CRM)
    phases = {report.phase: (report.done, report.total) for report in intake.reports}
    size = sum(len(upload) for upload in content.values())
    assert phases["reading"] == (size, size)
    done, total = phases["sorting"]
    assert 0 < done <= total
