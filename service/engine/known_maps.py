"""The two maps the service itself understands: identities by namespace, and memberships.

Both are read as the ordinary maps they are on the wire, then tidied here, so that every format
and every reader ends with the same rows.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.identities import IDENTITY_VALUE_LENGTH
from catalog.schemas import Field, Kind
from service.engine.arrow_types import MEMBERSHIP, Column
from service.engine.nesting import Marks, Misfit, Opened, opened, opened_map

#: What a membership without a status says.
DEFAULT_STATUS = "realized"


def _object(*fields: Field) -> Field:
    return Field("", Kind.OBJECT, fields=fields)


def _map(element: Field) -> Field:
    return Field("", Kind.MAP, element=element)


_IDENTITY = _object(
    Field("id", Kind.STRING),
    Field("authenticatedState", Kind.STRING),
    Field("primary", Kind.BOOLEAN),
)
_MEMBERSHIP = _object(
    Field("lastQualificationTime", Kind.TIMESTAMP),
    Field("status", Kind.STRING),
    Field("version", Kind.STRING),
    Field("validUntil", Kind.TIMESTAMP),
    # What older writers call lastQualificationTime; goes no further than this module.
    Field("timestamp", Kind.TIMESTAMP),
)
_SPELT_OUT = {
    Kind.IDENTITY_MAP: _map(Field("", Kind.ARRAY, element=_IDENTITY)),
    Kind.SEGMENT_MEMBERSHIP: _map(_map(_MEMBERSHIP)),
}


def spelt_out(field: Field) -> Field:
    """Give the ordinary map as which a known map is read; any other field as it is."""
    spelt = _SPELT_OUT.get(field.kind)
    if spelt is None:
        return field
    return Field(field.name, spelt.kind, field.is_required, element=spelt.element)


def tidy_identities(column: Column, path: str, misfits: list[Misfit]) -> Column:
    """Leave out identities and namespaces that are empty or blank; note values that are too long.

    What is left out says nothing of anybody, and some writers fill gaps with it.
    """
    maps = opened_map(column)
    codes, values = maps.children.flatten()
    lists = opened(values)
    ids = lists.children.flatten()[0]
    too_long = _marks(pc.greater(pc.utf8_length(ids), IDENTITY_VALUE_LENGTH))
    if too_long.any():
        rows = maps.parents[lists.parents[too_long]]
        message = f"{path}: an identity of more than {IDENTITY_VALUE_LENGTH:,} characters"
        misfits.append(Misfit(rows, message))
    named = _marks(_is_written(ids))
    filled = np.bincount(lists.parents[named], minlength=len(values)) > 0
    kept = filled & _marks(_is_written(codes))
    if named.all() and kept.all():
        return column
    lists = lists.kept(named)
    values = lists.as_lists(lists.children)
    entries = pa.StructArray.from_arrays([codes, values], names=["key", "value"])
    maps = Opened(maps.present, maps.parents, entries).kept(kept)
    return maps.as_maps(*maps.children.flatten())


def tidy_memberships(column: Column) -> Column:
    """Give every membership its time under one name, and a status."""
    namespaces = opened_map(column)
    codes, values = namespaces.children.flatten()
    segments = opened_map(values)
    ids, memberships = segments.children.flatten()
    qualified, status, version, valid_until, older = memberships.flatten()
    tidied = pa.StructArray.from_arrays(
        [
            pc.coalesce(qualified, older),
            pc.fill_null(status, DEFAULT_STATUS),
            version,
            valid_until,
        ],
        fields=list(MEMBERSHIP),
    )
    return namespaces.as_maps(codes, segments.as_maps(ids, tidied))


def _is_written(texts: Column) -> Column:
    return pc.not_equal(pc.utf8_trim_whitespace(texts), "")


def _marks(column: Column) -> Marks:
    marks = pc.fill_null(column, False)  # noqa: FBT003
    return cast("Marks", marks.to_numpy(zero_copy_only=False))
