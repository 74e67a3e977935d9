"""What an export must hold, worked out row by row: the merge rules as plain Python.

Slow, simple, and independent of the engine: it knows schema fields and orders, and shares no
code with what it judges. Read :func:`export` from top to bottom as the specification.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from catalog.merge_policies import AttributeMerge, IdentityGraph
from catalog.schemas import Field, Kind
from service.engine.orders import ExportOrder, SegmentChoice, SegmentFilter

Row = dict[str, Any]
Path = tuple[str, ...]
#: Namespace in lower case, value.
Identity = tuple[str, str]

STATES = ["ambiguous", "loggedOut", "authenticated"]  # weakest first


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    path: Path
    namespace: str
    is_primary: bool = False


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows of one batch in order, as they came; values have the types of their fields."""

    dataset_id: str
    rows: list[Row]
    fields: tuple[Field, ...]
    ingest_number: int
    ingested_at: datetime
    is_event: bool = False
    is_upsert: bool = False
    descriptors: tuple[Descriptor, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Source:
    """One row with all that decides its fate."""

    batch: Batch
    row: Row
    primary: Identity
    #: Strongest state by identity.
    identities: dict[Identity, str]
    #: Rows are older than those with a larger age.
    age: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Export:
    #: Rows of the export, in no particular order.
    rows: list[Row]
    #: Components that were left out.
    excluded: list[frozenset[Identity]]
    counters: dict[str, int]


@dataclass
class Graph:
    """Connected components, the slow way."""

    component: dict[Identity, frozenset[Identity]] = field(default_factory=dict)

    def link(self, identities: Iterable[Identity]) -> None:
        together: frozenset[Identity] = frozenset()
        for identity in identities:
            together |= self.of(identity)
        for identity in together:
            self.component[identity] = together

    def of(self, identity: Identity) -> frozenset[Identity]:
        return self.component.get(identity, frozenset({identity}))


def export(
    batches: list[Batch],
    order: ExportOrder,
    *,
    key_of: Callable[[Identity], int],
    unlinked: frozenset[str] = frozenset(),
) -> Export:
    """Work out the export of an order. ``key_of`` is only asked which of two keys is smaller."""
    sources = list(_sources(batches))
    graph = Graph()
    if order.identity_graph is IdentityGraph.PRIVATE:
        for source in sources:
            graph.link(i for i in source.identities if i[0] not in unlinked)
    excluded = {c for c in graph.component.values() if len(c) > order.identities_per_profile}
    profiles = defaultdict(list)
    for source in sources:
        if _takes_part(source.batch, order) and graph.of(source.primary) not in excluded:
            profiles[graph.of(source.primary)].append(source)
    rows, counters = [], defaultdict(int)
    for members in profiles.values():
        row = _profile(members, order, key_of, counters)
        if row is not None:
            rows.append(row)
    counters["profiles"] = len(rows)
    counters["excluded"] = len(excluded)
    return Export(rows=rows, excluded=sorted(excluded, key=sorted), counters=dict(counters))


def _takes_part(batch: Batch, order: ExportOrder) -> bool:
    if batch.is_event or order.attribute_merge is AttributeMerge.TIMESTAMP_ORDERED:
        return True
    return batch.dataset_id in order.dataset_order


def _profile(
    members: list[Source],
    order: ExportOrder,
    key_of: Callable[[Identity], int],
    counters: dict[str, int],
) -> Row | None:
    records = [s for s in members if not s.batch.is_event]
    events = _without_repeats(s for s in members if s.batch.is_event)
    fragments = _fragments(records)
    if not records and not (events and order.with_empty_profiles):
        return None
    standing = [source for fragment in fragments for source in fragment]
    last_update = max(s.batch.ingested_at for s in [*standing, *events])
    if order.updated_after is not None and last_update <= order.updated_after:
        return None
    fields = tuple(Field.from_json(document) for document in order.profile_fields)
    values = _merged(fragments, fields, order)
    if order.segments is not None:
        memberships = _memberships(("segmentMembership",), standing, order)
        if not any(
            is_taken(memberships, choice, order.segments) for choice in order.segments.choices
        ):
            return None
    identity_map = _identity_map(_identity_entries(members, standing, key_of), order)
    for namespace in identity_map:
        counters[f"namespace:{namespace}"] += 1
    values["identityMap",] = identity_map
    row = _row({p: v for p, v in values.items() if v is not None and _asked(p, order.fields)})
    own = {field.name for field in fields}
    if any(path[0] == "identities" for path in order.fields) and "identities" not in own:
        row["identities"] = _identities(identity_map, order)
    if order.events is not None:
        row["timeSeriesEvents"] = _exported_events(events, order)
        newest = row["timeSeriesEvents"][-order.events_per_profile :]
        counters["shortened"] += newest != row["timeSeriesEvents"]
        row["timeSeriesEvents"] = newest
        counters["events"] += len(newest)
    return row


def _merged(
    fragments: list[list[Source]], fields: tuple[Field, ...], order: ExportOrder
) -> dict[Path, Any]:
    """Leaf by leaf the value of the strongest fragment that has one."""
    values: dict[Path, Any] = {}
    for fragment in sorted(fragments, key=lambda f: _strength(f[-1], order)):
        for source in fragment:
            values |= dict(_values(source.row, fields))
    standing = [source for fragment in fragments for source in fragment]
    for path, leaf in _leaves(fields):
        if leaf.kind is Kind.SEGMENT_MEMBERSHIP:
            values[path] = _memberships(path, standing, order)
    return values


def _fragments(records: list[Source]) -> list[list[Source]]:
    """What one data set says of one primary identity: its last row, and the patches since."""
    fragments = defaultdict(list)
    for source in sorted(records, key=lambda s: s.age):
        fragment = fragments[source.batch.dataset_id, source.primary]
        if not source.batch.is_upsert:
            fragment.clear()
        fragment.append(source)
    return list(fragments.values())


def _strength(source: Source, order: ExportOrder) -> tuple[int, tuple[int, int]]:
    if order.attribute_merge is AttributeMerge.TIMESTAMP_ORDERED:
        return 0, source.age
    return -order.dataset_order.index(source.batch.dataset_id), source.age


def _without_repeats(events: Iterable[Source]) -> list[Source]:
    """Of events with one ``_id`` in one data set, keep the last ingested."""
    kept: dict[object, Source] = {}
    for number, source in enumerate(sorted(events, key=lambda s: s.age)):
        id = source.row.get("_id")
        kept[number if id is None else (source.batch.dataset_id, id)] = source
    return list(kept.values())


def _exported_events(events: list[Source], order: ExportOrder) -> list[Row]:
    choice = order.events
    assert choice is not None
    after = choice.ingested_after or order.updated_after
    inside = [
        source
        for source in events
        if (after is None or source.batch.ingested_at > after)
        and (choice.ingested_until is None or source.batch.ingested_at <= choice.ingested_until)
    ]
    fields = tuple(Field.from_json(document) for document in order.event_fields)

    def in_time(source: Source) -> tuple[object, ...]:
        time, id = source.row.get("timestamp"), source.row.get("_id")
        return (
            (time is not None, time or datetime.min.replace(tzinfo=UTC)),
            (id is not None, (id or "").encode()),
            source.age,
        )

    return [
        _row({p: v for p, v in _values(source.row, fields) if _asked(p, choice.fields)})
        for source in sorted(inside, key=in_time)
    ]


def _memberships(path: Path, standing: list[Source], order: ExportOrder) -> Row | None:
    """Per namespace and segment the latest qualification; of equals, the strongest row's."""
    best: dict[tuple[str, str], tuple[object, Row]] = {}
    maps = []
    for source in standing:
        maps.append(dict(_values(source.row, source.batch.fields)).get(path))
        for namespace, segments in (maps[-1] or {}).items():
            for segment, membership in segments.items():
                time = membership.get("lastQualificationTime")
                rank = (
                    (time is not None, time or datetime.min.replace(tzinfo=UTC)),
                    _strength(source, order),
                )
                if (namespace, segment) not in best or rank > best[namespace, segment][0]:
                    best[namespace, segment] = rank, membership
    if all(one is None for one in maps):
        return None
    merged: Row = {}
    for (namespace, segment), (_, membership) in sorted(best.items()):
        merged.setdefault(namespace, {})[segment] = membership
    return merged


def is_taken(memberships: Row | None, choice: SegmentChoice, filter: SegmentFilter) -> bool:
    """Whether the latest word on a segment, in whatever spelling, is the one asked for."""
    words = [
        (membership, time is not None, time or datetime.min.replace(tzinfo=UTC), namespace.encode())
        for namespace, segments in (memberships or {}).items()
        if namespace.lower() == choice.namespace.lower()
        for segment, membership in segments.items()
        if segment == choice.segment_id
        for time in [membership.get("lastQualificationTime")]
    ]
    if not words:
        return False
    membership, has_time, time, _ = max(words, key=lambda word: word[1:])
    if filter.qualified_from and not (has_time and time >= filter.qualified_from):
        return False
    if filter.qualified_until and not (has_time and time <= filter.qualified_until):
        return False
    member = {"realized", "existing"}
    wanted = {str(status) for status in choice.statuses}
    return membership["status"] in (wanted | member if wanted & member else wanted)


def _identity_entries(
    members: list[Source], standing: list[Source], key_of: Callable[[Identity], int]
) -> dict[Identity, tuple[str, bool]]:
    """Every identity that any row names, superseded rows included, and whether it is primary."""
    states: dict[Identity, str] = {}
    for source in members:
        for identity, state in source.identities.items():
            states[identity] = max(state, states.get(identity, state), key=STATES.index)
    if standing:
        primary = max(standing, key=lambda s: s.age).primary
    else:
        primary = min((s.primary for s in members), key=key_of)
    return {identity: (state, identity == primary) for identity, state in states.items()}


def _identity_map(entries: dict[Identity, tuple[str, bool]], order: ExportOrder) -> Row:
    merged: Row = {}
    spelt = {(order.namespaces.get(i[0], i[0]), i[1]): entry for i, entry in entries.items()}
    for namespace, value in sorted(spelt, key=lambda i: (i[0].encode(), i[1].encode())):
        state, is_primary = spelt[namespace, value]
        entry = {"id": value, "authenticatedState": state, "primary": is_primary}
        merged.setdefault(namespace, []).append(entry)
    return merged


def _identities(identity_map: Row, order: ExportOrder) -> list[Row]:
    """The same identities as a list, each with the fields asked for."""
    entries = [
        {"id": entry["id"], "namespace": {"code": namespace}, "primary": entry["primary"]}
        for namespace, entries in identity_map.items()
        for entry in entries
    ]
    return [
        _row({p: v for p, v in _values(one, None) if _asked(("identities", *p), order.fields)})
        for one in entries
    ]


def _sources(batches: list[Batch]) -> Iterator[Source]:
    for batch in batches:
        for number, row in enumerate(batch.rows):
            identities, primary = identities_of(row, batch.descriptors)
            yield Source(
                batch=batch,
                row=row,
                primary=primary,
                identities=identities,
                age=(batch.ingest_number, number),
            )


def identities_of(
    row: Row, descriptors: tuple[Descriptor, ...]
) -> tuple[dict[Identity, str], Identity]:
    """Who a row names, each with its strongest state, and the primary one of them.

    The primary is the primary descriptor's; without one, what the map marks so; else the first.
    """
    found: list[tuple[Identity, str, bool]] = []
    for descriptor in descriptors:
        value: Any = row
        for name in descriptor.path:
            value = value.get(name) if isinstance(value, dict) else None
        if value not in (None, ""):
            identity = (descriptor.namespace.lower(), str(value))
            found.append((identity, "ambiguous", descriptor.is_primary))
    is_described = any(is_primary for *_, is_primary in found)
    for namespace, entries in (row.get("identityMap") or {}).items():
        for entry in entries or ():
            if entry and entry.get("id"):
                identity = (namespace.lower(), entry["id"])
                state = entry.get("authenticatedState") or "ambiguous"
                found.append((identity, state, bool(entry.get("primary")) and not is_described))
    states: dict[Identity, str] = {}
    for identity, state, _ in found:
        states[identity] = max(state, states.get(identity, state), key=STATES.index)
    return states, next((i for i, _, is_primary in found if is_primary), found[0][0])


def _leaves(fields: tuple[Field, ...], above: Path = ()) -> Iterator[tuple[Path, Field]]:
    for one in fields:
        if one.kind is Kind.OBJECT:
            yield from _leaves(one.fields, (*above, one.name))
        else:
            yield (*above, one.name), one


def _values(
    row: Row, fields: tuple[Field, ...] | None, above: Path = ()
) -> Iterator[tuple[Path, Any]]:
    """The leaves of a row that have a value. Without fields, every dictionary is an object."""
    by_name = None if fields is None else {one.name: one for one in fields}
    for name, value in row.items():
        if value is None or (by_name is not None and name not in by_name):
            continue
        if by_name is None and isinstance(value, dict):
            yield from _values(value, None, (*above, name))
        elif by_name is not None and by_name[name].kind is Kind.OBJECT:
            yield from _values(value, by_name[name].fields, (*above, name))
        else:
            yield (*above, name), value


def _asked(path: Path, wanted: tuple[Path, ...]) -> bool:
    """A path is asked for when it, something above it or something below it is."""
    return not wanted or any(path[: len(w)] == w or w[: len(path)] == path for w in wanted)


def _row(values: dict[Path, Any]) -> Row:
    row: Row = {}
    for path, value in values.items():
        inside = row
        for name in path[:-1]:
            inside = inside.setdefault(name, {})
        inside[path[-1]] = value
    return row


def typed(value: Any, one: Field) -> Any:
    """Read a JSON value as its field's type; explicit nulls are absent."""
    if value is None:
        return None
    if one.kind is Kind.OBJECT:
        return typed_row(value, one.fields)
    if one.kind is Kind.ARRAY:
        return [typed(element, one.element) for element in value]
    if one.kind is Kind.MAP:
        return {key: typed(element, one.element) for key, element in value.items()}
    return _READERS.get(one.kind, lambda plain: plain)(value)


_READERS: dict[Kind, Callable[[Any], Any]] = {
    Kind.TIMESTAMP: datetime.fromisoformat,
    Kind.DATE: date.fromisoformat,
    Kind.DOUBLE: float,
    Kind.STRING: str,
}


def typed_row(row: Row, fields: tuple[Field, ...]) -> Row:
    """Read a JSON object as a row with these fields; what they do not name is left out."""
    read = {one.name: typed(row.get(one.name), one) for one in fields}
    return {name: value for name, value in read.items() if value is not None}


def comparable(value: Any) -> Any:
    """Bring rows of any making into one form: no nulls, maps as sorted pairs, instants in UTC."""
    if isinstance(value, dict):
        pairs = ((name, comparable(inner)) for name, inner in value.items() if inner is not None)
        return tuple(sorted(pairs, key=lambda pair: pair[0]))
    if isinstance(value, list | tuple):
        return tuple(comparable(element) for element in value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return str(value) if isinstance(value, date) else value


def in_any_order(rows: Iterable[Row]) -> list[Any]:
    """Make two sets of rows comparable whatever order they are in."""
    return sorted((comparable(row) for row in rows), key=repr)
