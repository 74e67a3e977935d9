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
from service.engine.orders import NewNumbering
from service.engine.ranking import Bools, Finder, Ints, Keys, changes, distinct, equal, places
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

_OWNER = (KEY_HI, KEY_LO, SOURCE)
_LABEL = (KEY_HI, KEY_LO, PROFILE_HI, PROFILE_LO)


@dataclass(frozen=True, slots=True)
class _Slice:
    """All identities under a prefix, ascending; what the arrays say of places are those in keys."""

    keys: Keys
    #: Places of those that are linked with another identity, ascending.
    linked: Ints
    #: Of each linked one, who represents its profile.
    profile: Keys
    #: Places of the others that a row of the snapshot has, ascending.
    alone: Ints
    #: By key, the number that was given to it before; 0 when none was.
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

    def next(self, count: int) -> tuple[Ints, Bools]:
        """Give the numbers of so many profiles, in their order, and which were given just now."""
        first = self.before
        self.before += count
        return self.numbers[first : self.before], self.is_new[first : self.before]


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
        """Give the owners of rows that are there, each once."""
        rows = file.worded_slice(prefix, self._depth, _OWNER)
        is_there, keys = self._snapshot.present(number, rows), keys_of(rows)
        keys = keys if is_there is None else keys.at(is_there)
        return keys.at(changes(keys))

    def _linked_under(self, prefix: int) -> tuple[Keys, Keys]:
        """Give the linked identities under a prefix, and of each who represents its profile."""
        if self._labels is None:
            return Keys.none(), Keys.none()
        labels = self._labels.slice(prefix, self._depth, _LABEL)
        return keys_of(labels), keys_of(labels, PROFILE_HI, PROFILE_LO)

    def _known_under(self, prefix: int) -> tuple[Keys, Ints]:
        """Give the identities under a prefix that a number was given to, and these."""
        if self._known is None:
            return Keys.none(), np.empty(0, np.int64)
        rows = self._known.slice(prefix, self._depth, (KEY_HI, KEY_LO, GIVEN))
        given = rows.column(GIVEN).to_numpy()
        return keys_of(rows).at(given > 0), given[given > 0]

    def _slice(self, prefix: int, owners: list[Keys]) -> _Slice:
        linked, profile = self._linked_under(prefix)
        known, given = self._known_under(prefix)
        # Many owners are linked, and each has rows in many files. To look them up among those that
        # are linked, and sorted already, is cheaper than to sort all of them once more.
        sought = Keys.joined([*owners, known])
        found = Finder(linked).places(sought)
        apart = np.flatnonzero(found < 0)
        others, number = distinct(sought.at(apart))
        keys, of_linked, of_others = _as_one(linked, others)
        place = of_linked.take(found, mode="clip") if len(linked) else found
        place[apart] = of_others.take(number)
        own = np.zeros(len(keys), np.int64)
        own[place[len(place) - len(known) :]] = given
        alone = np.zeros(len(others), np.bool_)
        alone[number[: np.searchsorted(apart, len(place) - len(known))]] = True
        return _Slice(keys, of_linked, profile, of_others[alone], own)

    def _number_linked(self) -> _Linked:
        """Number the profiles of several identities: by their smallest number, else by a new one.

        Takes 25 bytes for each such profile, and 24 for each identity of one that was numbered.
        """
        representatives, profiles, given = [], [], []
        for prefix in range(1 << self._depth):
            linked, profile = self._linked_under(prefix)
            representatives.append(linked.at(equal(linked, profile)))
            known, own = self._known_under(prefix)
            at = places(known, linked)
            profiles.append(profile.at(at[at >= 0]))
            given.append(own[at >= 0])
        all_profiles = Keys.joined(representatives)
        numbers = np.full(len(all_profiles), NUMBER_LIMIT)
        at = places(Keys.joined(profiles), all_profiles)
        np.minimum.at(numbers, at, np.concatenate([np.empty(0, np.int64), *given]))
        is_new = numbers == NUMBER_LIMIT
        numbers[is_new] = self._new(int(is_new.sum()))
        return _Linked(all_profiles, numbers, is_new)

    def _numbered(self, each: _Slice, linked: _Linked) -> pa.Table:
        numbers, given = np.zeros(len(each.keys), np.int64), each.given
        stands = equal(each.keys.at(each.linked), each.profile)
        representatives, strays = each.linked[stands], np.flatnonzero(~stands)
        numbers[representatives], is_new = linked.next(len(representatives))
        numbers[each.linked[strays]] = linked.of(each.profile.at(strays))
        is_given = representatives[is_new]
        given[is_given] = numbers[is_given]
        is_given = each.alone[given[each.alone] == 0]
        given[is_given] = self._new(len(is_given))
        numbers[each.alone] = given[each.alone]
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


def _as_one(one: Keys, other: Keys) -> tuple[Keys, Ints, Ints]:
    """Merge keys that ascend, of which none is in both; also give where those of each are then."""
    if not len(other):
        return one, np.arange(len(one)), np.empty(0, np.int64)
    at = np.searchsorted(one.hi, other.hi)
    if len(one) and (one.hi.take(at, mode="clip") == other.hi).any():
        keys, place = distinct(Keys.joined([one, other]))
        return keys, place[: len(one)], place[len(one) :]
    of_other = at + np.arange(len(other))
    is_one = np.ones(len(one) + len(other), np.bool_)
    is_one[of_other] = False
    of_one = np.flatnonzero(is_one)
    keys = Keys(np.empty(len(is_one), np.uint64), np.empty(len(is_one), np.uint64))
    for half, ones, others in ((keys.hi, one.hi, other.hi), (keys.lo, one.lo, other.lo)):
        half[of_one], half[of_other] = ones, others
    return keys, of_one, of_other
