"""Users as GrowingIO's listings and look-ups write them: section 2.7 of the contract sheet.

Unlike in files their number is a text called ``gioId``, and identities are lists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from catalog.properties import ALL_VALUES, LAST_VALUE, Column, Property, PropertyKind
from service.operations.users import User

#: What is said of a user there is not.
NOBODY = {"gioId": "0", "identifications": {}, "properties": {}}


def listed(user: Mapping[str, Any]) -> dict[str, Any]:
    """A user of a page, from the line of a list."""
    identifications: dict[str, list[str]] = {}
    for key, value in sorted(user.get("identifications", {}).items()):
        values = value if isinstance(value, list) else [value]
        own = LAST_VALUE + key.removeprefix(ALL_VALUES).removeprefix(LAST_VALUE)
        identifications[own] = [each for each in values if each is not None]
    return {
        "gioId": str(user["gio_id"]),
        "identifications": identifications,
        "properties": user.get("properties", {}),
    }


def looked_up(user: User | None, known: Sequence[Property]) -> dict[str, Any]:
    """A user with everything that is defined; one that is not there is told as documented."""
    if user is None:
        return NOBODY
    columns = [Column(key=each.key, property=each, has_all_values=True) for each in known]
    values = {column: user.value(column) for column in columns}
    return {
        "gioId": str(user.number),
        "identifications": {
            ALL_VALUES + column.key: values[column]
            for column in columns
            if column.property.kind is PropertyKind.IDENTITY and values[column]
        },
        "properties": {
            column.key: values[column]
            for column in columns
            if column.property.kind is not PropertyKind.IDENTITY
        },
    }
