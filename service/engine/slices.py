"""Reads what belongs to one prefix of the key space, each row with the profile it is part of.

Rows lie under their own identity's prefix, profiles at home under their representative's. Rows of
identities that do not stand for their profile are skipped where they lie: they are repeated in home
files, or were scattered by the plan into runs, both of which are cut at profiles' prefixes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalog.store_files import StoreFileKind
from service.engine.arrow_types import Column, arrow_type
from service.engine.columns import Number, Stack
from service.engine.labels import PROFILE_HI, PROFILE_LO, Labels, keys_of, open_labels
from service.engine.marks import marks
from service.engine.mentions import without_repeats
from service.engine.moved_rows import ORIGIN
from service.engine.moves import Home
from service.engine.orders import GONE
from service.engine.plan import Plan
from service.engine.projection import EVENT_ID
from service.engine.ranking import Bools, Ints, Keys, Uint64s, places, run_starts
from service.engine.snapshot import READ, Snapshot
from service.engine.staying_rows import StayingRows
from service.engine.store_files import KEY_HI, KEY_LO, MARK, StoreFile
from service.engine.vocabularies import Vocabularies
from service.storage.files import Files


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of one kind that belong to one slice. All arrays are parallel."""

    stack: Stack
    #: Where the row lies in the stack; ascends.
    at: Ints
    #: The row's primary identity; of identities files, the owner; of events, the profile.
    key: Keys
    #: The representative of the profile that the key belongs to; the same object as ``key`` where
    #: every identity is a profile by itself.
    profile: Keys
    #: Number of the batch that the row came with, in the snapshot; see :class:`Snapshot`.
    source: Ints

    def __len__(self) -> int:
        return len(self.at)

    def kept(self, mask: Bools) -> Rows:
        """Give the rows that a mask keeps, in their order."""
        return self if mask.all() else self.chosen(np.flatnonzero(mask))

    def chosen(self, places: Ints) -> Rows:
        """Give the rows at some places, which ascend."""
        key = self.key.at(places)
        return replace(
            self,
            at=self.at[places],
            key=key,
            profile=key if self.profile is self.key else self.profile.at(places),
            source=self.source[places],
        )

    def numbers(self, name: str, dtype: type[Number]) -> npt.NDArray[Number]:
        """Give a column without nulls that every file holds."""
        held = self.stack.numbers(name, dtype)
        return held if len(held) == len(self.at) else held[self.at]

    def marks(self) -> Uint64s:
        """Give the mark of each event's id, any number where there is none."""
        if len(self.stack.holders(MARK)) < len(self.stack.tables):
            found = marks(self.stack.values(EVENT_ID.name, arrow_type(EVENT_ID), self.at))
        else:
            found = self.stack.values(MARK, pa.uint64(), self.at)
        numbers: Uint64s = (found.fill_null(0) if found.null_count else found).to_numpy()
        return numbers


class Opening:
    """What all readers of the slices of one plan have in common."""

    def __init__(
        self,
        snapshot: Snapshot,
        plan: Plan,
        files: Files,
        vocabularies: Vocabularies | None = None,
    ) -> None:
        """Prepare; who made the plan has the vocabularies of its snapshot already."""
        self.snapshot = snapshot
        self.plan = plan
        self.files = files
        vocabularies = vocabularies or Vocabularies(snapshot, files)
        self.vocabularies = {kind: vocabularies.of(kind) for kind in READ}
        self.staying = StayingRows(plan.staying, files)

    def numbers(self, kind: StoreFileKind) -> list[int]:
        """Name the files of a kind of which any rows are read where they lie."""
        if kind is StoreFileKind.IDENTITIES and self.plan.unites_mentions:
            return []
        return self.snapshot.numbers(kind)

    def store_files(self, kind: StoreFileKind) -> list[StoreFile]:
        """Open what is read of a kind: the snapshot's files in their order, then runs."""
        keys = [self.snapshot.files[number].key for number in self.numbers(kind)]
        keys += [run.key for run in self.plan.runs if run.kind is kind]
        return [StoreFile(self.files.open(key)) for key in keys]

    def homes(self, kind: StoreFileKind) -> list[OpenHome]:
        """Open the home files of a kind."""
        by_store_file = {home.store_file: home for home in self.plan.homes}
        return [
            OpenHome(number, place, home, self.plan.depth, self.files)
            for place, number in enumerate(self.numbers(kind))
            if (home := by_store_file.get(self.snapshot.files[number].key)) is not None
        ]

    def labels(self) -> Labels | None:
        """Open the labelling, for one thread; None where every identity is a profile by itself."""
        limit = self.snapshot.order.identities_per_profile
        return open_labels(self.plan.labels, self.files, limit)


