"""Reads what belongs to one prefix of the key space, each row with the profile it is part of.

Rows lie under their own identity's prefix, profiles at home under their representative's. Rows
that live elsewhere than their profile are skipped where they lie: they are repeated in home files,
or were scattered by the plan into runs, both of which are cut at profiles' prefixes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalog.store_files import StoreFileKind
from service.engine.arrow_types import Column, arrow_type
from service.engine.columns import Number, Stack
from service.engine.labels import PROFILE_HI, PROFILE_LO, Labels, keys_of, open_labels
from service.engine.marks import marks
from service.engine.mentions import told_once
from service.engine.moved_rows import ORIGIN
from service.engine.moves import Home
from service.engine.orders import GONE
from service.engine.plan import Plan
from service.engine.projection import EVENT_ID
from service.engine.ranking import Bools, Ints, Keys, Uint64s, places, run_starts
from service.engine.snapshot import READ, Snapshot
from service.engine.store_files import KEY_HI, KEY_LO, MARK, StoreFile, prefixes
from service.engine.vocabularies import Vocabularies
from service.storage.files import Files


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of one kind that belong to one slice. All arrays are parallel."""

    stack: Stack
    #: Where the row lies in the stack; ascends.
    at: Ints
    #: The row's primary identity; of identities files, the owner.
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

    def stays(self, rows: pa.Table, prefix: int) -> Bools:
        """Mark the rows under a prefix that are read here and not where they lie, or in a run."""
        keys = keys_of(rows)
        stays: Bools = prefixes(keys.hi, self._depth) != prefix
        if self._leavers is not None:
            leavers = self._leavers.slice(prefix, self._depth, (KEY_HI, KEY_LO))
            stays &= places(keys, keys_of(leavers)) < 0
        return stays


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
        self._vocabulary = opening.vocabularies[kind]
        #: Of what is read, in the vocabulary; runs are behind all files of the snapshot there.
        unread = len(snapshot.numbers(kind)) - len(self._numbers)
        self._places = range(unread, unread + len(self._files))
        self._labels = labels or opening.labels()

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
            slices = told_once(slices, profiles)
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
        home = [
            (number, rows)
            for number, rows in zip(self._numbers, slices, strict=False)
            if rows.num_rows
        ]
        runs = [rows for rows in slices[len(self._numbers) :] if rows.num_rows]
        homes = [(home, rows) for home, rows in self._at_homes(prefix) if rows.num_rows]
        home_keys = Keys.joined([keys_of(rows) for _, rows in home])
        profiles, stays = self._at_home(home_keys, prefix)
        brought = [*runs, *(rows for _, rows in homes)]
        moved = [keys_of(rows, PROFILE_HI, PROFILE_LO) for rows in brought]
        key = Keys.joined([home_keys, *(keys_of(rows) for rows in brought)])
        everything = Rows(
            stack=Stack(
                [*slices, *(rows for _, rows in homes)],
                self._vocabulary,
                [*self._places, *(home.place for home, _ in homes)],
            ),
            at=np.arange(len(key)),
            key=key,
            profile=key if self._labels is None else Keys.joined([profiles, *moved]),
            source=np.concatenate(
                [
                    np.empty(0, np.int64),
                    *(self._snapshot.sources(number, rows) for number, rows in home),
                    *(rows.column(ORIGIN).to_numpy() for rows in runs),
                    *(self._snapshot.sources(home.number, rows) for home, rows in homes),
                ]
            ),
        )
        of_runs = np.ones(sum(rows.num_rows for rows in runs), np.bool_)
        stays = np.concatenate(
            [stays, of_runs, *(home.stays(rows, prefix) for home, rows in homes)]
        )
        stays &= everything.source != GONE
        return everything if stays.all() else everything.kept(stays)

    @property
    def words(self) -> Mapping[str, Column]:
        """The words of those columns whose values come as dictionaries."""
        return self._vocabulary.words

    def _slice(self, number: int, prefix: int) -> pa.Table:
        rows = self._files[number].worded_slice(prefix, self._depth, self._columns)
        return self._vocabulary.readable(self._places[number], rows)

    def _at_homes(self, prefix: int) -> Iterator[tuple[OpenHome, pa.Table]]:
        for home in self._homes:
            rows = home.file.worded_slice(prefix, self._depth, self._columns)
            yield home, self._vocabulary.readable(home.place, rows)

    def _at_home(self, keys: Keys, prefix: int) -> tuple[Keys, Bools]:
        """Give the profile of each row, and whether it is at home where the row lies."""
        if self._labels is None or not len(keys):
            return keys, np.ones(len(keys), np.bool_)
        heads = run_starts(keys.hi, keys.lo)
        counts = np.diff(heads, append=len(keys))
        profile, is_excluded = self._labels.resolve(keys.at(heads), prefix, self._depth)
        stays = ~is_excluded & (prefixes(profile.hi, self._depth) == prefix)
        return profile.at(np.repeat(np.arange(len(heads)), counts)), np.repeat(stays, counts)
