"""Reads what belongs to one prefix of the key space, each row with the profile it is part of.

Rows lie under their own identity's prefix, profiles at home under their representative's. Rows
that live elsewhere than their profile were scattered by the plan into runs, cut at profiles'
prefixes, and are skipped where they lie.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalog.store_files import StoreFileKind
from service.engine.columns import Number, Stack
from service.engine.labels import PROFILE_HI, PROFILE_LO, keys_of, open_labels
from service.engine.plan import Plan
from service.engine.ranking import Bools, Ints, Keys
from service.engine.scatter import FILE
from service.engine.snapshot import Snapshot
from service.engine.store_files import StoreFile, prefixes
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
    #: Number of the store file in the snapshot.
    file: Ints

    def __len__(self) -> int:
        return len(self.at)

    def kept(self, mask: Bools) -> Rows:
        return replace(
            self,
            at=self.at[mask],
            key=self.key.at(mask),
            profile=self.profile.at(mask),
            file=self.file[mask],
        )

    def numbers(self, name: str, dtype: type[Number]) -> npt.NDArray[Number]:
        """Give a column without nulls that every file holds."""
        return self.stack.numbers(name, dtype)[self.at]


class SliceReader:
    """Reads the slices of one kind of files, in ascending order, for one thread."""

    def __init__(self, kind: StoreFileKind, snapshot: Snapshot, plan: Plan, files: Files) -> None:
        self._depth = plan.depth
        self._columns = snapshot.columns(kind)
        self._home = [
            (number, StoreFile(files.open(snapshot.files[number].key)))
            for number in snapshot.numbers(kind)
        ]
        self._runs = [StoreFile(files.open(run.key)) for run in plan.runs if run.kind is kind]
        self._labels = open_labels(plan.labels, files, snapshot.order.identities_per_profile)

    def read(self, prefix: int) -> Rows:
        """Read the rows of all profiles at home under the prefix; excluded ones are left out."""
        home = [
            (number, file.slice(prefix, self._depth, self._columns)) for number, file in self._home
        ]
        home = [(number, rows) for number, rows in home if rows.num_rows]
        runs = [self._run_slice(run, prefix) for run in self._runs]
        runs = [rows for rows in runs if rows.num_rows]
        home_keys = Keys.joined([keys_of(rows) for _, rows in home])
        profiles, stays = self._at_home(home_keys, prefix)
        moved = [keys_of(rows, PROFILE_HI, PROFILE_LO) for rows in runs]
        everything = Rows(
            stack=Stack([*(rows for _, rows in home), *runs]),
            at=np.arange(len(home_keys) + sum(rows.num_rows for rows in runs)),
            key=Keys.joined([home_keys, *(keys_of(rows) for rows in runs)]),
            profile=Keys.joined([profiles, *moved]),
            file=np.concatenate(
                [
                    np.empty(0, np.int64),
                    *(np.full(rows.num_rows, number) for number, rows in home),
                    *(rows.column(FILE).to_numpy() for rows in runs),
                ]
            ),
        )
        if stays.all():
            return everything
        return everything.kept(np.append(stays, np.ones(len(everything) - len(stays), np.bool_)))

    def _run_slice(self, run: StoreFile, prefix: int) -> pa.Table:
        return run.slice(prefix, self._depth, (*self._columns, PROFILE_HI, PROFILE_LO, FILE))

    def _at_home(self, keys: Keys, prefix: int) -> tuple[Keys, Bools]:
        if self._labels is None:
            return keys, np.ones(len(keys), np.bool_)
        profile, is_excluded = self._labels.resolve(keys, prefix, self._depth)
        return profile, ~is_excluded & (prefixes(profile.hi, self._depth) == prefix)
