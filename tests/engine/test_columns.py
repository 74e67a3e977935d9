import numpy as np
import pyarrow as pa
import pytest

from service.engine import columns
from service.engine.columns import Stack, nested, pick, roomy, widened
from tests.engine.builders import an_object, text

NESTED = pa.list_(pa.struct([("a", pa.string()), ("m", pa.map_(pa.string(), pa.int32()))]))


def test_a_column_that_some_tables_lack_is_null_in_their_rows():
    stack = Stack([pa.table({"a": [1, 2]}), pa.table({"b": [3]}), pa.table({"a": [4], "b": [5]})])
    assert stack.holders("a") == (0, 2)
    assert stack.values("a", pa.int64(), np.array([3, 2, 1, -1])).to_pylist() == [4, None, 2, None]
    assert stack.values("c", pa.int64(), np.array([0])).to_pylist() == [None]


@pytest.mark.parametrize(
    ("value", "narrow", "wide"),
    [
        (7, pa.int32(), pa.int64()),
        (7, pa.int32(), pa.float64()),
        ([7, None], pa.list_(pa.int32()), pa.list_(pa.int64())),
        ([("k", 7)], pa.map_(pa.string(), pa.int32()), pa.map_(pa.string(), pa.float64())),
        ({"a": 7}, pa.struct([("a", pa.int32())]), pa.struct([("a", pa.int64())])),
    ],
)
def test_values_widen_at_any_depth_and_nulls_stay_null(value, narrow, wide):
    column = pa.array([None, value, None, value], narrow)
    assert widened(column, wide).to_pylist() == [None, value, None, value]
    assert widened(column.slice(1, 2), wide).to_pylist() == [value, None]
    assert widened(column, wide).type == wide


def test_a_struct_that_lacks_a_field_gets_it_as_null():
    column = pa.array([{"a": 1}], pa.struct([("a", pa.int32())]))
    wide = pa.struct([("b", pa.string()), ("a", pa.int64())])
    assert widened(column, wide).to_pylist() == [{"b": None, "a": 1}]


def test_a_value_that_would_change_is_refused():
    with pytest.raises(pa.ArrowInvalid):
        widened(pa.array([2**40]), pa.int32())


def test_columns_too_big_for_32_bit_offsets_are_picked_with_64_bit_ones(monkeypatch):
    monkeypatch.setattr(columns, "ROOMY_FROM_BYTES", 10)
    values = [[{"a": "x", "m": [("k", n)]}] for n in range(5)]
    column = pa.chunked_array([pa.array(values[:2], NESTED), pa.array(values[2:], NESTED)])
    picked = pick(column, np.array([4, -1, 0]))
    assert picked.type == roomy(NESTED) != NESTED
    narrow = widened(picked.slice(1), NESTED)
    assert narrow.type == NESTED
    assert narrow.to_pylist() == [None, values[0]]


def test_an_object_is_null_where_all_beneath_it_is():
    field = an_object("person", an_object("name", text("first")), text("title"))
    leaves = {"person.name.first": pa.array(["Ann", None, None], pa.string())}
    leaves["person.title"] = pa.array([None, "Dr", None], pa.string())
    assert nested(field, leaves).to_pylist() == [
        {"name": {"first": "Ann"}, "title": None},
        {"name": None, "title": "Dr"},
        None,
    ]
