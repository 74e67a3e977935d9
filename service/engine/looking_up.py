"""Looks up a few profiles: who is linked, what is known of them, what merging makes of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.schemas import Field, Kind
from catalog.store_files import StoreFileKind
from service.engine.explaining import Names, explain
from service.engine.gathering import PLAN, Gathered, Held, gather, representatives
from service.engine.labels import keys_of
from service.engine.last_identities import last_identities
from service.engine.lookup_orders import (
    EventPage,
    Explained,
    Found,
    FoundEvent,
    FoundProfile,
    Link,
    LookupOrder,
    Source,
)
from service.engine.merging import Merge
from service.engine.neighbours import (
    Component,
    Neighbours,
    key_text,
    numbers_in_order,
)
from service.engine.open_store import OpenStore
from service.engine.orders import GONE, EventChoice
from service.engine.projection import EVENT_ID, EVENT_TIME, EVENTS_COLUMN
from service.engine.snapshot import Snapshot
from service.engine.tallies import Tally

#: A leaf that small stores give their events: where each comes from. No schema has such a name.
_PLACE = Field(" place", Kind.STRING)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What is known of the profiles that were gathered, by representative."""

    names: Names
    entities: Mapping[int, _Row]
    explained: Mapping[int, tuple[Explained, ...]]
    last_named: Mapping[int, dict[str, str]]


def look_up(order: LookupOrder, store: OpenStore) -> Found:
    """Find everything an order asks for."""
    snapshot = Snapshot(order.export.model_copy(update={"with_empty_profiles": True}))
    neighbours = Neighbours(snapshot, store)
    asked = [int(key, 16) for key in order.identities]
    components = {key: neighbours.component(key) for key in dict.fromkeys(asked)}
    whole = _distinct(one for one in components.values() if not one.is_excluded)
    gathered = gather(snapshot, store, whole)
    names = Names(gathered)
    known = _Known(
        names=names,
        entities=_entities(order, gathered) if order.with_profiles else {},
        explained=explain(gathered, names) if order.with_explanation else {},
        last_named=last_identities(gathered) if order.with_profiles else {},
    )
    return Found(
        profiles=tuple(
            _profile(order, key, components[key], gathered, known, store) for key in asked
        )
    )


def _distinct(components: Iterator[Component]) -> list[Component]:
    return list(dict.fromkeys(components))


def _entities(order: LookupOrder, gathered: Gathered) -> dict[int, _Row]:
    """Merge all profiles that were gathered; give the row of each by its representative."""
    small, files = gathered.small_store({StoreFileKind.EVENTS: _placed})
    changes: dict[str, Any] = {"events": None}
    if order.events is not None:
        fields = (*small.event_fields, _PLACE.to_json())
        chosen = small.events or EventChoice()
        paths = (*chosen.fields, (_PLACE.name,), (EVENT_ID.name,), (EVENT_TIME.name,))
        choice = chosen.model_copy(update={"fields": paths if chosen.fields else ()})
        changes |= {"event_fields": fields, "events": choice}
    merge = Merge(small.model_copy(update=changes), PLAN, files)
    tables = [rows for _, rows in merge.slice(0, {0: Tally()})]
    merged = [row for rows in tables for row in _rows(rows, order.events)]
    stands_for = representatives(gathered.components)
    found = {
        stands_for[owner]
        for held in gathered.of_kind(StoreFileKind.RECORDS, StoreFileKind.EVENTS)
        for owner in held.owners
    }
    return dict(zip(sorted(found), merged, strict=True))


def _placed(held: Held) -> pa.Table:
    """Tell of each event where it comes from, in a leaf of its own."""
    places = [
        f"{held.file.dataset_id} {number} {seq} {key_text(owner)} {instant}"
        for number, seq, owner, instant in zip(
            held.ingest_number, held.seqs, held.owners, held.ingested_at, strict=True
        )
    ]
    return held.rows.append_column(_PLACE.name, pa.array(places, pa.string()))


def _rows(rows: pa.Table, page: EventPage | None) -> Iterator[_Row]:
    """Give merged rows as documents, with those events that are wanted and one more."""
    if page is None:
        yield from rows.to_pylist(maps_as_pydicts="strict")
        return
    attributes = rows.drop_columns([EVENTS_COLUMN]).to_pylist(maps_as_pydicts="strict")
    for number, row in enumerate(attributes):
        events = rows.column(EVENTS_COLUMN).slice(number, 1).combine_chunks().flatten()
        chosen = _in_page(events, page)
        yield {**row, EVENTS_COLUMN: chosen.to_pylist(maps_as_pydicts="strict")}


