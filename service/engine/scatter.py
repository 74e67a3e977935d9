"""Brings rows to the prefix of the profile they belong to, once, when an export is planned.

Rows of identities that another one stands for are copied into *runs*: store files cut at profiles'
prefixes. Only the columns that the export needs are
copied. What a vocabulary has words for is its numbers in runs, without the words: whoever reads
a run has made the same vocabulary of the same files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from catalog.store_files import StoreFileKind
from service.engine.arrow_types import Column
from service.engine.columns import widened
from service.engine.labels import PROFILE_HI, PROFILE_LO, Labels, keys_of
from service.engine.moved_rows import ADDED, ORIGIN, Moved, write_run
from service.engine.moves import Movers
from service.engine.orders import GONE
from service.engine.ranking import Ints, Keys, run_starts
from service.engine.snapshot import READ, Snapshot
from service.engine.staying_rows import Staying, staying, write_staying
from service.engine.store_files import (
    KEY_HI,
    KEY_LO,
    SOURCE,
    StoreFile,
    code_type,
    first_key,
    prefixes,
)
from service.engine.united_mentions import MentionReader, can_be_united
from service.engine.vocabularies import Vocabularies
from service.engine.vocabulary import Vocabulary
from service.storage.files import Files

#: Runs are of so many slices' size: each is a piece more in every slice, and two threads that
#: hold one each still take less than they do when they merge.
RUN_SLICES = 2
#: One thread reads so many slices' size in a row, and has two runs to write at most, or three.
PORTION_SLICES = 4
#: Of identities, of which few rows remain, one thread reads less in a row.
MENTIONS_SLICES = 2


class _Group(NamedTuple):
    """A group of a file; sorts by its keys."""

    first_key: int
    #: Of the file, in the snapshot.
    number: int
    #: In the file.
    group: int
    #: Of the columns that are needed.
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Portion:
    """What one thread takes in hand: some groups of the files of one data set."""

    kind: StoreFileKind
    #: Names the runs.
    number: int
    groups: Sequence[_Group]

    @property
    def size_bytes(self) -> int:
        return sum(group.size_bytes for group in self.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mentions:
    """What one thread takes in hand of the files of identities, where these are united."""

    #: Names the runs.
    number: int
    #: Of the depth of slices.
    prefixes: range
    size_bytes: int

    kind: ClassVar = StoreFileKind.IDENTITIES


class Run(BaseModel):
    """A store file of rows that were brought home, as a plan keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: StoreFileKind
    key: str


class Scattered(NamedTuple):
    """What was written of a portion."""

    runs: list[Run]
    #: Key of the list of its rows that stay, see :mod:`~service.engine.staying_rows`; null when
    #: only some of its rows were looked at.
    staying: str | None


