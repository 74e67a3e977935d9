"""Files for parsers to choke on, made by chance alone: the same for the same random numbers.

Most are files as people send them that were changed in a place or two, so that they are nearly
right; some were not changed, and then it is known how many rows they have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple, Protocol

from catalog.schemas import IDENTITY_MAP, SEGMENT_MEMBERSHIP, Field
from service.engine.orders import IdentityRules, PromotionOrder, Reading, UploadedFile
from tests.engine.intake import (
    DAY,
    FLAG,
    LONG,
    NUMBER,
    SECRET,
    TEXT,
    TIME,
    a_list,
    a_map,
    an_object,
    identity,
)

FIELDS = (
    Field("crm", TEXT),
    Field("count", LONG),
    Field("ratio", NUMBER),
    Field("flag", FLAG),
    Field("day", DAY),
    Field("at", TIME),
    an_object("person", an_object("name", Field("first", TEXT, is_required=True))),
    a_list("tags", Field("", TEXT)),
    a_list("items", an_object("", Field("sku", TEXT), Field("price", NUMBER))),
    a_map("notes", TEXT),
    IDENTITY_MAP,
    SEGMENT_MEMBERSHIP,
)

#: Mostly one change: what is changed often is refused at once, and nothing behind it is tried.
_CHANGES = (1, 1, 1, 1, 2, 2, 3, 6)
_LONGEST_SPAN = 40


class Made(NamedTuple):
    """A file."""

    content: bytes
    #: How many rows it has, where that is certain: accepted and refused ones together.
    row_count: int | None = None


class Maker(Protocol):
    """Makes files of one format."""

    def a_reading(self, rng: Random, /) -> Reading:
        """Say how some files are to be read."""

    def a_file(self, rng: Random, reading: Reading, /) -> Made: ...


def some_fields(rng: Random) -> tuple[Field, ...]:
    """Give a schema: all fields, or the first and a few others."""
    if rng.random() < 0.25:
        return FIELDS
    return FIELDS[:1] + tuple(rng.sample(FIELDS[1:], rng.randint(1, 4)))


def an_order(
    reading: Reading,
    uploads: Sequence[UploadedFile] = (),
    fields: Sequence[Field] = FIELDS,
    *,
    is_upsert: bool = False,
) -> PromotionOrder:
    """Order that as many rows are accepted as can be, and that of the others each is told."""
    return PromotionOrder(
        folder="promoted",
        uploads=tuple(uploads),
        reading=reading,
        is_event=False,
        fields=tuple(field.to_json() for field in fields),
        identities=(identity("crm", "CRM", primary=True),),
        unlinked_namespaces=(),
        for_profile=True,
        is_upsert=is_upsert,
        secret=SECRET,
        tolerated_percentage=100,
        with_diagnostics=True,
        identity_rules=IdentityRules(ecid_digits=38, most_per_row=20, codes={"4": "ECID"}),
        threads=1,
    )


def changed(content: bytes, others: Sequence[bytes], pieces: Sequence[bytes], rng: Random) -> bytes:
    """Change a file in a place or a few. ``pieces`` are words that mean something in it."""
    for _ in range(rng.choice(_CHANGES)):
        change = rng.choice(_KINDS)
        at = rng.randrange(len(content) + 1)
        content = change(content, at, rng.choice(others), rng.choice(pieces), rng)
    return content


def _flip(content: bytes, at: int, _other: bytes, _piece: bytes, rng: Random) -> bytes:
    flipped = bytes(byte ^ 1 << rng.randrange(8) for byte in content[at : at + 1])
    return content[:at] + flipped + content[at + 1 :]


def _write(content: bytes, at: int, _other: bytes, _piece: bytes, rng: Random) -> bytes:
    data = rng.randbytes(rng.randint(1, 4))
    return content[:at] + data + content[at + len(data) :]


def _overwrite(content: bytes, at: int, _other: bytes, piece: bytes, _rng: Random) -> bytes:
    return content[:at] + piece + content[at + len(piece) :]


def _insert(content: bytes, at: int, _other: bytes, piece: bytes, _rng: Random) -> bytes:
    return content[:at] + piece + content[at:]


def _delete(content: bytes, at: int, _other: bytes, _piece: bytes, rng: Random) -> bytes:
    return content[:at] + content[at + rng.randint(1, _LONGEST_SPAN) :]


def _repeat(content: bytes, at: int, _other: bytes, _piece: bytes, rng: Random) -> bytes:
    span = content[at : at + rng.randint(1, _LONGEST_SPAN)]
    return content[:at] + span * rng.randint(2, 5) + content[at + len(span) :]


def _cut(content: bytes, at: int, _other: bytes, _piece: bytes, _rng: Random) -> bytes:
    return content[:at]


def _splice(content: bytes, at: int, other: bytes, _piece: bytes, rng: Random) -> bytes:
    return content[:at] + other[rng.randrange(len(other) + 1) :]


_KINDS: Sequence[Callable[[bytes, int, bytes, bytes, Random], bytes]] = (
    *(_flip, _write, _overwrite, _insert, _insert),
    *(_delete, _repeat, _cut, _splice),
)