class OpenHome:
    """A home file of a plan, for one thread."""

    def __init__(self, number: int, place: int, home: Home, depth: int, files: Files) -> None:
        #: Of the store file whose rows it repeats: in the snapshot, and among the files of its
        #: kind, whose words it has.
        self.number, self.place = number, place
        self.file = StoreFile(files.open(home.key))
        self._depth = depth
        self._leavers = None if home.leavers is None else StoreFile(files.open(home.leavers))

    def let_go(self) -> None:
        """Give back the memory of what was read."""
        self.file.let_go()

    def stays(self, rows: pa.Table, prefix: int) -> Bools | None:
        """Mark the rows under a prefix that are read here, and not elsewhere; None: all are."""
        if self._leavers is None:
            return None
        leavers = self._leavers.slice(prefix, self._depth, (KEY_HI, KEY_LO))
        return places(keys_of(rows), keys_of(leavers)) < 0


class _Piece(NamedTuple):
    """Rows of one file under a prefix."""

    rows: pa.Table
    #: Of the file, in the vocabulary.
    place: int
    key: Keys
    profile: Keys
    source: Ints
    #: Which rows belong to the slice; null when all do.
    at: Ints | None

    def of_slice(self, keys: Keys) -> Keys:
        return keys if self.at is None else keys.at(self.at)


