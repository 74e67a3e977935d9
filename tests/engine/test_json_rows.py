"""JSON uploads: how rows lie in a file, and what their values mean."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from catalog.schemas import IDENTITY_MAP, SEGMENT_MEMBERSHIP, Field
from service.engine import json_boundaries, json_rows
from service.engine.json_boundaries import Boundaries
from service.engine.json_rows import JsonReader
from service.engine.rows import EMPTY_FILE, UNREADABLE_ROW, FileRefused, Rows, together
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
    lines,
)

X = Field("x", LONG)


@pytest.mark.parametrize(
    "content",
    [
        b'{"x":1}\n{"x":2}\n{"x":3}\n',
        b'{"x":1}\n{"x":2}\n{"x":3}',
        b'\xef\xbb\xbf{"x":1}\r\n\r\n  \n{"x":2}\r\n{"x":3}\r\n',
        b'[{"x":1},{"x":2},{"x":3}]',
        b'\xef\xbb\xbf \n[{"x":1},\n{"x":2},\n{"x":3}]\n\n',
        b'[\n  {\n    "x": 1\n  }, {"x": 2}, \n {"x"\n:3}\n]',
        b'{\n  "x": 1\n}\n{\n  "x": 2\n} {"x": 3}',
    ],
)
def test_rows_are_found_however_a_file_lays_them_out(intake: Intake, content: bytes) -> None:
    assert intake.accepted(content, X) == [{"x": 1}, {"x": 2}, {"x": 3}]


def test_a_file_may_be_one_object(intake: Intake) -> None:
    assert intake.accepted(b'{"x": 1}', X) == [{"x": 1}]
    assert intake.accepted(b'{\n"x": 1\n}\n', X) == [{"x": 1}]


def test_an_array_may_be_empty(intake: Intake) -> None:
    assert intake.accepted(b" [ ]\n", X) == []


@pytest.mark.parametrize("content", [b"", b" \n\n", b"\xef\xbb\xbf"])
def test_a_file_without_anything_in_it_is_refused(intake: Intake, content: bytes) -> None:
    assert intake.refusal(content, X) == (0, EMPTY_FILE, "the file is empty")


@pytest.mark.parametrize(
    ("content", "row", "message"),
    [
        (b'[{"x":1},{"x":2}', 2, "the array is cut off: it is never closed"),
        (b'[{"x":1},{"x":"a', 2, "the array is cut off: it is never closed"),
        (b'[{"x":1}] {"x":2}', 2, "something follows the end of the array"),
        (b'{\n"x":1\n}\n{\n"x":', 2, "the last row is not closed: the file is cut off"),
    ],
)
def test_a_file_that_is_cut_off_is_refused(
    intake: Intake, content: bytes, row: int, message: str
) -> None:
    assert intake.refusal(content, X) == (row, UNREADABLE_ROW, message)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b'{"x":1', "the row is not JSON: Expecting ',' delimiter"),
        (b'{"x":1}{"x":2}', "the row is not JSON: Extra data"),
        (b"{'x':1}", "the row is not JSON: Expecting property name enclosed in double quotes"),
        (b"[1]", "the row is a list where an object is expected"),
        (b"null", "the row is null where an object is expected"),
        (b'{"x":1,"t":"\xff"}', "the row is not UTF-8"),
        (b'{"x":%s}' % (b"9" * 5000), "x: a number where a whole number of 64 bits is expected"),
        (b'{"u":' + b"[" * 300 + b"]" * 300 + b"}", "the row nests deeper than 200 levels"),
        (b'"' + b"[" * 300 + b'"', "the row is a text where an object is expected"),
        (b'{"u":' * 100_000 + b"1" + b"}" * 100_000, "the row nests deeper than 200 levels"),
        (b'{"x":1}\0', "the row is not JSON: Extra data"),
        (
            b'\xef\xbb\xbf{"x":1}',
            "the row is not JSON: Unexpected UTF-8 BOM (decode using utf-8-sig)",
        ),
    ],
)
def test_a_row_that_is_no_object_is_refused_alone(intake: Intake, row: bytes, message: str) -> None:
    promoted = intake.promote(b'{"x":0}\n' + row + b'\n{"x":2}\n', X)
    assert [(error.row, error.message) for error in promoted.errors] == [(2, message)]
    assert (promoted.input_row_count, promoted.failed_row_count) == (3, 1)


def test_an_element_that_is_missing_beside_an_odd_one_is_refused(intake: Intake) -> None:
    promoted = intake.promote(b'[{"x":1},, {"x":2}, {"x":"y"}]', X)
    assert [error.row for error in promoted.errors] == [2, 4]
    assert (promoted.input_row_count, promoted.failed_row_count) == (4, 2)


def test_an_element_that_is_missing_is_refused(intake: Intake) -> None:
    assert intake.refusal(b'[{"x":1},,{"x":2}]', X)[0] == 2
    assert intake.refusal(b'[{"x":1},]', X)[0] == 2
    assert intake.refusal(b'[{"x":1}{"x":2}]', X)[0] == 1


CONVERSIONS: list[tuple[Any, str, Any]] = [
    (TEXT, '"a"', "a"),
    (TEXT, '"\\ud83d\\ude00\\u0000"', "\U0001f600\0"),
    (TEXT, "12", "12"),
    (TEXT, "-0", "0"),
    (TEXT, "1.50", "1.5"),
    (TEXT, "1e22", "1e+22"),
    (TEXT, "true", "true"),
    (TEXT, '""', ""),
    (FLAG, "false", False),
    (FLAG, '"True"', True),
    (WHOLE, '"0"', 0),
    (WHOLE, "2147483647", 2**31 - 1),
    (WHOLE, "7.0", 7),
    (WHOLE, '"1e3"', 1000),
    (LONG, "-9223372036854775808", -(2**63)),
    (LONG, '"007"', 7),
    (NUMBER, "1", 1.0),
    (NUMBER, '"0.5"', 0.5),
    (NUMBER, '"+.5e-1"', 0.05),
    (NUMBER, "1e-400", 0.0),
    (DAY, '"2004-02-29"', date(2004, 2, 29)),
    (DAY, '"0001-01-01"', date(1, 1, 1)),
    (DAY, '"1979-1-3"', date(1979, 1, 3)),
    (TIME, '"2022-11-22T05:24:26Z"', datetime(2022, 11, 22, 5, 24, 26, tzinfo=UTC)),
    (TIME, '"2022-11-22t05:24:26.5+01:00"', datetime(2022, 11, 22, 4, 24, 26, 500000, UTC)),
    (TIME, '"2022-11-22 05:24:26-0130"', datetime(2022, 11, 22, 6, 54, 26, tzinfo=UTC)),
    (TIME, '"2022-11-22T05:24:26.1234567891Z"', datetime(2022, 11, 22, 5, 24, 26, 123456, UTC)),
    (TIME, '"2022-11-22T05:24"', datetime(2022, 11, 22, 5, 24, tzinfo=UTC)),
    (TIME, '"2022-11-22"', datetime(2022, 11, 22, tzinfo=UTC)),
    (TIME, '"9999-12-31T23:59:59.999999Z"', datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)),
    (TIME, "1669094666123", datetime(2022, 11, 22, 5, 24, 26, 123000, UTC)),
    (TIME, "-1", datetime(1969, 12, 31, 23, 59, 59, 999000, UTC)),
]


@pytest.mark.parametrize(("kind", "written", "meant"), CONVERSIONS)
def test_a_value_that_is_exactly_one_of_its_kind_is_taken(
    intake: Intake, kind: Any, written: str, meant: Any
) -> None:
    content = f'{{"x": {written}}}\n'.encode() * 3
    assert intake.accepted(content, Field("x", kind)) == [{"x": meant}] * 3


@pytest.mark.parametrize(
    ("kind", "written", "message"),
    [
        (TEXT, "[]", "x: a list where a text is expected"),
        (TEXT, "{}", "x: an object where a text is expected"),
        (TEXT, '"\\ud800"', "x: a text that is not Unicode"),
        (TEXT, "NaN", "x: a number where a text is expected"),
        (FLAG, "1", "x: a number where true or false is expected"),
        (FLAG, '"yes"', "x: a text where true or false is expected"),
        (WHOLE, "2147483648", "x: a number where a whole number of 32 bits is expected"),
        (WHOLE, "1.5", "x: a number where a whole number of 32 bits is expected"),
        (LONG, "9223372036854775808", "x: a number where a whole number of 64 bits is expected"),
        (LONG, "1e18", "x: a number where a whole number of 64 bits is expected"),
        (LONG, '"0x1F"', "x: a text where a whole number of 64 bits is expected"),
        (LONG, "true", "x: a boolean where a whole number of 64 bits is expected"),
        (NUMBER, "NaN", "x: a number where a finite number is expected"),
        (NUMBER, "-Infinity", "x: a number where a finite number is expected"),
        (NUMBER, "1e400", "x: a number where a finite number is expected"),
        (NUMBER, '"nan"', "x: a text where a finite number is expected"),
        (DAY, '"2004-02-30"', "x: a text where a day such as 2004-09-25 is expected"),
        (DAY, '"2004-09-25T00:00:00Z"', "x: a text where a day such as 2004-09-25 is expected"),
        (TIME, '"0000-01-01T00:00:00Z"', "x: a text where an instant such as "),
        (TIME, '"0001-01-01T00:00:00+01:00"', "x: a text where an instant such as "),
        (TIME, '"2022-11-22T24:00:00Z"', "x: a text where an instant such as "),
        (TIME, '"yesterday"', "x: a text where an instant such as "),
        (TIME, "253402300800000", "x: a number where an instant such as "),
    ],
)
def test_a_value_that_is_not_is_refused_by_field_type_and_expectation(
    intake: Intake, kind: Any, written: str, message: str
) -> None:
    row, code, found = intake.refusal(f'{{}}\n{{"x": {written}}}\n'.encode(), Field("x", kind))
    assert (row, code) == (2, UNREADABLE_ROW)
    assert found.startswith(message)


def test_the_path_of_a_refused_value_leads_through_lists(intake: Intake) -> None:
    items = a_list("items", an_object("", Field("count", WHOLE)))
    content = lines({"shop": {"items": [{"count": 1}, {"count": "many"}]}})
    message = "shop.items.count: a text where a whole number of 32 bits is expected"
    assert intake.refusal(content, an_object("shop", items))[2] == message


def test_a_null_is_an_absent_key_everywhere(intake: Intake) -> None:
    fields = (
        an_object("o", Field("a", TEXT), Field("b", LONG)),
        a_list("l", Field("", LONG)),
        a_map("m", TEXT),
        IDENTITY_MAP,
    )
    row = {
        "o": {"a": None, "b": 1},
        "l": [None, 1, None],
        "m": {"k": None, "j": "v"},
        "identityMap": {"ECID": None, "crm": [None, {"id": None}, {"id": "1", "primary": None}]},
    }
    expected = {"o": {"b": 1}, "l": [1], "m": {"j": "v"}, "identityMap": {"crm": [{"id": "1"}]}}
    assert intake.accepted(lines(row, {"o": None}), *fields) == [expected, {}]


def test_fields_the_schema_lacks_are_left_out_and_named(intake: Intake) -> None:
    fields = (an_object("o", X), a_list("l", an_object("", X)), IDENTITY_MAP)
    row = {
        "y": 1,
        "o": {"x": 1, "z": {"deep": 1}},
        "l": [{"x": 1, "w": 1}],
        "identityMap": {"crm": [{"id": "1", "xid": "?"}]},
        "nothing": None,
    }
    promoted = intake.promote(lines(row), *fields)
    assert promoted.ignored_fields == ("identityMap.xid", "l.w", "o.z", "y")
    assert intake.rows(promoted)[0]["o"] == {"x": 1}


def test_a_number_of_any_length_may_stand_where_nobody_reads_it(intake: Intake) -> None:
    assert intake.accepted(b'{"u":%s,"x":1}\n' % (b"9" * 5000), X) == [{"x": 1}]


def test_of_a_key_given_twice_the_last_stands(intake: Intake) -> None:
    content = b'{"x":1,"x":2}\n{"o":{"x":1,"x":3}}\n{"m":{"k":1,"k":4}}\n'
    rows = intake.accepted(content, X, an_object("o", X), a_map("m", LONG))
    assert rows == [{"x": 2}, {"o": {"x": 3}}, {"m": {"k": 4}}]


def test_identities_that_are_blank_are_ignored_and_numbers_are_texts(intake: Intake) -> None:
    row = {
        "identityMap": {"a": [{"id": 7}, {"id": " "}], "b": [{"id": ""}], "c": [], "": [{"id": 1}]}
    }
    assert intake.accepted(lines(row), IDENTITY_MAP) == [{"identityMap": {"a": [{"id": "7"}]}}]


def test_an_identity_of_more_than_1024_characters_is_refused(intake: Intake) -> None:
    content = lines(*({"identityMap": {"a": [{"id": "é" * n}]}} for n in (1024, 1025)))
    message = "identityMap: an identity of more than 1,024 characters"
    assert intake.refusal(content, IDENTITY_MAP) == (2, UNREADABLE_ROW, message)


def test_memberships_have_a_time_by_either_name_and_a_status(intake: Intake) -> None:
    time = "2022-11-22T05:24:26Z"
    row = {
        "ups": {
            "s1": {"timestamp": time, "version": 3},
            "s2": {"lastQualificationTime": time, "status": "exited"},
        }
    }
    (found,) = intake.accepted(lines({"segmentMembership": row}), SEGMENT_MEMBERSHIP)
    instant = datetime(2022, 11, 22, 5, 24, 26, tzinfo=UTC)
    assert found["segmentMembership"]["ups"] == {
        "s1": {"lastQualificationTime": instant, "status": "realized", "version": "3"},
        "s2": {"lastQualificationTime": instant, "status": "exited"},
    }


def test_keys_of_maps_are_sorted_and_may_be_many(intake: Intake) -> None:
    rows = [{"m": {f"k{(n * 7919 + i) % 5000:04}": i for i in range(9)}} for n in range(500)]
    table = intake.table(intake.promote(lines(*rows), a_map("m", LONG)))
    for row, found in zip(rows, table.column("m").to_pylist(), strict=True):
        assert found == sorted(row["m"].items())


@pytest.mark.parametrize(
    "row",
    [
        lambda n: {"x": n, "m": {f"k{n}_{i}": i for i in range(5)}},
        lambda n: {"x": n, "identityMap": {f"n{n}": [{"id": n}]}},
        lambda n: {"x": n, f"unknown{n}": 1},
        lambda n: {"x": n, "o": {f"unknown{n}_{i}": {"deep": i} for i in range(40)}},
    ],
)
def test_keys_that_never_come_twice_cost_no_more_than_time(intake: Intake, row: Any) -> None:
    fields = (X, a_map("m", LONG), IDENTITY_MAP, an_object("o", X))
    promoted = intake.promote(lines(*map(row, range(5000))), *fields)
    assert [found["x"] for found in intake.rows(promoted)] == list(range(5000))


def test_a_text_of_ten_megabytes_is_a_value_like_any_other(intake: Intake) -> None:
    text = "x" * 10_000_000
    rows = [{"t": text}, {"t": "y"}]
    assert intake.accepted(lines(*rows), Field("t", TEXT)) == rows
    assert intake.accepted(json.dumps(rows).encode(), Field("t", TEXT)) == rows


def test_a_row_without_an_end_in_sight_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_boundaries, "ROW_BYTES", 1 << 20)
    for content in (b'[{"x":"' + b"y" * (4 << 20), b'{"x":"' + b"y" * (4 << 20)):
        with pytest.raises(FileRefused, match="a row is longer than 1 MiB, or never ends"):
            list(Boundaries(io.BytesIO(content), 1 << 16).blocks())


def test_a_few_odd_rows_do_not_spoil_a_block(intake: Intake) -> None:
    rows: list[Any] = [{"x": n, "t": "some text to make rows longer" * 9} for n in range(3000)]
    rows[700]["x"] = "700"
    rows[2100] = {"x": 2100.0}
    found = intake.accepted(lines(*rows), X, Field("t", TEXT))
    assert [row["x"] for row in found] == list(range(3000))


@pytest.mark.parametrize(
    ("odd", "most"),
    [(b'{"t": 5}', 2), (b'{"t": "a" "b"}', 2), (b'{"x": 2.5}', 2 * json_rows.FEW_ROWS)],
)
def test_of_a_part_with_odd_rows_only_these_are_read_singly(
    monkeypatch: pytest.MonkeyPatch, odd: bytes, most: int
) -> None:
    """Where Arrow does not name them, a few of their neighbours are, too."""
    rows = [b'{"x": 1, "t": "some text"}'] * 2000
    rows[700] = rows[1400] = odd
    sizes = []
    singly = JsonReader._row_by_row

    def counted(self: JsonReader, block: Any, positions: Any) -> Rows:
        sizes.append(len(positions))
        return singly(self, block, positions)

    monkeypatch.setattr(JsonReader, "_row_by_row", counted)
    reader = JsonReader((X, Field("t", TEXT)))
    blocks = Boundaries(io.BytesIO(b"\n".join(rows)), 1 << 20).blocks()
    found = together(reader.rows(block) for block in blocks)
    assert sum(sizes) <= most
    assert found.numbers.tolist() == [
        n for n in range(1, 2001) if n not in {flaw.row for flaw in found.flaws}
    ]
