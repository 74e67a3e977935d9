"""Who is linked with one identity: by the saved labelling and the links that are newer than it.

The same components as :mod:`~service.engine.labelling` finds, for one identity at a time and
without reading what has nothing to do with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from catalog.merge_policies import IdentityGraph
from catalog.store_files import StoreFileKind
from service.engine.labels import IDENTITY_COUNT, PROFILE_HI, PROFILE_LO, keys_of
from service.engine.open_store import OpenStore
from service.engine.orders import GONE
from service.engine.ranking import Keys
from service.engine.snapshot import Snapshot
from service.engine.store_files import KEY_HI, KEY_LO

_LABEL = (KEY_HI, KEY_LO, PROFILE_HI, PROFILE_LO, IDENTITY_COUNT)


@dataclass(frozen=True, slots=True)
class Component:
    """The identities of one profile, as numbers of 128 bits, ascending."""

    members: tuple[int, ...]
    #: There are more than one person can have; the members are only some.
    is_excluded: bool = False

    @property
    def keys(self) -> Keys:
        return keys_from(self.members)


class Neighbours:
    """Finds the profiles of identities in one snapshot."""

    def __init__(self, snapshot: Snapshot, store: OpenStore) -> None:
        order = snapshot.order
        self._store = store
        self._limit = order.identities_per_profile
        self._is_stitched = order.identity_graph is IdentityGraph.PRIVATE
        self._labels = order.labelling.key if order.labelling is not None else None
        known_at = order.labelling.commit if order.labelling is not None else -1
        self._snapshot = snapshot
        self._newer = [
            number
            for number in self._snapshot.all(StoreFileKind.LINKS)
            if order.files[number].added > known_at and order.files[number].row_count
        ]

    def component(self, key: int) -> Component:
        """Find the profile that an identity belongs to; it may be alone in it."""
        members, newest = {key}, {key}
        while newest and self._is_stitched:
            found: set[int] = set()
            for profile, count in self._labelled(newest):
                if count > self._limit:
                    return Component(tuple(sorted(members)), is_excluded=True)
                found |= self._members(profile)
            for number in self._newer:
                found |= self._linked(number, keys_from(newest))
            newest = found - members
            members |= newest
            if len(members) > self._limit:
                return Component(tuple(sorted(members)), is_excluded=True)
        return Component(tuple(sorted(members)))

    def _linked(self, number: int, keys: Keys) -> set[int]:
        """Give what a file of links says is linked with any of some keys."""
        key = self._snapshot.files[number].key
        found = set()
        for rows, end in (
            (self._store.links_from(key, keys), ("other_hi", "other_lo")),
            (self._store.links_to(key, keys), (KEY_HI, KEY_LO)),
        ):
            is_there = self._snapshot.sources(number, rows) != GONE
            found |= numbers_of(keys_of(rows, *end).at(is_there))
        return found

    def _labelled(self, members: set[int]) -> set[tuple[int, int]]:
        """Give the labelled profiles of identities, each with how many identities it has."""
        if self._labels is None:
            return set()
        rows = self._store.rows(self._labels, keys_from(members), _LABEL)
        if rows is None:
            return set()
        profiles = numbers_in_order(keys_of(rows, PROFILE_HI, PROFILE_LO))
        return set(zip(profiles, rows.column(IDENTITY_COUNT).to_pylist(), strict=True))

    def _members(self, profile: int) -> set[int]:
        """Find the identities of a labelled profile: one pass over a column, in memory."""
        assert self._labels is not None
        labels = self._store.file(self._labels).rows
        sought = keys_from((profile,))
        found: set[int] = set()
        for group in range(len(labels.layout.prefixes)):
            rows = labels.read_group(group, _LABEL)
            profiles = keys_of(rows, PROFILE_HI, PROFILE_LO)
            at = np.flatnonzero(profiles.hi == sought.hi[0])
            found |= numbers_of(keys_of(rows).at(at[profiles.lo[at] == sought.lo[0]]))
        return found


def keys_from(numbers: set[int] | tuple[int, ...]) -> Keys:
    """Give 128-bit numbers as keys, ascending."""
    in_order = sorted(numbers)
    low = (1 << 64) - 1
    return Keys(
        np.array([number >> 64 for number in in_order], np.uint64),
        np.array([number & low for number in in_order], np.uint64),
    )


def numbers_of(keys: Keys) -> set[int]:
    return set(numbers_in_order(keys))


def numbers_in_order(keys: Keys) -> list[int]:
    """Give keys as 128-bit numbers, one for each."""
    return [hi << 64 | lo for hi, lo in zip(keys.hi.tolist(), keys.lo.tolist(), strict=True)]


def key_text(number: int) -> str:
    """Spell a key as documents do: 32 hexadecimal digits."""
    return f"{number:032x}"