def _in_page(events: Any, page: EventPage) -> Any:
    """Choose events by their time, turn them round if asked, and skip those of earlier pages."""
    wanted = np.ones(len(events), np.bool_)
    time = pc.struct_field(events, EVENT_TIME.name)
    for bound, holds in ((page.since, pc.greater_equal), (page.until, pc.less)):
        if bound is not None:
            kept = holds(time, pa.scalar(bound, time.type))
            wanted &= pc.fill_null(kept, False).to_numpy(zero_copy_only=False)  # noqa: FBT003
    at = np.flatnonzero(wanted)
    if page.is_newest_first:
        at = at[::-1]
    return events.take(pa.array(at[page.start : page.start + page.limit + 1]))


def _profile(
    order: LookupOrder,
    key: int,
    component: Component,
    gathered: Gathered,
    known: _Known,
    store: OpenStore,
) -> FoundProfile:
    members = tuple(known.names.of(member) for member in component.members)
    found = FoundProfile(key=key_text(key), members=members, is_excluded=component.is_excluded)
    if component.is_excluded:
        return found
    if order.with_links:
        found = found.model_copy(update={"links": _links(order, component, store)})
    representative = component.members[0]
    entity = known.entities.get(representative)
    if entity is None:
        return found
    chosen = order.export.events
    wanted = {path[0] for path in chosen.fields} if chosen is not None else set()
    events = [_event(each, known.names, wanted) for each in entity.get(EVENTS_COLUMN, ())]
    limit = order.events.limit if order.events is not None else 0
    return found.model_copy(
        update={
            **_sources(gathered, component),
            "entity": _without_nulls({n: v for n, v in entity.items() if n != EVENTS_COLUMN}),
            "last_named": known.last_named.get(representative, {}),
            "explanation": known.explained.get(representative, ()),
            "events": tuple(events[:limit]),
            "has_more_events": len(events) > limit,
        }
    )


def _sources(gathered: Gathered, component: Component) -> dict[str, object]:
    members = set(component.members)
    datasets, numbers, instants = set(), set(), set()
    for held in gathered.of_kind(StoreFileKind.RECORDS, StoreFileKind.EVENTS):
        for row, owner in enumerate(held.owners):
            if owner in members:
                datasets.add(held.file.dataset_id)
                numbers.add(int(held.ingest_number[row]))
                instants.add(int(held.ingested_at[row]))
    return {
        "dataset_ids": tuple(sorted(datasets)),
        "ingest_numbers": tuple(sorted(numbers)),
        "updated_at": _instant(max(instants)),
    }


def _event(row: _Row, names: Names, wanted: Collection[str]) -> FoundEvent:
    dataset_id, number, seq, owner, instant = row[_PLACE.name].split(" ")
    time = row.get(EVENT_TIME.name)
    own = {name: value for name, value in row.items() if name != _PLACE.name}
    return FoundEvent(
        id=row.get(EVENT_ID.name),
        time=time.astimezone(UTC) if isinstance(time, datetime) else None,
        entity=_without_nulls({n: v for n, v in own.items() if not wanted or n in wanted}),
        source=Source(
            dataset_id=dataset_id,
            ingest_number=int(number),
            row=int(seq),
            identity=names.of(int(owner, 16)),
        ),
        ingested_at=_instant(int(instant)),
    )


def _instant(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _links(order: LookupOrder, component: Component, store: OpenStore) -> tuple[Link, ...]:
    """Find the links between the identities of a profile, and the batches that hold each."""
    snapshot, keys = Snapshot(order.export), component.keys
    numbers: dict[tuple[int, int], set[int]] = {}
    for file in snapshot.all(StoreFileKind.LINKS):
        rows = store.links_from(snapshot.files[file].key, keys)
        sources = snapshot.sources(file, rows)
        near, far = keys_of(rows), keys_of(rows, "other_hi", "other_lo")
        pairs = zip(numbers_in_order(near), numbers_in_order(far), strict=True)
        for pair, source in zip(pairs, sources.tolist(), strict=True):
            if source != GONE:
                numbers.setdefault(pair, set()).add(int(snapshot.ingest_number[source]))
    return tuple(
        Link(keys=(key_text(near), key_text(far)), ingest_numbers=tuple(sorted(own)))
        for (near, far), own in sorted(numbers.items())
    )


def _without_nulls(value: Any) -> Any:
    """Leave absent what is null, as in rows that callers send: at every depth but in arrays."""
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(element) for element in value]
    return value
