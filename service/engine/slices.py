"""Reads what belongs to one prefix of the key space, each row with the profile it is part of.

Rows lie under their own identity's prefix, profiles at home under their representative's. Rows
that live elsewhere than their profile were scattered by the plan into runs, cut at profiles'
prefixes, and are skipped where they lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalog.store_files import StoreFileKind
from service.engine.arrow_types import Column
from service.engine.columns import Number, Stack
from service.engine.labels import PROFILE_HI, PROFILE_LO, keys_of, open_labels
from service.engine.plan import Plan
from service.engine.ranking import Bools, Ints, Keys
from service.engine.scatter import ORIGIN
from service.engine.snapshot import GONE, Snapshot
from service.engine.store_files import StoreFile, prefixes
from service.engine.vocabulary import Vocabulary
from service.storage.files import Files


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of one kind that belong to one slice. All arrays are parallel."""

    stack: Stack
    #: Where the row lies in the stack.
    at: Ints
    #: The row's primary identity; of identities files, the owner.
    key: Keys
    #: The representative of the profile that the key belongs to.
    profile: Keys
    #: Number of the batch that the row came with, in the snapshot; see :class:`Snapshot`.
    source: Ints

    def __len__(self) -> int:
        return len(self.at)

    def kept(self, mask: Bools) -> Rows:
        return replace(
            self,
            at=self.at[mask],
            key=self.key.at(mask),
            profile=self.profile.at(mask),
            source=self.source[mask],
        )

    def numbers(self, name: str, dtype: type[Number]) -> npt.NDArray[Number]:
        """Give a column without nulls that every file holds."""
        return self.stack.numbers(name, dtype)[self.at]


class SliceReader:
    """Reads the slices of one kind of files, in ascending order, for one thread."""

    def __init__(self, kind: StoreFileKind, snapshot: Snapshot, plan: Plan, files: Files) -> None:
        self._snapshot = snapshot
        self._depth = plan.depth
        self._columns = snapshot.columns(kind)
        self._numbers = snapshot.numbers(kind)
        keys = [snapshot.files[number].key for number in self._numbers]
        keys += [run.key for run in plan.runs if run.kind is kind]
        self._files = [StoreFile(files.open(key)) for key in keys]
        self._vocabulary = Vocabulary(self._files, self._columns)
        self._labels = open_labels(plan.labels, files, snapshot.order.identities_per_profile)

    def read(self, prefix: int) -> Rows:
        """Read the rows of all profiles at home under the prefix; excluded ones are left out."""
        slices = [self._slice(place, prefix) for place in range(len(self._files))]
        home = [
            (number, rows)
            for number, rows in zip(self._numbers, slices, strict=False)
            if rows.num_rows
        ]
        runs = [rows for rows in slices[len(self._numbers) :] if rows.num_rows]
        home_keys = Keys.joined([keys_of(rows) for _, rows in home])
        profiles, stays = self._at_home(home_keys, prefix)
        moved = [keys_of(rows, PROFILE_HI, PROFILE_LO) for rows in runs]
        everything = Rows(
            stack=Stack([*(rows for _, rows in home), *runs], self._vocabulary.words),
            at=np.arange(len(home_keys) + sum(rows.num_rows for rows in runs)),
            key=Keys.joined([home_keys, *(keys_of(rows) for rows in runs)]),
            profile=Keys.joined([profiles, *moved]),
            source=np.concatenate(
                [
                    np.empty(0, np.int64),
                    *(self._snapshot.sources(number, rows) for number, rows in home),
                    *(rows.column(ORIGIN).to_numpy() for rows in runs),
                ]
            ),
        )
        stays = np.append(stays, np.ones(len(everything) - len(stays), np.bool_))
        stays &= everything.source != GONE
        return everything if stays.all() else everything.kept(stays)

    @property
    def words(self) -> Mapping[str, Column]:
        """The words of those columns whose values come as dictionaries."""
        return self._vocabulary.words

    def _slice(self, place: int, prefix: int) -> pa.Table:
        columns = (*self._columns, PROFILE_HI, PROFILE_LO, ORIGIN)
        rows = self._files[place].worded_slice(prefix, self._depth, columns)
        return self._vocabulary.numbered(place, rows)

    def _at_home(self, keys: Keys, prefix: int) -> tuple[Keys, Bools]:
        if self._labels is None:
            return keys, np.ones(len(keys), np.bool_)
        profile, is_excluded = self._labels.resolve(keys, prefix, self._depth)
        return profile, ~is_excluded & (prefixes(profile.hi, self._depth) == prefix)
