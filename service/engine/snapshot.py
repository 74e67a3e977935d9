"""The store files an order names: what is decided for each, and what is read of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from catalog.merge_policies import AttributeMerge
from catalog.schemas import SEGMENT_MEMBERSHIP, Field
from catalog.segments import OWN_NAMESPACE
from catalog.store_files import StoreFileKind
from service.engine.arrow_types import arrow_type
from service.engine.orders import GONE, ExportOrder, Fragments
from service.engine.projection import EVENT_ID, EVENT_TIME, Projection
from service.engine.ranking import Bools, Ints
from service.engine.rules import Rules
from service.engine.store_files import KEY_HI, KEY_LO, MARK, MEMBERSHIPS, SEQ, SOURCE

#: What slices are made of. Links say which rows go together, and are not read after that.
READ = (
    StoreFileKind.RECORDS,
    StoreFileKind.EVENTS,
    StoreFileKind.IDENTITIES,
    StoreFileKind.MEMBERSHIPS,
)

_OWN = (KEY_HI, KEY_LO, SOURCE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Snapshot:
    """An order's files by number, and what merging needs to know of the batches in them.

    A *source* is what one batch has in one file, numbered through all files. A file that was not
    compacted is one source.
    """

    def __init__(self, order: ExportOrder) -> None:
        self.order = order
        self.files = order.files
        self.projection = Projection.of(order)
        self.rules = Rules.of(order)
        self.dataset_ids = sorted({file.dataset_id for file in order.files})
        self._dataset_numbers = {id: n for n, id in enumerate(self.dataset_ids)}
        sources = [(file, source) for file in order.files for source in file.all_sources]
        #: Per file: the source of each number in the file.
        self._numbering = _numbering(order.files)
        #: Per source: place of its data set in ``dataset_ids``.
        self.dataset: Ints = _ints(self._dataset_numbers[file.dataset_id] for file, _ in sources)
        self.ingest_number: Ints = _ints(source.ingest_number for _, source in sources)
        #: Microseconds since 1970.
        self.ingested_at: Ints = _ints(micros(source.ingested_at) for _, source in sources)
        #: Precedence of its data set, highest strongest; all alike unless data sets are ranked.
        self.strength: Ints = _ints(_strength(order, file.dataset_id) for file, _ in sources)
        self.is_upsert: Bools = np.array([source.is_upsert for _, source in sources], np.bool_)

    def dataset_of(self, number: int) -> int:
        """Give the place of a file's data set in ``dataset_ids``."""
        return self._dataset_numbers[self.files[number].dataset_id]

    def sources(self, number: int, rows: pa.Table) -> Ints:
        """Give the source of each row of a file, :data:`GONE` for rows that are not there.

        Of a file that was compacted the rows must have been read with :data:`SOURCE`.
        """
        numbering = self._numbering[number]
        if not self.files[number].sources:
            return np.full(rows.num_rows, numbering[0])
        source: Ints = numbering[rows.column(SOURCE).to_numpy()]
        return source

    def present(self, number: int, rows: pa.Table) -> Bools | None:
        """Say which rows of a file are there; None when all are. Read as :meth:`sources` says."""
        if not self.files[number].sources:
            return None
        is_there = self.sources(number, rows) != GONE
        return None if is_there.all() else is_there

    def all(self, kind: StoreFileKind) -> list[int]:
        """Name all files of a kind."""
        return [n for n, file in enumerate(self.files) if file.kind is kind]

    def numbers(self, kind: StoreFileKind) -> list[int]:
        """Name the files of a kind that can change the export."""
        match kind:
            case StoreFileKind.RECORDS:
                return [n for n in self.all(kind) if self._is_ranked(n)]
            case StoreFileKind.EVENTS:
                return [n for n in self.all(kind) if self._may_hold_live_events(n)]
            case StoreFileKind.IDENTITIES:
                records = {self.dataset_of(n) for n in self.all(StoreFileKind.RECORDS)}
                return [
                    n
                    for n in self.all(kind)
                    if self.dataset_of(n) not in records or self._is_ranked(n)
                ]
            case StoreFileKind.LINKS:
                return self.all(kind)
            case StoreFileKind.MEMBERSHIPS:
                return self.all(kind) if self._own_memberships_matter else []

    def columns(self, kind: StoreFileKind) -> tuple[str, ...]:
        """Name the columns that are read of such files, keys included."""
        match kind:
            case StoreFileKind.RECORDS:
                return (*_OWN, SEQ, *self._record_leaves())
            case StoreFileKind.EVENTS:
                leaves = dict.fromkeys([MARK, EVENT_ID.name, *self._event_leaves()])
                if self.order.events is not None or self.rules.need_events:
                    leaves[EVENT_TIME.name] = None
                return (*_OWN, SEQ, *leaves)
            case StoreFileKind.IDENTITIES:
                if not (self.projection.has_identities or self.rules.need_identities):
                    return (*_OWN, "namespace")
                return (*_OWN, "id_hi", "id_lo", "namespace", "value", "state")
            case StoreFileKind.LINKS:
                return (*_OWN, "other_hi", "other_lo")
            case StoreFileKind.MEMBERSHIPS:
                return (*_OWN, MEMBERSHIPS)

    def leaf_types(self, kind: StoreFileKind) -> dict[str, pa.DataType]:
        """Give the types that leaves have in the export, whatever type a file has them in."""
        leaves: dict[str, Field] = {}
        if kind is StoreFileKind.RECORDS:
            leaves = self._record_leaves()
        elif kind is StoreFileKind.EVENTS:
            named = {field.name: field for field in (EVENT_ID, EVENT_TIME)}
            leaves = named | self._event_leaves()
        return {path: arrow_type(field) for path, field in leaves.items()}

    @property
    def events_decide(self) -> bool:
        """Whether events say which profiles are exported, not only what they carry."""
        return self.order.with_empty_profiles or self.order.updated_after is not None

    @property
    def updated_after(self) -> int:
        """The instant that a profile's last update must be later than, in microseconds."""
        after = self.order.updated_after
        return np.iinfo(np.int64).min if after is None else micros(after)

    @property
    def is_in_window(self) -> Bools:
        """Per source, whether its events were ingested in the window of events to export."""
        choice = self.order.events
        if choice is None:
            return np.zeros(len(self.dataset), np.bool_)
        after = choice.ingested_after or self.order.updated_after
        inside = np.ones(len(self.dataset), np.bool_)
        if after is not None:
            inside &= self.ingested_at > micros(after)
        if choice.ingested_until is not None:
            inside &= self.ingested_at <= micros(choice.ingested_until)
        return inside

    @property
    def main_dataset_id(self) -> str | None:
        """The record data set with the most bytes; of equals, the first by id."""
        size_bytes: Counter[str] = Counter()
        for n in self.all(StoreFileKind.RECORDS):
            size_bytes[self.files[n].dataset_id] += self.files[n].size_bytes
        return min(size_bytes, key=lambda id: (-size_bytes[id], id), default=None)

    def main_dataset_files(self) -> list[int]:
        """Name the record files of the main data set."""
        main = self.main_dataset_id
        return [n for n in self.all(StoreFileKind.RECORDS) if self.files[n].dataset_id == main]

    def _record_leaves(self) -> dict[str, Field]:
        """Give the leaves that are exported, and those that say whether a profile is."""
        leaves = {**self.rules.record_leaves, **self.projection.record_leaves()}
        if self.order.segments is not None:
            leaves.setdefault(SEGMENT_MEMBERSHIP.name, SEGMENT_MEMBERSHIP)
        return leaves

    def _event_leaves(self) -> dict[str, Field]:
        return {**self.rules.event_leaves, **self.projection.event_leaves()}

    @property
    def _own_memberships_matter(self) -> bool:
        """Whether memberships in segments of the service's own can change the export."""
        filter = self.order.segments
        return (
            self.order.evaluation is not None
            or SEGMENT_MEMBERSHIP.name in self.projection.record_leaves()
            or (
                filter is not None
                and any(choice.namespace.lower() == OWN_NAMESPACE for choice in filter.choices)
            )
        )

    def _is_ranked(self, number: int) -> bool:
        if self.order.attribute_merge is AttributeMerge.TIMESTAMP_ORDERED:
            return True
        return self.files[number].dataset_id in self.order.dataset_order

    def _may_hold_live_events(self, number: int) -> bool:
        if self.events_decide or self.rules.need_events:
            return True
        if self.order.events is None:
            return False
        # Files after the window stay: an event that came again there is no longer within it.
        after = self.order.events.ingested_after
        return after is None or self.files[number].newest_at > after


def _numbering(files: Iterable[Fragments]) -> list[Ints]:
    """Number the sources of files through; give for each file those of its own numbers."""
    numbering, count = [], 0
    for file in files:
        own = [source.number for source in file.all_sources]
        numbers = np.full(file.source_count, GONE)
        numbers[own] = np.arange(count, count + len(own))
        numbering.append(numbers)
        count += len(own)
    return numbering


def micros(instant: datetime) -> int:
    """Count microseconds since 1970, exactly."""
    return (instant - _EPOCH) // _MICROSECOND


def _strength(order: ExportOrder, dataset_id: str) -> int:
    if order.attribute_merge is AttributeMerge.TIMESTAMP_ORDERED:
        return 0
    if dataset_id not in order.dataset_order:
        return -1
    return len(order.dataset_order) - order.dataset_order.index(dataset_id)


def _ints(values: Iterable[int]) -> Ints:
    return np.fromiter(values, np.int64)
