"""Every type Parquet has, into every kind of field: as it was, or refused; never a crash."""

from __future__ import annotations

import io
import tempfile
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.schemas import Field, Kind
from tests.engine.intake import DAY, FLAG, LONG, NUMBER, TEXT, TIME, WHOLE, Intake, a_list

KINDS = [FLAG, WHOLE, LONG, NUMBER, TEXT, DAY, TIME]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def whole(bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    first = -(2 ** (bits - 1)) if signed else 0
    return st.integers(first, first + 2**bits - 1)


def decimals(digits: int, places: int) -> st.SearchStrategy[Decimal]:
    most = 10 ** (digits - places) - 1
    return st.decimals(-most, most, places=places, allow_nan=False, allow_infinity=False)


#: What fits nanoseconds. Hypothesis takes no zone here.
SPAN = (datetime(1700, 1, 1), datetime(2200, 1, 1))  # noqa: DTZ001
instants = st.datetimes(*SPAN)
zoned = st.datetimes(*SPAN, timezones=st.just(UTC))
texts = st.text(max_size=4)

#: Types with values they hold.
TYPES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.bool_(): st.booleans(),
    **{getattr(pa, f"int{bits}")(): whole(bits, signed=True) for bits in (8, 16, 32, 64)},
    **{getattr(pa, f"uint{bits}")(): whole(bits, signed=False) for bits in (8, 16, 32, 64)},
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats() | st.integers(-(2**60), 2**60).map(float),
    pa.decimal128(12, 2): decimals(12, 2),
    pa.decimal128(30, 0): decimals(30, 0),
    pa.decimal256(50, 3): decimals(50, 3),
    pa.date32(): st.dates(),
    pa.date64(): st.dates(),
    **{pa.timestamp(unit): instants for unit in ("ms", "us")},
    **{pa.timestamp(unit, tz="UTC"): zoned for unit in ("ms", "us")},
    pa.timestamp("us", tz="Asia/Kolkata"): zoned,
    pa.timestamp("ns", tz="UTC"): zoned,
    pa.string(): texts,
    pa.large_string(): texts,
    pa.binary(): st.binary(max_size=3),
    pa.large_binary(): texts.map(str.encode),
    pa.binary(2): st.binary(min_size=2, max_size=2),
    pa.dictionary(pa.int8(), pa.string()): texts,
}


def taken_as(value: Any, kind: Kind) -> Any:  # noqa: PLR0911  # a table of cases
    """What a field of a kind keeps of a value: just this value, or nothing."""
    match value:
        case bool():
            return {FLAG: value, TEXT: str(value).lower()}.get(kind)
        case date() if not isinstance(value, datetime):
            midnight = datetime(value.year, value.month, value.day, tzinfo=UTC)
            return {DAY: value, TIME: midnight, TEXT: str(value)}.get(kind)
        case datetime():
            return value.replace(tzinfo=value.tzinfo or UTC) if kind is TIME else None
        case bytes():
            try:
                return taken_as(value.decode(), kind)
            except UnicodeDecodeError:
                return None
        case str():
            return value if kind is TEXT else _read(value, kind)
    return _number(value, kind)


def _read(_text: str, _kind: Kind) -> Any:
    return ANYTHING  # how texts are read is told in tests of text_values


ANYTHING = object()


def _number(value: float | Decimal, kind: Kind) -> Any:  # noqa: PLR0911  # a table of cases
    if not isfinite(value):
        return None
    is_whole = value == int(value)
    match kind:
        case Kind.STRING:
            return ANYTHING if isinstance(value, Decimal) else str(value)
        case Kind.DOUBLE:
            return float(value)
        case Kind.INTEGER if is_whole and -(2**31) <= value < 2**31:
            return int(value)
        case Kind.LONG if is_whole and -(2**63) <= value < 2**63:
            return int(value)
        case Kind.TIMESTAMP if is_whole:
            try:
                return EPOCH + timedelta(milliseconds=int(value))
            except OverflowError:
                return None
    return None


def parquet(column: pa.Array) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"x": column}), sink)
    return sink.getvalue()


def promoted(field: Field, column: pa.Array) -> tuple[list[Any], set[int]]:
    """What is kept of a column's rows, in their order, and which rows were refused."""
    with tempfile.TemporaryDirectory() as folder:
        intake = Intake(Path(folder))
        done = intake.promote(parquet(column), field, format="parquet", tolerated_percentage=100)
        rows = intake.table(done).column("x").to_pylist() if done.dataset_files else []
        return rows, {error.row - 1 for error in done.errors}


@pytest.mark.parametrize("type", list(TYPES), ids=str)
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_a_value_is_kept_as_it_was_or_its_row_is_refused(type, data):
    kind = data.draw(st.sampled_from(KINDS))
    values = data.draw(st.lists(st.none() | TYPES[type], min_size=1, max_size=6))
    column = pa.array(values, type)
    rows, refused = promoted(Field("x", kind), column)
    given_ = column.to_pylist()
    assert len(rows) + len(refused) == len(given_)
    kept = [value for place, value in enumerate(given_) if place not in refused]
    for before, after in zip(kept, rows, strict=True):
        want = None if before is None else taken_as(before, kind)
        assert (after == want) if want is not ANYTHING else True, (before, after)
    for place in refused:
        assert taken_as(given_[place], kind) in {None, ANYTHING} or not _fits(given_[place])


def _fits(value: Any) -> bool:
    """A kind may hold fewer instants than Python does; none of ours lies beyond either."""
    return not isinstance(value, float | int | Decimal)


@pytest.mark.parametrize("type", list(TYPES), ids=str)
@settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_in_lists_maps_and_structs_in_lists_it_is_the_same(type, data):
    kind = data.draw(st.sampled_from(KINDS))
    values = data.draw(st.lists(TYPES[type], min_size=1, max_size=4))
    plain, refused = promoted(Field("x", kind), pa.array(values, type))
    element = Field("", kind)
    shapes = {
        a_list("x", element): ([values], pa.list_(type), lambda got: got),
        Field("x", Kind.MAP, element=element): (
            [[(str(n), value) for n, value in enumerate(values)]],
            pa.map_(pa.string(), type),
            lambda got: [value for _, value in got],
        ),
        a_list("x", Field("", Kind.OBJECT, fields=(Field("y", kind),))): (
            [[{"y": value} for value in values]],
            pa.list_(pa.struct([("y", type)])),
            lambda got: [one["y"] for one in got],
        ),
    }
    for field, (nested, nested_type, flat) in shapes.items():
        rows, gone = promoted(field, pa.array(nested, nested_type))
        if refused:
            assert (rows, gone) == ([], {0})
        else:
            (row,) = rows
            assert flat(row) == plain


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1.5, None], pa.float16()),
        pa.array([1], pa.time32("s")),
        pa.array([1], pa.time64("us")),
        pa.array([timedelta(seconds=1)], pa.duration("us")),
        pa.nulls(2),
    ],
    ids=lambda column: str(column.type),
)
@pytest.mark.parametrize("kind", [*KINDS, Kind.OBJECT])
def test_types_that_few_write_are_taken_or_refused_too(kind, column):
    inner = (Field("y", TEXT),) if kind is Kind.OBJECT else ()
    rows, refused = promoted(Field("x", kind, fields=inner), column)
    assert len(rows) + len(refused) == len(column)
    assert refused <= set(range(len(column)))
