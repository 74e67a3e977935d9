"""Profiles with events, drawn at random or written by hand, as the engine is given them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from catalog.schemas import Field, Kind
from service.engine.arrow_types import arrow_type
from tests.engine.segments.oracle.values import Object
from tests.pql.made_schemas import (
    DATES,
    DOUBLES,
    INSTANTS,
    NAMESPACES,
    SEGMENTS,
    TEXTS,
    WHOLES,
)

Fields = tuple[Field, ...]
Person = tuple[dict, list[dict]]

_VALUES = {
    Kind.STRING: TEXTS,
    Kind.BOOLEAN: [True, False],
    Kind.INTEGER: [each for each in WHOLES if abs(each) < 2**31],
    Kind.LONG: WHOLES,
    Kind.DOUBLE: DOUBLES,
    Kind.DATE: DATES,
    Kind.TIMESTAMP: INSTANTS,
}
_STATES = ["ambiguous", "authenticated"]


@dataclass(frozen=True)
class Slice:
    """Profiles with their events, oldest first."""

    people: list[Person]
    profile_fields: Fields
    event_fields: Fields
    #: Whether texts come as dictionaries.
    has_words: bool = False

    @property
    def count(self) -> int:
        return len(self.people)

    @property
    def event_profile(self) -> np.ndarray:
        return np.repeat(np.arange(self.count), [len(events) for _, events in self.people])

    def profile(self, path: str) -> pa.Array:
        return self._leaf(self.profile_fields, path, (profile for profile, _ in self.people))

    def event(self, path: str) -> pa.Array:
        rows = (event for _, events in self.people for event in events)
        return self._leaf(self.event_fields, path, rows)

    def _leaf(self, fields: Fields, path: str, rows: Iterable[dict]) -> pa.Array:
        field = Field("", Kind.OBJECT, fields=fields)
        values: list[Any] = list(rows)
        for name in path.split("."):
            field = next(each for each in field.fields if each.name == name)
            values = [None if each is None else each.get(name) for each in values]
        column = pa.array([_as_arrow(each) for each in values], arrow_type(field))
        if self.has_words and field.kind is Kind.STRING:
            return column.dictionary_encode()
        return column


def _as_arrow(value: Any) -> Any:
    match value:
        case Object():
            return {name: _as_arrow(each) for name, each in value.items()}
        case dict():
            return [(key, _as_arrow(each)) for key, each in value.items()]
        case list():
            return [_as_arrow(each) for each in value]
        case _:
            return value


def values(field: Field) -> st.SearchStrategy:
    """Draw what a field may hold, often nothing."""
    return st.one_of(st.none(), _something(field), _something(field))


def objects(fields: Fields) -> st.SearchStrategy[Object]:
    return st.builds(
        lambda drawn: Object(zip((field.name for field in fields), drawn, strict=True)),
        st.tuples(*map(values, fields)),
    )


def _something(field: Field) -> st.SearchStrategy:
    match field.kind:
        case Kind.OBJECT:
            return objects(field.fields)
        case Kind.ARRAY:
            return st.lists(values(field.element), max_size=3)
        case Kind.MAP:
            return st.dictionaries(st.sampled_from(["a", "b"]), values(field.element))
        case Kind.IDENTITY_MAP:
            identity = st.builds(
                lambda *drawn: Object(zip(("id", "authenticatedState", "primary"), drawn)),  # noqa: B905
                st.sampled_from(TEXTS),
                st.sampled_from(_STATES),
                st.booleans(),
            )
            return st.dictionaries(
                st.sampled_from(NAMESPACES), st.lists(identity, min_size=1, max_size=2)
            )
        case Kind.SEGMENT_MEMBERSHIP:
            membership = st.builds(
                lambda *drawn: Object(zip(("lastQualificationTime", "status"), drawn)),  # noqa: B905
                st.none() | st.sampled_from(INSTANTS),
                st.sampled_from(["realized", "exited"]),
            )
            segments = st.dictionaries(st.sampled_from(SEGMENTS), membership, min_size=1)
            return st.dictionaries(st.sampled_from(["ups", "other"]), segments)
        case _:
            return st.sampled_from(_VALUES[field.kind])


def slices(profile_fields: Fields, event_fields: Fields) -> st.SearchStrategy[Slice]:
    person = st.tuples(objects(profile_fields), st.lists(objects(event_fields), max_size=5))
    return st.builds(
        Slice,
        st.lists(person, max_size=4),
        st.just(profile_fields),
        st.just(event_fields),
        st.booleans(),
    )
