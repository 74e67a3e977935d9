"""The format of labellings: the profile of every identity that is not a profile by itself.

A labelling is a store file (:mod:`~service.engine.store_files`) sorted by identity key, with one
row for each identity that any link of its snapshot names: the key, the key of the identity that
stands for its profile, how many identities that profile has, and whether the identity is itself
the key of a record in the *main* data set, the record data set with the most bytes. A profile is
represented by its smallest main key, else by its smallest key. An identity without a row is a
profile by itself.

Who wants to know where the rows of a store file belong opens the labelling with
:func:`open_labels` and calls :meth:`Labels.resolve` with the keys of one row group after another,
in ascending order. Which labelling is valid for which commit number is
:mod:`catalog.store.labellings`'s to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from service.engine.ranking import Bools, Finder, Ints, Keys, distinct, equal
from service.engine.store_files import KEY_HI, KEY_LO, StoreFile
from service.storage.files import Files

#: The representative of the profile a row or an identity belongs to.
PROFILE_HI, PROFILE_LO = "_profile_hi", "_profile_lo"
#: Identities of the profile.
IDENTITY_COUNT = "_identity_count"
IS_MAIN = "_is_main"

SCHEMA = pa.schema(
    [
        (KEY_HI, pa.uint64()),
        (KEY_LO, pa.uint64()),
        (PROFILE_HI, pa.uint64()),
        (PROFILE_LO, pa.uint64()),
        (IDENTITY_COUNT, pa.int32()),
        (IS_MAIN, pa.bool_()),
    ]
)
#: Before encoding.
ROW_BYTES = 37

_RESOLVING = (KEY_HI, KEY_LO, PROFILE_HI, PROFILE_LO, IDENTITY_COUNT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """The identities of profiles that have too many to be one person."""

    #: Ascending.
    identity: Keys
    #: Of each identity, the number of its profile: counted from 0, by ascending representative.
    profile: Ints
    profile_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Keys that do not stand for a profile: another one does, or the profile is excluded."""

    #: Among the keys that were asked about; ascends.
    at: Ints
    profile: Keys
    is_excluded: Bools


@dataclass(frozen=True, slots=True, kw_only=True)
class _Strays:
    """The identities under one prefix that do not stand for a profile; all is parallel."""

    identity: Finder
    profile: Keys
    is_excluded: Bools


class Labels:
    """An open labelling. Like every store file, it belongs to one thread."""

    def __init__(self, file: StoreFile, identity_limit: int) -> None:
        self._file = file
        self._identity_limit = identity_limit
        #: What was asked about last, and who is a stray there.
        self._last: tuple[int, int, _Strays] | None = None

    def resolve(self, keys: Keys, prefix: int, depth: int) -> tuple[Keys, Bools]:
        """Give the profiles of keys under one prefix, and which of the keys are excluded."""
        strays = self.strays(keys, prefix, depth)
        profile = Keys(keys.hi.copy(), keys.lo.copy())
        profile.hi[strays.at], profile.lo[strays.at] = strays.profile.hi, strays.profile.lo
        is_excluded = np.zeros(len(keys), np.bool_)
        is_excluded[strays.at] = strays.is_excluded
        return profile, is_excluded

    def strays(self, keys: Keys, prefix: int, depth: int) -> Found:
        """Find those of some keys under one prefix that do not stand for a profile."""
        known = self._under(prefix, depth)
        place = known.identity.places(keys)
        at = np.flatnonzero(place >= 0)
        place = place[at]
        return Found(at=at, profile=known.profile.at(place), is_excluded=known.is_excluded[place])

    def _under(self, prefix: int, depth: int) -> _Strays:
        """Read who is a stray under a prefix. Files are asked about one after another."""
        if self._last is None or self._last[:2] != (prefix, depth):
            rows = self._file.slice(prefix, depth, _RESOLVING)
            identity, profile = keys_of(rows), keys_of(rows, PROFILE_HI, PROFILE_LO)
            is_excluded = rows.column(IDENTITY_COUNT).to_numpy() > self._identity_limit
            at = np.flatnonzero(~equal(identity, profile) | is_excluded)
            strays = _Strays(
                identity=Finder(identity.at(at)),
                profile=profile.at(at),
                is_excluded=is_excluded[at],
            )
            self._last = (prefix, depth, strays)
        return self._last[2]

    def excluded(self) -> Excluded:
        """Find all identities that are left out."""
        identities, profiles = [Keys.none()], [Keys.none()]
        for group in range(len(self._file.layout.prefixes)):
            counts = self._file.read_group(group, (IDENTITY_COUNT,)).column(0).to_numpy()
            over = np.flatnonzero(counts > self._identity_limit)
            if len(over):
                rows = self._file.read_group(group, _RESOLVING)
                identities.append(keys_of(rows).at(over))
                profiles.append(keys_of(rows, PROFILE_HI, PROFILE_LO).at(over))
        known, profile = distinct(Keys.joined(profiles))
        return Excluded(identity=Keys.joined(identities), profile=profile, profile_count=len(known))


def open_labels(key: str | None, files: Files, identity_limit: int) -> Labels | None:
    """Open a labelling; without one, every identity is a profile by itself."""
    return None if key is None else Labels(StoreFile(files.open(key)), identity_limit)


def keys_of(rows: pa.Table, hi: str = KEY_HI, lo: str = KEY_LO) -> Keys:
    """Give two columns of a table as keys."""
    return Keys(rows.column(hi).to_numpy(), rows.column(lo).to_numpy())


def key_groups(file: StoreFile, prefix: int, depth: int) -> Iterator[Keys]:
    """Yield the keys that a store file has under a prefix, a row group's worth at a time."""
    layout = file.layout
    if layout.cut_at == KEY_HI and layout.depth <= depth:
        yield keys_of(file.slice(prefix, depth, (KEY_HI, KEY_LO)))
        return
    for number, own in enumerate(layout.prefixes):
        if layout.cut_at != KEY_HI or own >> (layout.depth - depth) == prefix:
            yield keys_of(file.read_group(number, (KEY_HI, KEY_LO)))
