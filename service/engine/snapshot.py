"""The store files an order names: what is decided for each, and what is read of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from catalog.merge_policies import AttributeMerge
from catalog.schemas import SEGMENT_MEMBERSHIP, Field
from catalog.store_files import StoreFileKind
from service.engine.arrow_types import arrow_type
from service.engine.orders import ExportOrder
from service.engine.projection import EVENT_ID, EVENT_TIME, Projection
from service.engine.ranking import Bools, Ints
from service.engine.store_files import KEY_HI, KEY_LO, SEQ

_KEYS = (KEY_HI, KEY_LO)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Snapshot:
    """An order's files by number, with arrays that say of each file what merging needs."""

    def __init__(self, order: ExportOrder) -> None:
        self.order = order
        self.files = order.files
        self.projection = Projection.of(order)
        self.dataset_ids = sorted({file.dataset_id for file in order.files})
        number = {id: n for n, id in enumerate(self.dataset_ids)}
        #: Per file: place of its data set in ``dataset_ids``.
        self.dataset: Ints = _ints(number[file.dataset_id] for file in order.files)
        self.ingest_number: Ints = _ints(file.ingest_number for file in order.files)
        #: Microseconds since 1970.
        self.ingested_at: Ints = _ints(micros(file.ingested_at) for file in order.files)
        #: Precedence of its data set, highest strongest; all alike unless data sets are ranked.
        self.strength: Ints = _ints(_strength(order, file.dataset_id) for file in order.files)
        self.is_upsert: Bools = np.array([file.is_upsert for file in order.files], np.bool_)

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
                records = {self.dataset[n] for n in self.all(StoreFileKind.RECORDS)}
                return [
                    n
                    for n in self.all(kind)
                    if self.dataset[n] not in records or self._is_ranked(n)
                ]
            case StoreFileKind.LINKS:
                return self.all(kind)

    def columns(self, kind: StoreFileKind) -> tuple[str, ...]:
        """Name the columns that are read of such files, keys included."""
        match kind:
            case StoreFileKind.RECORDS:
                return (*_KEYS, SEQ, *self._record_leaves())
            case StoreFileKind.EVENTS:
                leaves = dict.fromkeys([EVENT_ID.name, *self.projection.event_leaves()])
                if self.order.events is not None:
                    leaves[EVENT_TIME.name] = None
                return (*_KEYS, SEQ, *leaves)
            case StoreFileKind.IDENTITIES:
                if not self.projection.has_identities:
                    return (*_KEYS, "namespace")
                return (*_KEYS, "id_hi", "id_lo", "namespace", "value", "state")
            case StoreFileKind.LINKS:
                return (*_KEYS, "other_hi", "other_lo")

    def leaf_types(self, kind: StoreFileKind) -> dict[str, pa.DataType]:
        """Give the types that leaves have in the export, whatever type a file has them in."""
        leaves: dict[str, Field] = {}
        if kind is StoreFileKind.RECORDS:
            leaves = self._record_leaves()
        elif kind is StoreFileKind.EVENTS:
            named = {field.name: field for field in (EVENT_ID, EVENT_TIME)}
            leaves = named | self.projection.event_leaves()
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
        """Per file, whether its events were ingested in the window of events to export."""
        choice = self.order.events
        if choice is None:
            return np.zeros(len(self.files), np.bool_)
        after = choice.ingested_after or self.order.updated_after
        inside = np.ones(len(self.files), np.bool_)
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
        leaves = self.projection.record_leaves()
        if self.order.segments is not None:
            leaves.setdefault(SEGMENT_MEMBERSHIP.name, SEGMENT_MEMBERSHIP)
        return leaves

    def _is_ranked(self, number: int) -> bool:
        if self.order.attribute_merge is AttributeMerge.TIMESTAMP_ORDERED:
            return True
        return self.files[number].dataset_id in self.order.dataset_order

    def _may_hold_live_events(self, number: int) -> bool:
        if self.events_decide:
            return True
        if self.order.events is None:
            return False
        # Files after the window stay: an event that came again there is no longer within it.
        after = self.order.events.ingested_after
        return after is None or bool(self.ingested_at[number] > micros(after))


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
