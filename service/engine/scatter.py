"""Brings rows to the prefix of the profile they belong to, once, when an export is planned.

Rows whose profile is at home under another prefix than they are themselves are copied into
*runs*: store files cut at profiles' prefixes. Only the columns that the export needs are
copied, and each thread holds no more than one slice at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from catalog.store_files import StoreFileKind
from service.engine.arrow_types import Column
from service.engine.columns import column_in
from service.engine.labels import PROFILE_HI, PROFILE_LO, Labels, keys_of
from service.engine.nesting import taken
from service.engine.orders import GONE
from service.engine.ranking import Ints, Keys, ordered
from service.engine.snapshot import READ, Snapshot
from service.engine.store_files import (
    KEY_HI,
    KEY_LO,
    SOURCE,
    StoreFile,
    StoreFileWriter,
    common_words,
    prefixes,
)
from service.storage.files import Files

#: Column of runs: the number of the source that a row came from, in the snapshot.
ORIGIN = "_origin"

_ADDED = [(PROFILE_HI, pa.uint64()), (PROFILE_LO, pa.uint64()), (ORIGIN, pa.int64())]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """How one plan scatters."""

    snapshot: Snapshot
    #: Key of the labelling.
    labels: str
    depth: int
    folder: str
    files: Files

    def runs(self) -> Iterator[tuple[StoreFileKind, list[str]]]:
        """Write all runs, several data sets side by side, and name those of each kind in turn."""
        units = [
            (kind, dataset, numbers)
            for kind in READ
            for dataset, numbers in self._by_dataset(kind).items()
        ]
        with ThreadPoolExecutor(self.snapshot.order.threads) as pool:
            # The largest first, so that none is left to one thread alone in the end.
            largest_first = sorted(units, key=lambda unit: -self._bytes(unit[2]))
            written = {unit[:2]: pool.submit(self._runs, *unit) for unit in largest_first}
            for kind in READ:
                keys = [written[unit[:2]].result() for unit in units if unit[0] is kind]
                yield kind, [key for of_dataset in keys for key in of_dataset]

    def _by_dataset(self, kind: StoreFileKind) -> dict[int, list[int]]:
        """Name the files of a kind by the place of their data set."""
        numbers: dict[int, list[int]] = {}
        for number in self.snapshot.numbers(kind):
            numbers.setdefault(self.snapshot.dataset_of(number), []).append(number)
        return numbers

    def _bytes(self, numbers: Sequence[int]) -> int:
        return sum(self.snapshot.files[number].size_bytes for number in numbers)

    def _runs(self, kind: StoreFileKind, dataset: int, numbers: Sequence[int]) -> list[str]:
        """Write the runs of one data set, and name them."""
        schema = self._schema(kind, numbers)
        # Without them, the texts of all files would have to be merged as texts.
        words = common_words(self._open(n) for n in numbers)
        words = {name: words[name] for name in schema.names if name in words}
        keys = []
        for number, rows in enumerate(self._gathered(numbers, schema)):
            key = f"{self.folder}/runs/{kind.value}-{dataset:04d}-{number:05d}.arrow"
            self._write(key, rows, words)
            keys.append(key)
        return keys

    def _schema(self, kind: StoreFileKind, numbers: Sequence[int]) -> pa.Schema:
        """Give the columns that any of the files holds, each in the type exports have it in."""
        held: dict[str, pa.DataType] = {}
        for number in numbers:
            for field in self._open(number).schema:
                held.setdefault(field.name, field.type)
        held |= {n: t for n, t in self.snapshot.leaf_types(kind).items() if n in held}
        columns = [
            (name, held[name])
            for name in self.snapshot.columns(kind)
            if name in held and name != SOURCE
        ]
        return pa.schema([*columns, *_ADDED])

    def _gathered(self, numbers: Sequence[int], schema: pa.Schema) -> Iterator[pa.Table]:
        """Collect rows that must move, a slice's worth at a time."""
        waiting: list[pa.Table] = []
        waiting_bytes = 0
        limit = self.snapshot.order.identities_per_profile
        labels = Labels(StoreFile(self.files.open(self.labels)), limit)
        for number in numbers:
            for rows in self._moving(number, schema, labels):
                waiting.append(rows)
                waiting_bytes += rows.nbytes
                if waiting_bytes >= self.snapshot.order.slice_size_bytes:
                    yield pa.concat_tables(waiting)
                    waiting, waiting_bytes = [], 0
        if waiting:
            yield pa.concat_tables(waiting)

    def _moving(self, number: int, schema: pa.Schema, labels: Labels) -> Iterator[pa.Table]:
        file = self._open(number)
        for group, prefix in enumerate(file.layout.prefixes):
            lying = file.read_group(group, (KEY_HI, KEY_LO, SOURCE))
            keys, source = keys_of(lying), self.snapshot.sources(number, lying)
            profile, is_excluded = labels.resolve(keys, prefix, file.layout.depth)
            lives_at, home = prefixes(keys.hi, self.depth), prefixes(profile.hi, self.depth)
            moving = np.flatnonzero(~is_excluded & (lives_at != home) & (source != GONE))
            if len(moving):
                rows = file.read_rows(group, moving, schema.names)
                yield _labelled(rows, profile.at(moving), source[moving], schema)
            file.let_go()

    def _write(self, key: str, rows: pa.Table, words: Mapping[str, Column]) -> None:
        profile = keys_of(rows, PROFILE_HI, PROFILE_LO)
        in_order = taken(rows.unify_dictionaries(), ordered(profile.hi, profile.lo))
        with (
            self.files.create(key) as sink,
            StoreFileWriter(
                sink,
                rows.schema,
                depth=self.depth,
                secret=None,
                cut_at=PROFILE_HI,
                words=words,
            ) as writer,
        ):
            writer.write_sorted(in_order)

    def _open(self, number: int) -> StoreFile:
        return StoreFile(self.files.open(self.snapshot.files[number].key))


def _labelled(rows: pa.Table, profile: Keys, source: Ints, schema: pa.Schema) -> pa.Table:
    """Give rows all columns of a run, in its types."""
    own = [field for field in schema if field.name not in dict(_ADDED)]
    columns = [column_in(rows, field.name, field.type) for field in own]
    added = [pa.array(profile.hi), pa.array(profile.lo), pa.array(source)]
    return pa.Table.from_arrays([*columns, *added], schema=schema)
