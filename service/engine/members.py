"""Who is merged together: rows of a slice with the numbers of their profiles in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.engine.ranking import Bools, Ints, Keys
from service.engine.slices import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """Rows of a slice, and the number of each row's profile in it; -1 of strangers."""

    rows: Rows
    profile: Ints

    def __len__(self) -> int:
        return len(self.profile)

    def kept(self, mask: Bools) -> Owned:
        if mask.all():
            return self
        places = np.flatnonzero(mask)
        return Owned(rows=self.rows.chosen(places), profile=self.profile[places])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragments(Owned):
    """The record rows that stand, all arrays parallel."""

    #: Orders fragments from weakest to strongest.
    place: Ints
    #: Orders rows from weakest to strongest.
    rank: Ints
    #: Orders rows from oldest to newest.
    age: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """Profiles of a slice that are exported together, ascending."""

    profiles: Keys
    #: By number in the slice: the number among the members, or -1. Null when all are members.
    numbers: Ints | None = None

    def __len__(self) -> int:
        return len(self.profiles)

    def number(self, profile: Ints) -> Ints:
        """Give the numbers that profiles of the slice have among the members, -1 of no member."""
        if self.numbers is None or not len(self.numbers):
            return profile
        return np.where(profile < 0, -1, self.numbers[profile])

    def chosen(self, mask: Bools) -> Members:
        """Keep some of the members."""
        if mask.all():
            return self
        own = np.where(mask, np.cumsum(mask) - 1, -1)
        if self.numbers is not None:
            own = np.where(self.numbers < 0, -1, own[self.numbers])
        return Members(profiles=self.profiles.at(np.flatnonzero(mask)), numbers=own)

    def in_slice(self, own: Ints) -> Ints:
        """Give the numbers in the slice of members, by their numbers among them."""
        if self.numbers is None or not len(self.numbers):
            return own
        places: Ints = np.flatnonzero(self.numbers >= 0)[own]
        return places
