"""Profiles and events as the objects that rules take them for."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from catalog.schemas import Field, Kind
from service.engine.arrow_types import Column, has_column
from service.engine.segments.rows import Fields, Rows
from service.engine.segments.spaces import Space
from service.engine.segments.values import Listing, Plain, Record, Value, value_of


def profiles_of(rows: Rows, fields: Fields, profiles: Space) -> Record:
    """Give the profiles, whose leaves are fetched when they are named."""
    return _record(fields.profile_fields, rows.profile, profiles, "")


def events_of(rows: Rows, fields: Fields, profiles: Space) -> Callable[[], Listing]:
    """Give what gives the events of every profile; where no rule asks, they are not counted."""

    def events() -> Listing:
        numbers = rows.event_profile
        within = Space(len(numbers), profiles, numbers)
        return Listing(profiles, within, _record(fields.event_fields, rows.event, within, ""))

    return events


def _record(
    fields: tuple[Field, ...], leaf: Callable[[str], Column], space: Space, above: str
) -> Record:
    named = {field.name: field for field in fields}

    def fetch(name: str) -> Value:
        field, path = named[name], above + name
        if field.kind is Kind.OBJECT:
            return _record(field.fields, leaf, space, f"{path}.")
        if not has_column(field):
            return Plain(space, pa.nulls(space.count))
        return value_of(leaf(path), space)

    return Record(space, tuple(named), fetch)
