"""Texts as values: whole columns and single texts are read by one grammar."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.schemas import Kind
from service.engine import text_values
from service.engine.text_values import read_texts

SINGLE = {
    Kind.BOOLEAN: (text_values.boolean, pa.bool_()),
    Kind.INTEGER: (text_values.integer, pa.int32()),
    Kind.LONG: (text_values.long, pa.int64()),
    Kind.DOUBLE: (text_values.double, pa.float64()),
    Kind.DATE: (text_values.day, pa.date32()),
    Kind.TIMESTAMP: (text_values.instant, pa.timestamp("us", "UTC")),
}

two = st.from_regex(r"[0-9]{1,2}", fullmatch=True)
days = st.builds("{}-{}-{}".format, st.from_regex(r"[0-9]{4}", fullmatch=True), two, two)
#: Mostly right, and wrong in the places where it is easy to be.
instants = st.from_regex(
    r"[012][0-9]{3}-[01][0-9]-[0-3][0-9]"
    r"([Tt ][0-2][0-9]:[0-6][0-9](:[0-6][0-9](\.[0-9]{0,9})?)?([Zz]|[+-][0-2][0-9]:?[0-9]{0,2})?)?",
    fullmatch=True,
)
numbers = st.from_regex(r"[+-]?[0-9]{0,20}(\.[0-9]{0,3})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
texts = {
    Kind.BOOLEAN: st.sampled_from(["true", "false", "True", "FALSE", "yes", "1", " true"]),
    Kind.INTEGER: numbers,
    Kind.LONG: numbers,
    Kind.DOUBLE: numbers,
    Kind.DATE: days,
    Kind.TIMESTAMP: instants,
}


@pytest.mark.parametrize("kind", SINGLE)
@given(data=st.data())
def test_a_column_is_read_as_its_texts_are(kind: Kind, data: Any) -> None:
    single, type = SINGLE[kind]
    values = data.draw(st.lists(st.none() | texts[kind] | st.text(max_size=3), max_size=6))
    expected = [None if value is None else single(value) for value in values]
    assert read_texts(pa.array(values, pa.string()), kind).equals(pa.array(expected, type))


@pytest.mark.parametrize("kind", SINGLE)
@given(data=st.data())
def test_a_column_of_one_form_is_read_as_its_texts_are(kind: Kind, data: Any) -> None:
    """Right texts alone take the short way, by whole columns."""
    single, type = SINGLE[kind]
    right = texts[kind].filter(lambda text: single(text) is not None)
    values = data.draw(st.lists(right, min_size=1, max_size=3))
    expected = pa.array([single(value) for value in values], type)
    assert read_texts(pa.array(values, pa.string()), kind).equals(expected)
