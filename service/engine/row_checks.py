"""Checks rows against what their schema demands beyond types: that required fields are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import numpy as np
import pyarrow as pa

from catalog.schemas import Field, Kind
from service.engine.arrow_types import Column, element_of, has_column
from service.engine.fitting import below
from service.engine.nesting import Misfit, Opened, opened, opened_map, valid, whole

#: What an event must have, whatever its schema requires.
EVENT_TIME = "timestamp"


def missing(table: pa.Table, fields: Iterable[Field], *, is_event: bool) -> list[Misfit]:
    """Find the rows that lack a required field.

    A field below an object is missed only where the object is there; one below the elements of
    a list or a map in every element. An object counts as there when it is written, even empty.
    """
    found: list[Misfit] = []
    for field in fields:
        if not has_column(field):
            continue
        column = whole(table.column(field.name))
        if field.is_required or (is_event and field.name == EVENT_TIME):
            found += _nulls(column, np.ones(len(column), bool), field.name)
        found += _below(column, field, field.name)
    return found


def _below(column: Column, field: Field, path: str) -> Iterator[Misfit]:
    if not _requires(field):
        return
    if field.kind is Kind.OBJECT:
        yield from _in_object(column, field, path)
    elif field.kind is Kind.ARRAY:
        lists = opened(column)
        yield from _in_children(lists, lists.children, field, path)
    elif field.kind is Kind.MAP:
        maps = opened_map(column)
        yield from _in_children(maps, maps.children.flatten()[1], field, path)


def _requires(field: Field) -> bool:
    """Tell whether anything below the field is required: most schemas require little."""
    inner = [*field.fields, *([field.element] if field.element else [])]
    return any(each.is_required or _requires(each) for each in inner)


def _in_object(column: Any, field: Field, path: str) -> Iterator[Misfit]:
    present = valid(column)
    inner = [child for child in field.fields if has_column(child)]
    for child, values in zip(inner, cast("pa.StructArray", column).flatten(), strict=True):
        deeper = below(path, child.name)
        if child.is_required:
            yield from _nulls(values, present, deeper)
        yield from _below(values, child, deeper)


def _in_children(lists: Opened, children: Any, field: Field, path: str) -> Iterator[Misfit]:
    for positions, message in _below(children, element_of(field), path):
        yield Misfit(lists.parents[positions], message)


def _nulls(column: Column, present: Any, path: str) -> list[Misfit]:
    rows = np.flatnonzero(present & ~valid(column))
    return [Misfit(rows, f"{path}: the required field is missing")] if len(rows) else []