class SliceReader:
    """Reads the slices of one kind of files, in ascending order, for one thread."""

    def __init__(self, kind: StoreFileKind, opening: Opening, labels: Labels | None = None) -> None:
        """Prepare; readers of one thread should be given the same open ``labels`` of the plan."""
        snapshot, plan = opening.snapshot, opening.plan
        self._snapshot = snapshot
        self._depth = plan.depth
        self._columns = (*snapshot.columns(kind), PROFILE_HI, PROFILE_LO, ORIGIN)
        self._numbers = opening.numbers(kind)
        self._files = opening.store_files(kind)
        self._homes = opening.homes(kind)
        #: Of events nobody asks whose they are but which profile's, and runs do not tell.
        self._has_keys = kind is not StoreFileKind.EVENTS
        self._vocabulary = opening.vocabularies[kind]
        #: Of what is read, in the vocabulary; runs are behind all files of the snapshot there.
        unread = len(snapshot.numbers(kind)) - len(self._numbers)
        self._places = range(unread, unread + len(self._files))
        self._labels = labels or opening.labels()
        self._staying = opening.staying

    def read(self, prefix: int) -> Rows:
        """Read the rows of all profiles at home under the prefix; excluded ones are left out."""
        return self._joined(self._slices(prefix), prefix)

    def read_once(self, prefix: int, profiles: Keys) -> Rows:
        """Read the rows of identities under the prefix that say something about some profiles.

        What others say already is left out where that is easily told. Profiles ascend.
        """
        slices = self._slices(prefix)
        has_identities = "id_hi" in self._columns
        if has_identities and self._labels is None and not self._was_taken_back(slices):
            slices = without_repeats(slices, profiles)
        return self._joined(slices, prefix)

    def _slices(self, prefix: int) -> list[pa.Table]:
        for file in self._files:
            file.let_go()  # else all of them would be in memory in the end
        for home in self._homes:
            home.let_go()
        return [self._slice(number, prefix) for number in range(len(self._files))]

    def _was_taken_back(self, slices: list[pa.Table]) -> bool:
        """Say whether any row of the snapshot's files is not there any more."""
        return any(
            (self._snapshot.sources(number, rows) == GONE).any()
            for number, rows in zip(self._numbers, slices, strict=False)
            if self._snapshot.files[number].sources
        )

    def _joined(self, slices: list[pa.Table], prefix: int) -> Rows:
        pieces = [piece for piece in self._pieces(slices, prefix) if piece.rows.num_rows]
        starts = np.cumsum([0, *(piece.rows.num_rows for piece in pieces)]).tolist()
        at = [
            np.arange(start, stop) if piece.at is None else start + piece.at
            for piece, (start, stop) in zip(pieces, pairwise(starts), strict=True)
        ]
        profile = key = Keys.joined([piece.of_slice(piece.profile) for piece in pieces])
        if self._labels is not None and self._has_keys:
            key = Keys.joined([piece.of_slice(piece.key) for piece in pieces])
        source = [piece.source if piece.at is None else piece.source[piece.at] for piece in pieces]
        return Rows(
            stack=Stack(
                [piece.rows for piece in pieces],
                self._vocabulary,
                [piece.place for piece in pieces],
            ),
            at=np.concatenate([np.empty(0, np.int64), *at]),
            key=key,
            profile=profile,
            source=np.concatenate([np.empty(0, np.int64), *source]),
        )

    def _pieces(self, slices: list[pa.Table], prefix: int) -> Iterator[_Piece]:
        """Tell of each file's rows under a prefix which belong to the slice, and to whom."""
        files = list(zip(self._places, slices, strict=True))
        for file, number, (place, rows) in zip(self._files, self._numbers, files, strict=False):
            key, source = keys_of(rows), self._snapshot.sources(number, rows)
            profile, stays = key, None
            if self._labels is not None and len(key):
                first = file.first_row(prefix, self._depth, self._columns)
                stays = self._staying.of(number, first, len(key))
                if stays is None:
                    profile, stays = self._at_home(key, self._labels, prefix)
            yield _Piece(rows, place, key, profile, source, _there(source, stays))
        for place, rows in files[len(self._numbers) :]:
            source = rows.column(ORIGIN).to_numpy()
            profile = _profiles_of(rows)
            key = keys_of(rows) if self._has_keys else profile
            yield _Piece(rows, place, key, profile, source, None)
        for home in self._homes:
            rows = home.file.worded_slice(prefix, self._depth, self._columns)
            rows, source = (
                self._vocabulary.readable(home.place, rows),
                self._snapshot.sources(home.number, rows),
            )
            stays = home.stays(rows, prefix)
            yield _Piece(
                rows, home.place, keys_of(rows), _profiles_of(rows), source, _there(source, stays)
            )

    @property
    def words(self) -> Mapping[str, Column]:
        """The words of those columns whose values come as dictionaries."""
        return self._vocabulary.words

    def _slice(self, number: int, prefix: int) -> pa.Table:
        rows = self._files[number].worded_slice(prefix, self._depth, self._columns)
        return self._vocabulary.readable(self._places[number], rows)

    def _at_home(self, keys: Keys, labels: Labels, prefix: int) -> tuple[Keys, Bools]:
        """Give the profile of each row, and which belong to the slice where they lie.

        Where there is more than one slice that is nobody but who stands for a profile.
        """
        heads = run_starts(keys.hi, keys.lo)
        counts = np.diff(heads, append=len(keys))
        if self._depth:
            stands = np.ones(len(heads), np.bool_)
            stands[labels.strays(keys.at(heads), prefix, self._depth).at] = False
            return keys, np.repeat(stands, counts)
        profile, is_excluded = labels.resolve(keys.at(heads), prefix, self._depth)
        profile = profile.at(np.repeat(np.arange(len(heads)), counts))
        return profile, ~np.repeat(is_excluded, counts)


def _profiles_of(rows: pa.Table) -> Keys:
    return keys_of(rows, PROFILE_HI, PROFILE_LO)


def _there(source: Ints, stays: Bools | None) -> Ints | None:
    """Say which rows are there and stay; None when all do."""
    is_there = source != GONE
    if stays is not None:
        is_there &= stays
    return None if is_there.all() else np.flatnonzero(is_there)
