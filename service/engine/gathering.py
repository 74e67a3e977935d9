"""Gathers all that the store holds of a few profiles into a store of its own, in memory.

The merge then runs on that small store exactly as it runs on the whole one, so that what a
look-up shows is what an export would hold.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from catalog.errors import NotFound
from catalog.store_files import StoreFileKind
from service.engine.labels import IDENTITY_COUNT, IS_MAIN, PROFILE_HI, PROFILE_LO, SCHEMA, keys_of
from service.engine.neighbours import Component, keys_from, numbers_in_order
from service.engine.open_store import OpenStore
from service.engine.orders import ENGINE_VERSION, GONE, ExportOrder, Fragments
from service.engine.plan import Plan, Task
from service.engine.ranking import Ints
from service.engine.snapshot import READ, Snapshot
from service.engine.store_files import KEY_HI, KEY_LO, SEQ, StoreFileWriter
from service.storage.files import Files

LABELS = "labels"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What one store file holds of some profiles; rows of batches that are gone left out."""

    file: Fragments
    rows: pa.Table
    #: Of each row: of the batch it came with.
    ingest_number: Ints
    #: Of each row, in microseconds since 1970.
    ingested_at: Ints

    @property
    def owners(self) -> list[int]:
        """The primary identity of each row; of identities files, the owner."""
        return numbers_in_order(keys_of(self.rows))

    @property
    def seqs(self) -> list[int]:
        """The running number of each record or event in its batch."""
        seqs: list[int] = self.rows.column(SEQ).to_pylist()
        return seqs


#: Changes the rows of a store file before they are merged.
Changing = Callable[[Held], pa.Table]


class GatheredFiles(Files):
    """Files that are in memory alone, for reading."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        super().__init__(Path())
        self._contents = contents

    def open(self, key: str) -> pa.NativeFile:
        if key not in self._contents:
            raise NotFound("gathered file", key)
        return pa.BufferReader(self._contents[key])

    def exists(self, key: str) -> bool:
        return key in self._contents


@dataclass(frozen=True, slots=True)
class Gathered:
    """Rows of some profiles, by the store file they lie in."""

    order: ExportOrder
    components: Sequence[Component]
    #: By number of the file in the order; files without such rows are left out.
    held: Mapping[int, Held] = field(repr=False)

    def small_store(self, changing: Mapping[StoreFileKind, Changing]) -> tuple[ExportOrder, Files]:
        """Make a store of these rows alone, and the order to export all of it.

        Of each data set one file of each kind stays, if only an empty one: what a data set is
        must not depend on whom is asked for.
        """
        kept, contents, seen = [], {LABELS: _labels(self.components)}, set()
        for number, file in enumerate(self.order.files):
            held = self.held.get(number)
            is_first = (file.dataset_id, file.kind) not in seen
            if file.kind is StoreFileKind.LINKS or (held is None and not is_first):
                continue
            seen.add((file.dataset_id, file.kind))
            if held is None:
                rows = _none_of(file.kind)
            else:
                rows = changing[file.kind](held) if file.kind in changing else held.rows
            contents[file.key] = _stored(rows)
            kept.append(file)
        return self.order.model_copy(update={"files": tuple(kept)}), GatheredFiles(contents)

    def of_kind(self, *kinds: StoreFileKind) -> list[Held]:
        """Give what the files of some kinds hold."""
        return [held for held in self.held.values() if held.file.kind in kinds]


def gather(snapshot: Snapshot, store: OpenStore, components: Sequence[Component]) -> Gathered:
    """Read all rows of some profiles that can matter to an export."""
    order = snapshot.order
    keys = keys_from({member for component in components for member in component.members})
    held = {}
    for kind in READ:
        columns = snapshot.columns(kind)
        for number in snapshot.numbers(kind):
            rows = store.rows(order.files[number].key, keys, columns)
            if rows is None:
                continue
            sources = snapshot.sources(number, rows)
            is_there = sources != GONE
            if is_there.any():
                held[number] = Held(
                    file=order.files[number],
                    rows=rows.filter(pa.array(is_there)),
                    ingest_number=snapshot.ingest_number[sources[is_there]],
                    ingested_at=snapshot.ingested_at[sources[is_there]],
                )
    return Gathered(order, components, held)


#: The plan of every small store: one slice that holds everything.
PLAN = Plan(
    engine_version=ENGINE_VERSION,
    libraries={},
    order_digest="",
    depth=0,
    tasks=(Task(first=0, stop=1),),
    labels=LABELS,
)


def representatives(components: Sequence[Component]) -> dict[int, int]:
    """Give the key that stands for the profile of each identity."""
    return {member: one.members[0] for one in components for member in one.members}


def _labels(components: Sequence[Component]) -> bytes:
    stands_for = representatives(components)
    identities = keys_from(set(stands_for))
    in_order = sorted(stands_for)
    low = (1 << 64) - 1
    columns = {
        KEY_HI: identities.hi,
        KEY_LO: identities.lo,
        PROFILE_HI: [stands_for[member] >> 64 for member in in_order],
        PROFILE_LO: [stands_for[member] & low for member in in_order],
        IDENTITY_COUNT: [1] * len(in_order),  # those that have too many were not gathered
        IS_MAIN: [False] * len(in_order),
    }
    arrays = [pa.array(columns[column.name], column.type) for column in SCHEMA]
    return _stored(pa.Table.from_arrays(arrays, schema=SCHEMA))


def _stored(rows: pa.Table) -> bytes:
    sink = io.BytesIO()
    with StoreFileWriter(sink, rows.schema, depth=0, secret=None) as writer:
        writer.write(0, rows)
    return sink.getvalue()


def _none_of(kind: StoreFileKind) -> pa.Table:
    fields = [(KEY_HI, pa.uint64()), (KEY_LO, pa.uint64())]
    if kind in {StoreFileKind.RECORDS, StoreFileKind.EVENTS}:
        fields.append((SEQ, pa.int64()))
    return pa.schema(fields).empty_table()
