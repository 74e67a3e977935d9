"""Derives numberings: which number (gio_id) every profile of a snapshot has.

The same snapshot, labelling and earlier numbering always give the same numbers: profiles of
several identities are numbered first, then the others, each in the order of their keys. Numbers
that an attempt gave and that were never saved are given again by the next. See
:mod:`~service.engine.numbers` for the format and for what makes numbers last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from catalog.store_files import StoreFileKind
from service.engine.labels import PROFILE_HI, PROFILE_LO, keys_of
from service.engine.numbers import GIVEN, MERGED, NUMBER, ROW_BYTES, SCHEMA
from service.engine.orders import GONE, NewNumbering
from service.engine.ranking import Bools, Finder, Ints, Keys, distinct, places
from service.engine.snapshot import Snapshot
from service.engine.store_files import (
    KEY_HI,
    KEY_LO,
    SOURCE,
    StoreFile,
    StoreFileWriter,
    depth_for,
)
from service.storage.files import Files

#: Readers of JSON everywhere know whole numbers below this exactly.
NUMBER_LIMIT = 1 << 53


@dataclass(frozen=True, slots=True)
class _Slice:
    """All identities under a prefix, ascending, the arrays parallel."""

    keys: Keys
    #: A row or a link of the snapshot has it.
    is_present: Bools
    #: Linked with another identity; then its profile is represented by ``profile``.
    is_linked: Bools
    profile: Keys
    #: The number that was given to it before; 0 when none was.
    given: Ints


@dataclass
class _Linked:
    """The profiles of several identities, by ascending representative, with their numbers."""

    profiles: Keys = field(default_factory=Keys.none)
    numbers: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    #: To which of the representatives the number was given just now.
    is_new: Bools = field(default_factory=lambda: np.empty(0, np.bool_))
    #: How many of the profiles stand before the slice that is being numbered.
    before: int = 0

    def __post_init__(self) -> None:
        self._finder = Finder(self.profiles)

    def of(self, profiles: Keys) -> Ints:
        """Give the numbers of some of the profiles."""
        numbers: Ints = self.numbers[self._finder.places(profiles)]
        return numbers

    def next_are_new(self, count: int) -> Bools:
        """Say of so many profiles, in their order, whether their number was given just now."""
        first = self.before
        self.before += count
        return self.is_new[first : self.before]


class Numberer:
    """Numbers one snapshot, going on from the numbering that its order names, if any."""

    def __init__(self, snapshot: Snapshot, labels_key: str | None, files: Files) -> None:
        self._snapshot, self._files = snapshot, files
        self._saved = snapshot.order.numbering
        self._next = 1 if self._saved is None else self._saved.next_number
        self._known = self._open(None if self._saved is None else self._saved.key)
        self._labels = self._open(labels_key)
        self._owners = [
            (number, StoreFile(files.open(snapshot.files[number].key)))
            for number in snapshot.all(StoreFileKind.IDENTITIES)
        ]
        rows = sum(snapshot.files[number].row_count for number, _ in self._owners)
        self._depth = depth_for(rows * ROW_BYTES)

    def write(self, key: str) -> NewNumbering:
        """Derive the numbering of the snapshot; store it under a key, and the list beside it."""
        linked = self._number_linked() if self._labels is not None else _Linked()
        row_count, ended = 0, []
        with (
            self._files.create(key) as sink,
            StoreFileWriter(sink, SCHEMA, depth=self._depth, secret=None) as writer,
        ):
            for each in self._slices():
                rows = self._numbered(each, linked)
                ended.append(_ended(rows))
                writer.write_sorted(rows)
                row_count += rows.num_rows
        merged_key = f"{key}.merged"
        merged = self._merged(pa.concat_tables(ended).sort_by("merged_gio_id"))
        with (
            self._files.create(merged_key) as listed,
            pa.ipc.new_file(pa.PythonFile(listed, mode="w"), MERGED) as file,
        ):
            file.write_table(merged)
        written = sink.written()
        return NewNumbering(
            key=written.key,
            size_bytes=written.size_bytes,
            row_count=row_count,
            sha256=written.sha256,
            merged_key=merged_key,
            merged_count=merged.num_rows,
            next_number=self._next,
            base_key=None if self._saved is None else self._saved.key,
        )

    def _open(self, key: str | None) -> StoreFile | None:
        return None if key is None else StoreFile(self._files.open(key))

    def _slices(self) -> Iterator[_Slice]:
        for prefix in range(1 << self._depth):
            owners = [self._owners_under(prefix, *each) for each in self._owners]
            yield self._slice(prefix, owners)
            for file in (self._known, self._labels, *(file for _, file in self._owners)):
                if file is not None:
                    file.let_go()

    def _owners_under(self, prefix: int, number: int, file: StoreFile) -> Keys:
        rows = file.slice(prefix, self._depth, (KEY_HI, KEY_LO, SOURCE))
        is_there = self._snapshot.sources(number, rows) != GONE
        return keys_of(rows).at(is_there) if not is_there.all() else keys_of(rows)

    def _slice(self, prefix: int, owners: list[Keys]) -> _Slice:
        linked, profile = Keys.none(), Keys.none()
        if self._labels is not None:
            columns = (KEY_HI, KEY_LO, PROFILE_HI, PROFILE_LO)
            labels = self._labels.slice(prefix, self._depth, columns)
            linked, profile = keys_of(labels), keys_of(labels, PROFILE_HI, PROFILE_LO)
        known, given = Keys.none(), np.empty(0, np.int64)
        if self._known is not None:
            rows = self._known.slice(prefix, self._depth, (KEY_HI, KEY_LO, GIVEN))
            given = rows.column(GIVEN).to_numpy()
            known, given = keys_of(rows).at(given > 0), given[given > 0]
        keys, number = distinct(Keys.joined([linked, *owners, known]))
        is_present = np.zeros(len(keys), np.bool_)
        is_present[number[: len(number) - len(known)]] = True
        is_linked = np.zeros(len(keys), np.bool_)
        at = number[: len(linked)]
        is_linked[at] = True
        stands = Keys(keys.hi.copy(), keys.lo.copy())
        stands.hi[at], stands.lo[at] = profile.hi, profile.lo
        own = np.zeros(len(keys), np.int64)
        own[number[len(number) - len(known) :]] = given
        return _Slice(keys, is_present, is_linked, stands, own)

    def _number_linked(self) -> _Linked:
        """Number the profiles of several identities: by their smallest number, else by a new one.

        Takes 25 bytes for each such profile, and 24 for each identity of one that was numbered.
        """
        representatives, profiles, given = [], [], []
        for prefix in range(1 << self._depth):
            each = self._slice(prefix, [])
            stands = each.is_linked & _same(each.keys, each.profile)
            representatives.append(each.keys.at(stands))
            has_number = each.is_linked & (each.given > 0)
            profiles.append(each.profile.at(has_number))
            given.append(each.given[has_number])
        all_profiles = Keys.joined(representatives)
        numbers = np.full(len(all_profiles), NUMBER_LIMIT)
        at = places(Keys.joined(profiles), all_profiles)
        np.minimum.at(numbers, at, np.concatenate([np.empty(0, np.int64), *given]))
        is_new = numbers == NUMBER_LIMIT
        numbers[is_new] = self._new(int(is_new.sum()))
        return _Linked(all_profiles, numbers, is_new)

    def _numbered(self, each: _Slice, linked: _Linked) -> pa.Table:
        numbers, given = np.zeros(len(each.keys), np.int64), each.given.copy()
        numbers[each.is_linked] = linked.of(each.profile.at(each.is_linked))
        stands = np.flatnonzero(each.is_linked & _same(each.keys, each.profile))
        is_new = stands[linked.next_are_new(len(stands))]
        given[is_new] = numbers[is_new]
        alone = each.is_present & ~each.is_linked
        numbers[alone] = each.given[alone]
        is_new = np.flatnonzero(alone & (each.given == 0))
        numbers[is_new] = given[is_new] = self._new(len(is_new))
        columns = {KEY_HI: each.keys.hi, KEY_LO: each.keys.lo, NUMBER: numbers, GIVEN: given}
        return pa.table({name: pa.array(column) for name, column in columns.items()}, SCHEMA)

    def _new(self, count: int) -> Ints:
        first = self._next
        self._next += count
        if self._next > NUMBER_LIMIT:
            raise OverflowError("no more numbers are left for profiles")
        return np.arange(first, self._next)

    def _merged(self, ended: pa.Table) -> pa.Table:
        """Add to numbers that ended when that was seen: long ago, or now."""
        newest = self._snapshot.ingested_at.max(initial=0)
        merged_at = np.full(ended.num_rows, newest)
        if self._saved is not None:
            with pa.ipc.open_file(self._files.open(self._saved.merged_key)) as file:
                before = file.read_all()
            known = before.column("merged_gio_id").to_numpy()
            numbers = ended.column("merged_gio_id").to_numpy()
            at = np.minimum(np.searchsorted(known, numbers), max(len(known) - 1, 0))
            if len(known):
                was_known = known[at] == numbers
                merged_at[was_known] = before.column("merged_at").to_numpy()[at[was_known]]
        return ended.append_column("merged_at", pa.array(merged_at)).cast(MERGED)


def _ended(rows: pa.Table) -> pa.Table:
    """Give the numbers that stand for another number's profile, and that number."""
    numbers, given = rows.column(NUMBER).to_numpy(), rows.column(GIVEN).to_numpy()
    ended = (given > 0) & (numbers > 0) & (given != numbers)
    return pa.table({"merged_gio_id": given[ended], "gio_id": numbers[ended]})


def _same(one: Keys, other: Keys) -> Bools:
    same: Bools = (one.hi == other.hi) & (one.lo == other.lo)
    return same
