"""Whose rows a plan must still move where home files were written by an earlier labelling.

A home file holds the rows of every identity that was a stray by then. So which of them belong
elsewhere by now follows from the two labellings alone, whatever the store file holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from service.engine.home_files import MOST_IDENTITIES, Strays, strays
from service.engine.labels import PROFILE_HI, PROFILE_LO
from service.engine.orders import HomeFile
from service.engine.ranking import Bools, Ints, Keys, equal, places
from service.engine.store_files import (
    KEY_HI,
    KEY_LO,
    StoreFile,
    StoreFileWriter,
    first_key,
    prefixes,
)
from service.storage.files import Files

#: Home files are passed over when more than one in so many strays has moved: then most of what
#: they hold would be skipped.
WORTH_READING = 4

_LEAVERS = pa.schema([(name, pa.uint64()) for name in (KEY_HI, KEY_LO, PROFILE_HI, PROFILE_LO)])


class Movers:
    """Identities whose rows must be moved, though their file has a home file."""

    def __init__(self, keys: Keys) -> None:
        """Take their keys, which ascend."""
        self._keys = keys

    def under(self, prefix: int, depth: int) -> Keys:
        """Give those under a prefix."""
        hi, end = self._keys.hi, first_key(prefix + 1, depth)
        start = int(np.searchsorted(hi, np.uint64(first_key(prefix, depth))))
        stop = len(hi) if end >> 64 else int(np.searchsorted(hi, np.uint64(end)))
        return Keys(hi[start:stop], self._keys.lo[start:stop])

    def rows(self, keys: Keys, prefix: int, depth: int) -> Ints:
        """Say where keys under a prefix, which ascend, are those of movers; ascends."""
        own = self.under(prefix, depth)
        starts = np.searchsorted(keys.hi, own.hi, "left")
        counts = np.searchsorted(keys.hi, own.hi, "right") - starts
        first = np.cumsum(counts) - counts
        at: Ints = np.repeat(starts - first, counts) + np.arange(counts.sum())
        is_own: Bools = keys.lo[at] == np.repeat(own.lo, counts)
        return at[is_own]


class Home(BaseModel):
    """A home file that a plan reads, as the plan keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Key of the store file whose rows it repeats.
    store_file: str
    key: str
    #: Key of the list of identities whose rows in it are passed over; null when none has left.
    leavers: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Homes:
    """What a plan knows of home files."""

    homes: tuple[Home, ...] = ()
    #: By key of a store file that has one.
    movers: Mapping[str, Movers] = field(default_factory=dict)


def find_homes(
    homes: Sequence[HomeFile],
    labels: str,
    files: Files,
    *,
    identity_limit: int,
    depth: int,
    folder: str,
) -> Homes:
    """Choose the home files that a plan by a labelling reads, and find out who has moved since.

    Lists of those that have are written below the folder, cut at the depth of slices.
    """
    if depth == 0:
        return Homes()  # everybody is at home
    chosen: list[Home] = []
    movers: dict[str, Movers] = {}
    for number, known_by in enumerate(sorted({home.labelling for home in homes})):
        own = [home for home in homes if home.labelling == known_by and files.exists(home.key)]
        if not own or not files.exists(known_by):
            continue
        moved = _moved(known_by, labels, identity_limit, files)
        if moved is None:
            continue
        left = moved.left
        listed = None
        if len(left.identity):
            listed = f"{folder}/leavers-{number:04d}.arrow"
            _list_leavers(left, listed, depth, files)
        for home in own:
            chosen.append(Home(store_file=home.store_file, key=home.key, leavers=listed))
            movers[home.store_file] = Movers(moved.arrived)
    return Homes(homes=tuple(chosen), movers=movers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moved:
    #: By identity, with the profile that they belonged to.
    left: Strays
    #: Strays of another profile than they were of, if they were strays; ascending.
    arrived: Keys


def _moved(before: str, now: str, identity_limit: int, files: Files) -> _Moved | None:
    """Compare two labellings; None when more has changed than home files are worth."""
    if before == now and identity_limit == MOST_IDENTITIES:
        return _Moved(left=Strays(Keys.none(), Keys.none()), arrived=Keys.none())
    old, new = StoreFile(files.open(before)), StoreFile(files.open(now))
    depth = max(old.layout.depth, new.layout.depth)
    left: list[Strays] = []
    arrived: list[Keys] = []
    count = 0
    for prefix in range(1 << depth):
        were = strays(old, prefix, depth, MOST_IDENTITIES)
        are = strays(new, prefix, depth, identity_limit)
        has_left, has_arrived = _differing(were, are)
        left.append(Strays(were.identity.at(has_left), were.profile.at(has_left)))
        arrived.append(are.identity.at(has_arrived))
        count += len(are.identity)
        old.let_go()
        new.let_go()
    moved = _Moved(
        left=Strays(
            Keys.joined([each.identity for each in left]),
            Keys.joined([each.profile for each in left]),
        ),
        arrived=Keys.joined(arrived),
    )
    most = max(len(moved.left.identity), len(moved.arrived))
    return None if WORTH_READING * most > count else moved


def _differing(were: Strays, are: Strays) -> tuple[Bools, Bools]:
    """Mark those that are not what they were, and those that were not what they are."""
    at = places(were.identity, are.identity)
    stays = np.flatnonzero(at >= 0)
    there = at[stays]
    is_same = equal(are.profile.at(there), were.profile.at(stays))
    has_left, has_arrived = np.ones(len(at), np.bool_), np.ones(len(are.identity), np.bool_)
    has_left[stays[is_same]] = False
    has_arrived[there[is_same]] = False
    return has_left, has_arrived


def _list_leavers(left: Strays, key: str, depth: int, files: Files) -> None:
    """Write identities where the home file has their rows; under one prefix they ascend."""
    order = np.argsort(prefixes(left.profile.hi, depth).astype(np.uint16), kind="stable")
    identity, profile = left.identity.at(order), left.profile.at(order)
    columns = (identity.hi, identity.lo, profile.hi, profile.lo)
    rows = pa.Table.from_arrays([pa.array(column) for column in columns], schema=_LEAVERS)
    with (
        files.create_passing(key) as sink,
        StoreFileWriter(sink, _LEAVERS, depth=depth, secret=None, cut_at=PROFILE_HI) as writer,
    ):
        writer.write_sorted(rows)
