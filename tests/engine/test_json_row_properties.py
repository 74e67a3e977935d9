"""JSON uploads of any content: both readers agree, and neither crashes."""

from __future__ import annotations

import io
import json
import string
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.schemas import IDENTITY_MAP, SEGMENT_MEMBERSHIP, Field
from service.engine import json_rows
from service.engine.json_boundaries import Boundaries
from service.engine.json_rows import JsonReader
from service.engine.rows import FileRefused, Rows, together
from tests.engine.intake import (
    DAY,
    FLAG,
    LONG,
    NUMBER,
    TEXT,
    TIME,
    WHOLE,
    a_list,
    a_map,
    an_object,
    lines,
)

# Every kind of field, and values that fit it well, badly, or not at all.

FIELDS = (
    Field("text", TEXT),
    Field("flag", FLAG),
    Field("whole", WHOLE),
    Field("long", LONG),
    Field("number", NUMBER),
    Field("day", DAY),
    Field("time", TIME),
    an_object("o", Field("text", TEXT), an_object("p", Field("long", LONG))),
    a_list("list", Field("", LONG)),
    a_list("items", an_object("", Field("text", TEXT), Field("time", TIME))),
    a_map("map", NUMBER),
    IDENTITY_MAP,
    SEGMENT_MEMBERSHIP,
)


def _some_of(**fields: Any) -> Any:
    return st.fixed_dictionaries({}, optional=fields)


TEXTS = ["", " ", "0", "-0", "1.0", "1e3", "true", "False", "NaN", "Inf", "2004-09-25", "1979-1-3"]
TIMES = ["2022-11-22T05:24:26Z", "2022-11-22T05:24:26.1234567+01:00", "2022-11-22", "0000-01-01"]
texts = st.sampled_from(TEXTS + TIMES) | st.text(st.characters(codec="utf-8"), max_size=5)
numbers = st.one_of(
    st.integers(-3, 3),
    st.integers(-(2**64), 2**64),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 7.0, 2.0**53, 1669094666123]),
)
plain = st.one_of(st.none(), st.booleans(), numbers, texts)
keys = st.sampled_from(["ups", "b", "A", "ecid", "", "é"])
instants = st.datetimes().map(lambda time: time.isoformat() + "Z")
whole = st.integers(-9, 9)


def _rows(strange: Any) -> Any:
    """Rows that are as they should be, but for what ``strange`` may put in the place of a value."""
    membership = _some_of(
        lastQualificationTime=instants | strange,
        timestamp=instants | strange,
        status=texts | strange,
        version=st.none() | strange,
        payload=texts | strange,
    )
    identity = _some_of(
        id=texts | strange,
        primary=st.booleans() | strange,
        authenticatedState=texts | strange,
        xid=texts | strange,
    )
    return _some_of(
        text=texts | strange,
        flag=st.booleans() | strange,
        whole=whole | strange,
        long=st.integers(-(2**63), 2**63 - 1) | strange,
        number=st.floats(allow_nan=False, allow_infinity=False) | strange,
        day=st.dates().map(str) | strange,
        time=instants | strange,
        o=_some_of(text=texts | strange, p=_some_of(long=whole | strange, odd=whole | strange))
        | strange,
        list=st.lists(st.none() | whole | strange, max_size=3) | strange,
        items=st.lists(_some_of(text=texts | strange, time=instants), max_size=2) | strange,
        map=st.dictionaries(keys, st.none() | whole | strange, max_size=3) | strange,
        identityMap=st.dictionaries(keys, st.none() | st.lists(identity, max_size=2), max_size=3)
        | strange,
        segmentMembership=st.dictionaries(
            keys, st.dictionaries(keys, membership, max_size=2), max_size=2
        )
        | strange,
        unknown=whole | strange,
    )


clean_rows = _rows(st.none())
odd_rows = _rows(plain)


def _read(content: bytes, block_bytes: int, *, singly: bool = False) -> Rows:
    reader = JsonReader(FIELDS)
    blocks = list(Boundaries(io.BytesIO(content), block_bytes).blocks())
    return together(
        reader._row_by_row(block, np.arange(len(block))) if singly else reader.rows(block)
        for block in blocks
    )


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(clean_rows, min_size=1, max_size=6) | st.lists(odd_rows, min_size=1, max_size=6),
    st.integers(20, 400),
    st.booleans(),
)
def test_reading_columns_and_reading_rows_give_the_same(
    written: list[Any],
    block_bytes: int,
    is_array: bool,  # noqa: FBT001
) -> None:
    content = json.dumps(written, indent=1).encode() if is_array else lines(*written)
    singly = _read(content, 1 << 20, singly=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_rows, "PART_BYTES", block_bytes // 4)
        patch.setattr(json_rows, "FEW_ROWS", 1)
        in_parts = _read(content, 1 << 20)
    for found in (_read(content, 1 << 20), _read(content, block_bytes), in_parts):
        assert found.table.combine_chunks().equals(singly.table.combine_chunks())
        assert found.numbers.tolist() == singly.numbers.tolist()
        assert found.flaws == singly.flaws
        if not found.flaws:  # a row is not read further than to its first flaw
            assert found.ignored == singly.ignored


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(clean_rows, min_size=1, max_size=6))
def test_clean_rows_are_read_as_columns(written: list[Any]) -> None:
    (block,) = Boundaries(io.BytesIO(lines(*written)), 1 << 20).blocks()
    columns = JsonReader(FIELDS)._columns(block, np.arange(len(block)), unexpected="infer")
    assert isinstance(columns, json_rows._Columns)


def test_what_a_file_does_throughout_is_read_as_columns() -> None:
    """Once the first block has taught it: numbers in texts, texts in numbers, times in millis."""
    row = {"text": 12, "long": "7", "whole": 7.0, "time": 1669094666123, "flag": "true"}
    row["identityMap"] = {"crm": [{"id": 5}]}
    reader = JsonReader(FIELDS)
    (block,) = Boundaries(io.BytesIO(lines(*[row] * 50)), 1 << 20).blocks()
    first = reader.rows(block)
    assert not first.flaws
    columns = reader._columns(block, np.arange(len(block)), unexpected="error")
    assert isinstance(columns, json_rows._Columns)
    assert reader.rows(block).table.equals(first.table)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(string.printable.replace("\n", ""), max_size=6), max_size=8),
    st.integers(1, 60),
)
def test_anything_at_all_is_read_or_refused_but_never_crashes(
    parts: list[str], block_bytes: int
) -> None:
    content = "\n".join(parts).encode()
    try:
        whole = _read(content, 1 << 20)
        pieces = _read(content, block_bytes)
    except (FileRefused, ValueError):
        return
    assert pieces.flaws == whole.flaws
