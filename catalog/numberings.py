"""Numberings: which number (gio_id) every profile of a sandbox has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNumbering:
    """A numbering that is stored and may count from now on."""

    #: It numbers every profile of this snapshot.
    commit: int
    key: str
    size_bytes: int
    row_count: int
    #: The list of numbers that stand for no profile any more, but for another's.
    merged_key: str
    merged_count: int
    #: The first number that was never given.
    next_number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbering(NewNumbering):
    """The numbering of a sandbox that counts."""

    #: The snapshot it was asked for has the same files as its own.
    is_current: bool
