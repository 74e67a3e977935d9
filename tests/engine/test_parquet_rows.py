"""Parquet uploads: columns matched by name, whatever wrote them."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog.schemas import IDENTITY_MAP, SEGMENT_MEMBERSHIP, Field
from service.engine import parquet_rows
from service.engine.parquet_rows import ParquetReader
from service.engine.rows import EMPTY_FILE, UNREADABLE_ROW, together
from tests.engine.intake import (
    DAY,
    FLAG,
    LONG,
    NUMBER,
    TEXT,
    TIME,
    WHOLE,
    Intake,
    a_list,
    a_map,
    an_object,
)

NOON = datetime(2022, 11, 22, 12, tzinfo=UTC)
NAIVE = datetime(2022, 11, 22, 12)  # noqa: DTZ001 - what most writers write


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def column(values: Any, type: pa.DataType) -> pa.Table:
    return pa.table({"x": pa.array(values, type)})


@pytest.mark.parametrize(
    ("kind", "values", "type", "meant"),
    [
        (TEXT, ["a", None], pa.string(), "a"),
        (TEXT, ["a", None], pa.large_string(), "a"),
        (TEXT, ["a", None], pa.dictionary(pa.int8(), pa.string()), "a"),
        (TEXT, [b"a", None], pa.binary(), "a"),
        (TEXT, [7, None], pa.int16(), "7"),
        (TEXT, [0.5, None], pa.float64(), "0.5"),
        (TEXT, [True, None], pa.bool_(), "true"),
        (FLAG, [True, None], pa.bool_(), True),
        (WHOLE, [7, None], pa.uint64(), 7),
        (WHOLE, [7.0, None], pa.float32(), 7),
        (LONG, [Decimal("7.00"), None], pa.decimal128(9, 2), 7),
        (LONG, ["7", None], pa.string(), 7),
        (NUMBER, [0.5, None], pa.float32(), 0.5),
        (NUMBER, [7, None], pa.int64(), 7.0),
        (NUMBER, [Decimal("7.25"), None], pa.decimal128(9, 2), 7.25),
        (DAY, [date(2004, 9, 25), None], pa.date32(), date(2004, 9, 25)),
        (DAY, [date(2004, 9, 25), None], pa.date64(), date(2004, 9, 25)),
        (TIME, [NOON, None], pa.timestamp("ns", "Europe/Berlin"), NOON),
        (TIME, [NOON, None], pa.timestamp("ms", "UTC"), NOON),
        (TIME, [NAIVE, None], pa.timestamp("us"), NOON),
        (TIME, [NAIVE, None], pa.timestamp("s"), NOON),
        (TIME, [1669118400000, None], pa.int64(), NOON),
        (TIME, [date(2022, 11, 22), None], pa.date32(), NOON.replace(hour=0)),
    ],
)
def test_a_value_that_loses_nothing_is_taken(
    intake: Intake, kind: Any, values: Any, type: pa.DataType, meant: Any
) -> None:
    content = parquet(column(values, type))
    found = intake.accepted(content, Field("x", kind), format="parquet")
    assert found == [{"x": meant}, {}]


def test_times_of_96_bits_are_read_and_cut_to_microseconds(intake: Intake) -> None:
    table = column([1_669_118_400_000_000_999], pa.timestamp("ns"))
    content = parquet(table, use_deprecated_int96_timestamps=True)
    assert intake.accepted(content, Field("x", TIME), format="parquet") == [{"x": NOON}]


@pytest.mark.parametrize(
    ("kind", "value", "type"),
    [
        (WHOLE, 1 << 31, pa.int64()),
        (LONG, 1 << 63, pa.uint64()),
        (LONG, 1.5, pa.float64()),
        (LONG, Decimal("7.25"), pa.decimal128(9, 2)),
        (LONG, True, pa.bool_()),
        (NUMBER, float("inf"), pa.float64()),
        (NUMBER, float("nan"), pa.float32()),
        (FLAG, 1, pa.int32()),
        (TEXT, NOON, pa.timestamp("us")),
        (TEXT, float("nan"), pa.float64()),
        (DAY, NOON, pa.timestamp("us")),
        (TIME, 253402300800, pa.timestamp("s")),
        (TIME, "later", pa.string()),
        (NUMBER, [1.0], pa.list_(pa.float64())),
    ],
)
def test_a_value_that_would_is_refused_alone(
    intake: Intake, kind: Any, value: Any, type: pa.DataType
) -> None:
    content = parquet(column([None, value], type))
    row, code, message = intake.refusal(content, Field("x", kind), format="parquet")
    assert (row, code) == (2, UNREADABLE_ROW)
    assert message.startswith("x: ")
    assert " is expected" in message


def test_bytes_that_are_no_text_are_refused(intake: Intake) -> None:
    content = parquet(column([b"a", b"\xff"], pa.binary()))
    message = "x: a text that is not Unicode"
    assert intake.refusal(content, Field("x", TEXT), format="parquet") == (
        2,
        UNREADABLE_ROW,
        message,
    )


def test_columns_are_matched_by_name_at_every_depth(intake: Intake) -> None:
    fields = (
        an_object("o", Field("a", TEXT), Field("b", LONG)),
        a_list("l", an_object("", Field("a", TEXT))),
        a_map("m", LONG),
    )
    rows = [
        {"l": [{"z": 1, "a": "x"}, None], "m": [("k", 2), ("j", 1)], "o": {"b": 1, "z": 2}, "z": 3}
    ]
    type = pa.struct(
        [
            ("l", pa.large_list(pa.struct([("z", pa.int64()), ("a", pa.string())]))),
            ("m", pa.map_(pa.string(), pa.int32())),
            ("o", pa.struct([("b", pa.int64()), ("z", pa.int64())])),
            ("z", pa.int64()),
        ]
    )  # fmt: skip
    promoted = intake.promote(
        parquet(pa.Table.from_struct_array(pa.array(rows, type))), *fields, format="parquet"
    )
    assert promoted.ignored_fields == ("l.z", "o.z", "z")
    assert intake.rows(promoted) == [{"o": {"b": 1}, "l": [{"a": "x"}], "m": {"j": 1, "k": 2}}]


IDENTITY = pa.struct([("id", pa.string()), ("primary", pa.bool_())])


def test_identities_may_be_a_map_or_a_struct_of_namespaces(intake: Intake) -> None:
    as_map = pa.array(
        [[("crm", [{"id": "1", "primary": True}]), ("ECID", [])], None],
        pa.map_(pa.string(), pa.list_(IDENTITY)),
    )
    as_struct = pa.array(
        [{"crm": [{"id": "1", "primary": True}], "ECID": None}, None],
        pa.struct([("crm", pa.list_(IDENTITY)), ("ECID", pa.list_(IDENTITY))]),
    )
    expected = [{"identityMap": {"crm": [{"id": "1", "primary": True}]}}, {}]
    for written in (as_map, as_struct):
        content = parquet(pa.table({"identityMap": written}))
        assert intake.accepted(content, IDENTITY_MAP, format="parquet") == expected


def test_an_exported_membership_is_read_back(intake: Intake) -> None:
    membership = {"lastQualificationTime": NOON, "status": "exited"}
    first = intake.promote(
        b'{"segmentMembership":{"ups":{"s":{"timestamp":"2022-11-22T12:00:00Z","status":"exited"}}}}',
        SEGMENT_MEMBERSHIP,
    )
    again = parquet(intake.table(first))
    assert intake.accepted(again, SEGMENT_MEMBERSHIP, format="parquet") == [
        {"segmentMembership": {"ups": {"s": membership}}}
    ]


@pytest.mark.parametrize(
    "content", [b"PAR1", b"not parquet at all", b"PAR1" + b"\0" * 99 + b"PAR1"]
)
def test_what_is_not_parquet_is_refused(intake: Intake, content: bytes) -> None:
    row, code, message = intake.refusal(content, Field("x", LONG), format="parquet")
    assert (row, code) == (0, UNREADABLE_ROW)
    assert message.startswith("not readable as Parquet: ")


def test_nothing_at_all_is_refused(intake: Intake) -> None:
    found = intake.refusal(b"", Field("x", LONG), format="parquet")
    assert found == (0, EMPTY_FILE, "the file is empty")


def test_a_file_that_is_cut_off_or_damaged_is_refused(intake: Intake) -> None:
    whole = parquet(column(list(range(10_000)), pa.int64()), write_page_checksum=True)
    damaged = bytearray(whole)
    damaged[200:2000] = bytes(1800)
    for content in (whole[:-1], whole[: len(whole) // 2], bytes(damaged)):
        assert intake.refusal(content, Field("x", LONG), format="parquet")[:2] == (
            0,
            UNREADABLE_ROW,
        )


def test_a_file_may_have_no_rows_or_none_of_the_columns(intake: Intake) -> None:
    empty = parquet(column([], pa.int64()))
    assert intake.accepted(empty, Field("x", LONG), format="parquet") == []
    strange = parquet(column([1, 2], pa.int64()))
    assert intake.accepted(strange, Field("y", LONG), format="parquet") == [{}, {}]


def test_row_groups_and_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"x": pa.array(range(1000)), "y": pa.array([str(n) * 9 for n in range(1000)])})
    reader = ParquetReader((Field("x", LONG), Field("y", TEXT)))
    for groups, block in ((1000, 1 << 20), (70, 500), (300, 1)):
        source = pa.BufferReader(parquet(table, row_group_size=groups))
        monkeypatch.setattr(parquet_rows, "BLOCK_BYTES", block)
        rows = together(step.work() for step in reader.work(source))
        assert rows.table.equals(table)
        assert rows.numbers.tolist() == list(range(1, 1001))
