"""Numbers as texts, on whole columns."""

import json
import math

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.engine.cells import json_values, numerals

KINDS = {
    pa.int8(): st.integers(-(1 << 7), (1 << 7) - 1),
    pa.int32(): st.integers(-(1 << 31), (1 << 31) - 1),
    pa.int64(): st.integers(-(1 << 63), (1 << 63) - 1),
    pa.uint64(): st.integers(0, (1 << 64) - 1),
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
}
#: A column, where a part of it begins, and how many values that has.
PARTS = st.sampled_from(list(KINDS)).flatmap(
    lambda type: st.tuples(
        st.lists(st.none() | KINDS[type], max_size=40).map(lambda values: pa.array(values, type)),
        st.integers(0, 40),
        st.integers(0, 40),
    )
)


def is_same(one, other):
    """Compare numbers to the bit, but for what is no number."""
    if one is None or other is None:
        return one is other
    if isinstance(one, float):
        return math.isnan(one) == math.isnan(other) and str(one) == str(other)
    return one == other


@given(PARTS)
@example((pa.array([1e16, -0.0, 5e-324, 1.7976931348623157e308, 0.1, 1.0], pa.float64()), 0, 40))
@example((pa.array([math.nan, None, math.inf, -math.inf, 0.5], pa.float64()), 1, 40))
def test_every_number_is_spelled_such_that_it_is_read_as_the_same(part):
    column = part[0].slice(*part[1:])
    texts = numerals(column)
    assert len(texts) == len(column)
    assert all(map(is_same, texts.cast(column.type).to_pylist(), column.to_pylist()))


@given(PARTS)
def test_every_number_in_json_is_one_of_json_or_null(part):
    column = part[0].slice(*part[1:])
    texts = json_values(column).to_pylist()
    expected = [
        value if value is not None and math.isfinite(value) else None
        for value in column.to_pylist()
    ]
    read = [json.loads(text, parse_constant=pytest.fail) for text in texts]
    if column.type == pa.float32():
        read = pa.array(read, pa.float32()).to_pylist()
    assert all(map(is_same, read, expected))


def test_what_lies_under_a_null_is_not_spelled():
    under = pa.array([1.0, math.nan, 3.0])
    column = pa.Array.from_buffers(
        pa.float64(), 3, [pa.py_buffer(bytes([0b101])), under.buffers()[1]]
    )
    assert numerals(column).to_pylist() == ["1.0", None, "3.0"]