class Scatter:
    """How one plan scatters."""

    def __init__(
        self,
        *,
        snapshot: Snapshot,
        vocabularies: Vocabularies,
        movers: Mapping[str, Movers],
        labels: str,
        depth: int,
        folder: str,
        files: Files,
    ) -> None:
        """Take the key of the labelling and the depth of slices.

        Of files with ``movers``, by their keys, no other rows are moved.
        """
        self._snapshot = snapshot
        self._vocabularies = vocabularies
        self._movers = movers
        self._labels = labels
        self._depth = depth
        self._folder = folder
        self._files = files
        vocabularies.make_all()
        #: Runs have all that identities files say; see :mod:`~service.engine.united_mentions`.
        self.unites_mentions = depth > 0 and can_be_united(snapshot)
        portions: list[_Portion | _Mentions] = []
        for kind in READ if depth else ():  # else everything is at home
            if kind is StoreFileKind.IDENTITIES and self.unites_mentions:
                portions += self._mentions()
            else:
                portions += self._portions(kind)
        self._in_hand = sorted(portions, key=lambda portion: -portion.size_bytes)

    @property
    def portion_count(self) -> int:
        return len(self._in_hand)

    def scattered(self, number: int) -> Scattered:
        """Bring the rows of one portion home, and say what was written.

        Portions are numbered from 0, the largest first, so that of those who share them nobody is
        left with one alone in the end.
        """
        portion = self._in_hand[number]
        reader = self._reader(portion)
        runs = [Run(kind=portion.kind, key=key) for key in self._scattered(portion, reader)]
        if not isinstance(reader, _Reader) or not reader.staying:
            return Scattered(runs=runs, staying=None)
        key = f"{self._folder}/runs/staying-{portion.kind.value}-{portion.number:04d}.arrow"
        write_staying(reader.staying, key, self._files)
        return Scattered(runs=runs, staying=key)

    def _portions(self, kind: StoreFileKind) -> list[_Portion]:
        """Share the groups of each data set out, in the order of their keys."""
        columns = self._snapshot.columns(kind)
        most_bytes = PORTION_SLICES * self._snapshot.order.slice_size_bytes
        by_dataset: dict[int, list[_Group]] = {}
        for number in self._snapshot.numbers(kind):
            file = self._open(number)
            movers = self._movers.get(self._snapshot.files[number].key)
            by_dataset.setdefault(self._snapshot.dataset_of(number), []).extend(
                _Group(first_key(each.prefix, file.layout.depth), number, group, each.size_bytes)
                for group, each in enumerate(file.groups(columns))
                if movers is None or len(movers.under(each.prefix, file.layout.depth))
            )
        portions: list[list[_Group]] = []
        for groups in by_dataset.values():
            size_bytes = most_bytes
            for group in sorted(groups):
                if size_bytes >= most_bytes:
                    portions.append([])
                    size_bytes = 0
                portions[-1].append(group)
                size_bytes += group.size_bytes
        return [
            _Portion(kind=kind, number=number, groups=groups)
            for number, groups in enumerate(portions)
        ]

    def _mentions(self) -> list[_Mentions]:
        """Share the prefixes out under which identities files say something."""
        columns = self._snapshot.columns(StoreFileKind.IDENTITIES)
        size_bytes = sum(
            group.size_bytes
            for number in self._snapshot.numbers(StoreFileKind.IDENTITIES)
            for group in self._open(number).groups(columns)
        )
        most_bytes = MENTIONS_SLICES * self._snapshot.order.slice_size_bytes
        count = min(1 << self._depth, -(-size_bytes // most_bytes))
        bounds = [(number << self._depth) // count for number in range(count + 1)]
        return [
            _Mentions(number=number, prefixes=range(*within), size_bytes=size_bytes // count)
            for number, within in enumerate(pairwise(bounds))
        ]

    def _reader(self, portion: _Portion | _Mentions) -> _Reader | MentionReader:
        words = self._vocabularies.of(portion.kind)
        if isinstance(portion, _Mentions):
            return MentionReader(portion.prefixes, self._snapshot, words, self._files)
        return _Reader(portion, self._snapshot, words, self._movers, self._files)

    def _scattered(
        self, portion: _Portion | _Mentions, reader: _Reader | MentionReader
    ) -> list[str]:
        """Write the runs of a portion."""
        runs: list[str] = []
        labels = Labels(
            StoreFile(self._files.open(self._labels)), self._snapshot.order.identities_per_profile
        )
        waiting: list[Moved] = []
        waiting_bytes = 0
        most_bytes = RUN_SLICES * self._snapshot.order.slice_size_bytes
        for moved in reader.moved(labels, self._depth):
            waiting.append(moved)
            waiting_bytes += moved.rows.nbytes
            if waiting_bytes >= most_bytes:
                runs.append(self._written(portion, len(runs), waiting))
                waiting, waiting_bytes = [], 0
        if waiting:
            runs.append(self._written(portion, len(runs), waiting))
        return runs

    def _written(self, portion: _Portion | _Mentions, number: int, waiting: Sequence[Moved]) -> str:
        key = f"{self._folder}/runs/{portion.kind.value}-{portion.number:04d}-{number:05d}.arrow"
        with self._files.create_passing(key) as sink:
            write_run(sink, waiting, self._depth)
        return key

    def _open(self, number: int) -> StoreFile:
        return StoreFile(self._files.open(self._snapshot.files[number].key))


class _Reader:
    """Reads the rows of a portion that must move."""

    def __init__(
        self,
        portion: _Portion,
        snapshot: Snapshot,
        vocabulary: Vocabulary,
        movers: Mapping[str, Movers],
        files: Files,
    ) -> None:
        #: Of the groups that were read so far, all rows of which were looked at.
        self.staying: list[Staying] = []
        self._snapshot = snapshot
        self._movers = movers
        self._vocabulary = vocabulary
        self._groups = portion.groups
        numbers = list(dict.fromkeys(group.number for group in portion.groups))
        self._files = {
            number: StoreFile(files.open(snapshot.files[number].key)) for number in numbers
        }
        #: By number: the place of a file in the vocabulary.
        self._places = {n: place for place, n in enumerate(snapshot.numbers(portion.kind))}
        #: The columns that any of the files holds, each in the type exports have it in.
        held: dict[str, pa.DataType] = {}
        for file in self._files.values():
            held |= {field.name: field.type for field in file.schema}
        held |= {n: t for n, t in snapshot.leaf_types(portion.kind).items() if n in held}
        held |= {n: code_type(words) for n, words in vocabulary.words.items() if n in held}
        unasked = {SOURCE, KEY_HI, KEY_LO} if portion.kind is StoreFileKind.EVENTS else {SOURCE}
        own = [n for n in snapshot.columns(portion.kind) if n in held and n not in unasked]
        #: Of dictionaries that are no words: one for all files.
        self._dictionaries = {
            name: _united(file.dictionary(name) for file in self._files.values())
            for name in own
            if pa.types.is_dictionary(held[name])
        }
        self._schema = pa.schema([*((n, held[n]) for n in own), *ADDED.items()])

    def moved(self, labels: Labels, depth: int) -> Iterator[Moved]:
        """Yield what of each group has another profile than itself, at a depth of slices."""
        for group in self._groups:
            file = self._files[group.number]
            rows = file.worded_group(group.group)
            moved = self._moved(rows, group, labels, depth)
            if moved is not None:
                yield moved
            file.let_go()

    def _moved(self, rows: pa.Table, group: _Group, labels: Labels, depth: int) -> Moved | None:
        layout = self._files[group.number].layout
        keys = keys_of(rows)
        at = self._may_move(keys, group)
        if at is not None:
            keys = keys.at(at)
        # Rows of one identity lie together and have one home.
        heads = run_starts(keys.hi, keys.lo)
        strays = labels.strays(keys.at(heads), layout.prefixes[group.group], layout.depth)
        home = prefixes(strays.profile.hi, depth).astype(np.uint16)
        order = np.argsort(home, kind="stable")  # sixteen bits are sorted by counting
        order = order[~strays.is_excluded[order]]
        starts = heads[strays.at[order]]
        row_counts = np.diff(heads, append=len(keys))
        counts = row_counts[strays.at[order]]
        moving = np.repeat(starts - (np.cumsum(counts) - counts), counts)
        moving += np.arange(len(moving))
        if at is None:
            stands = np.ones(len(heads), np.bool_)
            stands[strays.at] = False
            self.staying.append(staying(group.number, group.group, np.repeat(stands, row_counts)))
        # Numbers the identities through; they become those of the rows that move.
        identity = np.repeat(order, counts)
        if at is not None:
            moving = at[moving]
        source = self._snapshot.sources(group.number, rows)[moving]
        is_there = source != GONE
        if not is_there.all():
            moving, identity, source = moving[is_there], identity[is_there], source[is_there]
        if not len(moving):
            return None
        profiles = strays.profile.at(identity)
        added = {
            PROFILE_HI: pa.array(profiles.hi),
            PROFILE_LO: pa.array(profiles.lo),
            ORIGIN: pa.array(source.astype(np.int32)),
        }
        columns = [
            added[field.name]
            if field.name in added
            else self._taken(field, rows, moving, group.number)
            for field in self._schema
        ]
        return Moved(
            rows=pa.RecordBatch.from_arrays(columns, schema=self._schema), home=home[identity]
        )

    def _may_move(self, keys: Keys, group: _Group) -> Ints | None:
        """Say which rows of a group have to be looked at; None when all have."""
        movers = self._movers.get(self._snapshot.files[group.number].key)
        if movers is None:
            return None
        layout = self._files[group.number].layout
        return movers.rows(keys, layout.prefixes[group.group], layout.depth)

    def _taken(self, field: pa.Field, rows: pa.Table, moving: Ints, number: int) -> Column:
        """Give a column of a group at some rows, as the run has it."""
        name, type = field.name, field.type
        if name not in rows.schema.names:
            return pa.nulls(len(moving), type)
        taken = pc.take(rows.column(name).chunk(0), pa.array(moving), boundscheck=False)
        if name in self._vocabulary.words:
            return self._vocabulary.numbered(name, self._places[number], taken)
        if name in self._dictionaries:
            dictionary = self._dictionaries[name]
            codes = pc.index_in(taken.dictionary, value_set=dictionary).take(taken.indices)
            return pa.DictionaryArray.from_arrays(codes.cast(type.index_type), dictionary)
        return widened(taken, type)


def _united(dictionaries: Iterator[Column | None]) -> Column:
    return pc.unique(pa.chunked_array([each for each in dictionaries if each is not None]))
