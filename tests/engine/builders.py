"""Store files, orders and exports made by hand: the way into the merge without promotion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from catalog import memberships
from catalog.merge_policies import AttributeMerge, IdentityGraph
from catalog.schemas import IDENTITY_MAP, SEGMENT_MEMBERSHIP, Field, Kind
from catalog.store_files import StoreFileKind
from service.engine.arrow_types import leaf_types
from service.engine.compaction import compact
from service.engine.exporting import export
from service.engine.marks import marks
from service.engine.orders import (
    CompactionOrder,
    Evaluation,
    EventChoice,
    ExportOrder,
    Fragments,
    HomeFile,
    Part,
    Planned,
    Progress,
    Rule,
    SegmentationOrder,
    Segmented,
    memberships_of,
    merger_of,
)
from service.engine.segmenting import segment
from service.engine.store_files import StoreFileWriter
from service.storage.files import Files
from tests.engine.oracle import STATES, Batch, Identity, Row, _values, identities_of

SECRET = b"a secret of exactly 32 bytes ..."
DAY_ONE = datetime(2024, 1, 1, tzinfo=UTC)

EVENT_FIELDS = (
    Field("_id", Kind.STRING),
    Field("timestamp", Kind.TIMESTAMP),
    Field("kind", Kind.STRING),
    IDENTITY_MAP,
)


def text(name: str) -> Field:
    return Field(name, Kind.STRING)


def an_object(name: str, *fields: Field) -> Field:
    return Field(name, Kind.OBJECT, fields=fields)


def named(*identities: str, primary: str | None = None, state: str = "ambiguous") -> Row:
    """An identity map of identities such as ``crm:7``; the first is primary unless told."""
    merged: Row = {}
    for identity in identities:
        namespace, _, value = identity.partition(":")
        is_primary = identity == (primary or identities[0])
        entry = {"id": value, "authenticatedState": state, "primary": is_primary}
        merged.setdefault(namespace, []).append(entry)
    return merged


def a_batch(dataset_id: str, number: int, *rows: Row, **changes: Any) -> Batch:
    """Batch ``number``, ingested on that day of 2024."""
    defaults: dict[str, Any] = {
        "dataset_id": dataset_id,
        "rows": list(rows),
        "fields": (text("first"), text("last"), SEGMENT_MEMBERSHIP),
        "ingest_number": number,
        "ingested_at": day(number),
    }
    return Batch(**{**defaults, **changes})


def an_event_batch(dataset_id: str, number: int, *rows: Row, **changes: Any) -> Batch:
    return a_batch(
        dataset_id, number, *rows, **{"is_event": True, "fields": EVENT_FIELDS, **changes}
    )


def day(number: int) -> datetime:
    return DAY_ONE + timedelta(days=number)


def key_of(identity: Identity, secret: bytes = SECRET) -> int:
    """The 128-bit key of an identity, from its definition."""
    namespace, value = (part.encode() for part in identity)
    prefix = len(namespace).to_bytes(4, "little")
    digest = blake2b(prefix + namespace + value, digest_size=16, key=secret).digest()
    return int.from_bytes(digest, "big")


def an_order(batches: Sequence[Batch] = (), **changes: Any) -> ExportOrder:
    """An order for all fields of all batches, with everything else at its default."""
    profile_fields = _united(batch for batch in batches if not batch.is_event)
    event_fields = _united(batch for batch in batches if batch.is_event)
    defaults: dict[str, Any] = {
        "folder": "export",
        "files": (),
        "profile_fields": tuple(field.to_json() for field in profile_fields),
        "event_fields": tuple(field.to_json() for field in event_fields),
        "identity_graph": IdentityGraph.NONE,
        "attribute_merge": AttributeMerge.TIMESTAMP_ORDERED,
        "namespaces": {"crm": "CRM", "email": "Email", "web": "web"},
    }
    return ExportOrder(**{**defaults, **changes})


def _united(batches: Any) -> list[Field]:
    fields: dict[str, Field] = {}
    for batch in batches:
        for field in batch.fields:
            fields.setdefault(field.name, field)
    return list(fields.values())


ALL_EVENTS = EventChoice()
STITCHED = IdentityGraph.PRIVATE
RANKED = AttributeMerge.DATASET_PRECEDENCE


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an engine made of an order."""

    planned: Planned
    parts: list[Part]
    #: Of the parts.
    tables: list[pa.Table]
    #: Rows of the list of what was left out, of the first batch.
    exclusions: list[Row]
    progress: list[Progress]

    @property
    def rows(self) -> list[Row]:
        return [row for table in self.tables for row in rows_of(table)]

    def of_batch(self, batch: int) -> list[Row]:
        """The rows of one of several batches."""
        tables = zip(self.parts, self.tables, strict=True)
        return [row for part, table in tables if part.batch == batch for row in rows_of(table)]

    @property
    def counters(self) -> dict[str, int]:
        summed: dict[str, int] = {}
        for part in self.parts:
            for name, count in part.counters.items():
                summed[name] = summed.get(name, 0) + count
        return summed


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a segment job found out."""

    number: int
    at: datetime
    segment_ids: tuple[str, ...]
    tasks: list[Segmented]

    def count(self, name: str, segment: str) -> int:
        """How many profiles ``entered``, ``stayed`` or ``left`` a segment."""
        place = self.segment_ids.index(segment)
        return sum(getattr(task, name)[place] for task in self.tasks)


def with_kept(
    order: ExportOrder, *kept: Kept, ttl_days: Mapping[str, int] = MappingProxyType({})
) -> ExportOrder:
    """Tell an order of what segment jobs found out, the last of which counts for each segment."""
    newest = {id: one.number for one in kept for id in one.segment_ids}
    sets = [
        memberships.MembershipSet(
            id=memberships.MembershipSetId(one.number),
            evaluated_at=one.at,
            added=one.number,
            segment_ids={n: id for n, id in enumerate(one.segment_ids) if newest[id] == one.number},
            ttl_days={n: ttl_days[id] for n, id in enumerate(one.segment_ids) if id in ttl_days},
            segment_count=len(one.segment_ids),
            files=tuple(
                memberships.MembershipFile(
                    key=task.key, size_bytes=task.size_bytes, row_count=task.row_count
                )
                for task in one.tasks
                if task.row_count
            ),
        )
        for one in kept
    ]
    files, told = memberships_of(sets)
    others = [file for file in order.files if file.kind is not StoreFileKind.MEMBERSHIPS]
    return order.model_copy(update={"files": (*others, *files), "membership_sets": told})


class Store:
    """A folder of store files, and exports from them."""

    def __init__(self, root: Path, *, unlinked: frozenset[str] = frozenset()) -> None:
        self.files = Files(root)
        self._unlinked = unlinked
        self._export_count = 0

    def put(self, batch: Batch, *, depth: int = 0, group_rows: int = 1 << 20) -> list[Fragments]:
        """Write the store files of a batch, cut at one depth."""
        tables = tables_of(batch, self._unlinked)
        return [
            self._put(batch, kind, table, depth, group_rows)
            for kind, table in tables.items()
            if table.num_rows
        ]

    def _put(
        self, batch: Batch, kind: StoreFileKind, table: pa.Table, depth: int, group_rows: int
    ) -> Fragments:
        key = f"store/{batch.ingest_number:06d}-{kind.value}"
        with self.files.create(key) as sink:
            words = _words(table) if batch.ingest_number % 4 else {}
            writer = StoreFileWriter(sink, table.schema, depth=depth, secret=SECRET, words=words)
            prefixes = [hi >> (64 - depth) for hi in table["_key_hi"].to_pylist()]
            for prefix in sorted(set(prefixes)):
                rows = [n for n, p in enumerate(prefixes) if p == prefix]
                for start in range(0, len(rows), group_rows):
                    writer.write(prefix, table.take(rows[start : start + group_rows]))
            writer.close()
        written = sink.written()
        return Fragments(
            dataset_id=batch.dataset_id,
            kind=kind,
            key=key,
            size_bytes=written.size_bytes,
            row_count=table.num_rows,
            ingest_number=batch.ingest_number,
            ingested_at=batch.ingested_at,
            is_upsert=batch.is_upsert,
            added=batch.ingest_number,
        )

    def compact(
        self,
        files: Sequence[Fragments],
        *,
        added: int = 0,
        settled_until: datetime | None = None,
        relied_on: set[int] | None = None,
    ) -> list[Fragments]:
        """Make one file of files of one data set and kind; none when no row is left.

        The ingest numbers of batches for whose sake rows were dropped are added to ``relied_on``.
        """
        self._export_count += 1
        merger, sources = merger_of(files, settled_until=settled_until)
        order = CompactionOrder(
            folder=f"compacted-{self._export_count}", mergers=(merger,), secret=SECRET
        )
        (made,) = compact(order, self.files, lambda _: None).files
        if relied_on is not None:
            relied_on |= {sources[number].ingest_number for number in made.relied_on}
        compacted = Fragments(
            dataset_id=files[0].dataset_id,
            kind=made.kind,
            key=made.key,
            size_bytes=made.size_bytes,
            row_count=made.row_count,
            ingest_number=min(file.ingest_number for file in files),
            ingested_at=max(file.ingested_at for file in files),
            is_upsert=False,
            added=added,
            sources=sources,
            source_count=len(sources),
        )
        return [compacted] if made.row_count else []

    def home_of(self, file: Fragments, labelling: str) -> HomeFile:
        """Write the home file of a store file by a labelling."""
        self._export_count += 1
        order = CompactionOrder(
            folder=f"homes-{self._export_count}",
            mergers=(),
            labelling=labelling,
            homeless=(file.key,),
            secret=SECRET,
        )
        (made,) = compact(order, self.files, lambda _: None).homes
        return HomeFile(store_file=file.key, key=made.key, labelling=labelling)

    def export(self, order: ExportOrder) -> Exported:
        """Plan and run an order in a fresh folder."""
        self._export_count += 1
        order = order.model_copy(update={"folder": f"{order.folder}-{self._export_count}"})
        answers: list[Any] = []
        progress: list[Progress] = []
        export(order, self.files, answers.append, progress.append)
        planned, *written, done = answers
        parts = sorted(written, key=lambda part: (part.number, part.batch))
        tables = [pq.read_table(self.files.open(part.key)) for part in parts]
        listed = done.exclusions[0]
        exclusions = rows_of(pq.read_table(self.files.open(listed.key))) if listed else []
        return Exported(
            planned=planned, parts=parts, tables=tables, exclusions=exclusions, progress=progress
        )

    def segment(
        self,
        order: ExportOrder,
        rules: Mapping[str, str],
        *,
        at: datetime,
        before: Sequence[Kept] = (),
    ) -> Kept:
        """Evaluate rules, by segment, as a segment job does, after what was kept ``before``."""
        self._export_count += 1
        evaluation = Evaluation(
            rules=tuple(Rule(segment_id=id, text=rule) for id, rule in rules.items()),
            evaluated_at=at,
        )
        changes = {
            "folder": f"segments-{self._export_count}",
            "evaluation": evaluation,
            "has_rows": False,
            "with_empty_profiles": True,
        }
        told = SegmentationOrder(
            export=with_kept(order, *before).model_copy(update=changes), secret=SECRET
        )
        answers: list[Any] = []
        segment(told, self.files, answers.append, lambda _: None)
        _, *tasks, _ = answers
        return Kept(
            number=self._export_count,
            at=at,
            segment_ids=tuple(rules),
            tasks=sorted(tasks, key=lambda task: task.number),
        )

    def export_of(self, *batches: Batch, **changes: Any) -> Exported:
        """Store batches and export everything."""
        files = tuple(file for batch in batches for file in self.put(batch))
        return self.export(an_order(batches, files=files, **changes))


def _words(table: pa.Table) -> dict[str, pa.Array]:
    """Store all texts as words, as promotions do with those that repeat."""
    texts = [field.name for field in table.schema if pa.types.is_string(field.type)]
    return {name: table.column(name).unique().drop_null() for name in texts if name != "value"}


def rows_of(table: pa.Table) -> list[Row]:
    return table.to_pylist(maps_as_pydicts="strict")


def tables_of(batch: Batch, unlinked: frozenset[str]) -> dict[StoreFileKind, pa.Table]:
    """What a batch puts into the profile store, row by row."""
    rows = []
    for seq, row in enumerate(batch.rows):
        identities, primary = identities_of(row, batch.descriptors)
        rows.append((key_of(primary), seq, row, identities))
    kind = StoreFileKind.EVENTS if batch.is_event else StoreFileKind.RECORDS
    return {
        kind: _rows_table(batch, rows),
        StoreFileKind.IDENTITIES: _identities_table(rows),
        StoreFileKind.LINKS: _links_table(rows, unlinked),
    }


def _rows_table(batch: Batch, rows: list[Any]) -> pa.Table:
    types = leaf_types(batch.fields)
    if not batch.is_event:
        types.pop("identityMap", None)
        if not batch.is_upsert:
            rows = list({key: (key, seq, row, ids) for key, seq, row, ids in rows}.values())
    if batch.is_event:
        rows = sorted(rows, key=lambda r: (r[0], _event_time(r[2]), r[1]))
    else:
        rows = sorted(rows, key=lambda r: (r[0], r[1]))
    leaves = [dict(_values(row, batch.fields)) for _, _, row, _ in rows]
    columns = _key_columns("_key", [key for key, *_ in rows])
    columns["_seq"] = pa.array([seq for _, seq, *_ in rows], pa.int64())
    if batch.is_event:
        columns["_mark"] = marks(pa.array([row.get("_id") for _, _, row, _ in rows], pa.string()))
    for path, type in types.items():
        values = [_storable(leaf.get(tuple(path.split("."))), type) for leaf in leaves]
        columns[path] = pa.array(values, type)
    return pa.table(columns)


def _event_time(row: Row) -> datetime:
    return row.get("timestamp") or datetime.min.replace(tzinfo=UTC)


def _storable(value: Any, type: pa.DataType) -> Any:
    """Arrow takes maps as pairs."""
    if value is None:
        return None
    if pa.types.is_map(type):
        return [(key, _storable(item, type.item_type)) for key, item in value.items()]
    if pa.types.is_list(type):
        return [_storable(element, type.value_type) for element in value]
    if pa.types.is_struct(type):
        return {field.name: _storable(value.get(field.name), field.type) for field in type}
    return value


def _identities_table(rows: list[Any]) -> pa.Table:
    strongest: dict[tuple[int, int], tuple[Identity, int]] = {}
    for owner, _, _, identities in rows:
        for identity, state in identities.items():
            code = STATES.index(state)
            _, known = strongest.get((owner, key_of(identity)), (identity, code))
            strongest[owner, key_of(identity)] = identity, max(code, known)
    in_order = sorted(strongest.items(), key=_first)
    columns = _key_columns("_key", [owner for (owner, _), _ in in_order])
    columns |= _key_columns("id", [id for (_, id), _ in in_order])
    namespaces = pa.array([identity[0] for _, (identity, _) in in_order], pa.string())
    columns["namespace"] = namespaces.dictionary_encode()
    columns["value"] = pa.array([identity[1] for _, (identity, _) in in_order], pa.string())
    columns["state"] = pa.array([state for _, (_, state) in in_order], pa.int8())
    return pa.table(columns)


def _links_table(rows: list[Any], unlinked: frozenset[str]) -> pa.Table:
    pairs = set()
    for *_, identities in rows:
        keys = sorted(key_of(i) for i in identities if i[0] not in unlinked)
        pairs |= {(keys[0], other) for other in keys[1:]}
    in_order = sorted(pairs)
    columns = _key_columns("_key", [key for key, _ in in_order])
    columns |= _key_columns("other", [other for _, other in in_order])
    return pa.table(columns)


def _key_columns(name: str, keys: list[int]) -> dict[str, pa.Array]:
    return {
        f"{name}_hi": pa.array([key >> 64 for key in keys], pa.uint64()),
        f"{name}_lo": pa.array([key & ((1 << 64) - 1) for key in keys], pa.uint64()),
    }


_first: Callable[[Any], Any] = lambda pair: pair[0]  # noqa: E731
