"""Whatever the schemas, rows, graphs and policies: the engine says what the oracle says."""

import tempfile
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

from catalog.merge_policies import AttributeMerge, IdentityGraph
from catalog.schemas import IDENTITY_MAP, SEGMENT_MEMBERSHIP, Field, Kind
from catalog.segments import MembershipStatus
from service.engine.orders import EventChoice, SegmentChoice, SegmentFilter
from tests.engine import oracle
from tests.engine.builders import DAY_ONE, Store, an_order, day, key_of
from tests.engine.oracle import Batch, comparable, in_any_order, is_taken

QUICKLY = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

NAMESPACES = ["crm", "email", "web", "partner"]
UNLINKED = frozenset({"partner"})
DATASETS = ["crm", "loyalty", "shop"]
EVENT_DATASETS = ["clicks", "orders"]
#: Few people and busy data sets, so that rows meet: what never meets never merges. The first
#: of several choices is the one that Hypothesis tries most.
BUSY = ["crm", "clicks", "loyalty", "crm", "shop", "clicks", "orders"]

texts = st.text(st.sampled_from("aZ0 é\U0001f600"), max_size=3)
instants = st.datetimes(timezones=st.just(UTC)) | st.sampled_from([day(1), day(2)])
VALUES = {
    Kind.STRING: texts,
    Kind.BOOLEAN: st.booleans(),
    Kind.INTEGER: st.integers(-(2**31), 2**31 - 1),
    Kind.LONG: st.integers(-(2**63), 2**63 - 1),
    Kind.DOUBLE: st.floats(allow_nan=False),
    Kind.DATE: st.dates() | st.sampled_from([date.min, date.max]),
    Kind.TIMESTAMP: instants | st.sampled_from([datetime.max.replace(tzinfo=UTC)]),
}
names = st.sampled_from(["a", "b", "c", "d"])


def values_of(field: Field) -> st.SearchStrategy:
    """Values of a field; what lies inside arrays and maps is whole or absent like any other."""
    match field.kind:
        case Kind.OBJECT:
            return st.fixed_dictionaries({}, optional={f.name: values_of(f) for f in field.fields})
        case Kind.ARRAY:
            return st.lists(values_of(field.element), max_size=3)
        case Kind.MAP:
            return st.dictionaries(texts, values_of(field.element), max_size=2)
        case Kind.SEGMENT_MEMBERSHIP:
            membership = st.fixed_dictionaries(
                {"status": st.sampled_from(["realized", "existing", "exited"])},
                optional={"lastQualificationTime": instants},
            )
            segments = st.dictionaries(st.sampled_from("xyz"), membership, min_size=1, max_size=3)
            return st.dictionaries(st.sampled_from(["ups", "UPS", "aam"]), segments, max_size=3)
        case plain:
            return VALUES[plain]


plain_fields = st.builds(Field, names, st.sampled_from(list(VALUES)))


def _inside(deeper: st.SearchStrategy) -> st.SearchStrategy:
    objects = st.lists(deeper, min_size=1, max_size=3, unique_by=lambda f: f.name).map(tuple)
    return (
        st.builds(Field, names, st.just(Kind.OBJECT), fields=objects)
        | st.builds(Field, names, st.just(Kind.ARRAY), element=deeper)
        | st.builds(Field, names, st.just(Kind.MAP), element=deeper)
    )


field_trees = st.lists(
    st.recursive(plain_fields, _inside, max_leaves=4),
    min_size=1,
    max_size=4,
    unique_by=lambda f: f.name,
).map(tuple)


#: What an earlier schema may have said of a field.
NARROWER = {Kind.LONG: [Kind.LONG, Kind.INTEGER], Kind.DOUBLE: [Kind.DOUBLE, Kind.INTEGER]}


@st.composite
def parts_of(draw, fields):
    """Schemas that know some of the fields, at any depth, and long ones perhaps as integers."""
    known = []
    for field in fields:
        if field is MARK or draw(st.integers(0, 4)) != 1:
            part = draw(part_of(field))
            known += [part] if part.kind is not Kind.OBJECT or part.fields else []
    return tuple(known)


@st.composite
def part_of(draw, field):
    """The same field as an earlier or another schema may have it."""
    if field.kind is Kind.OBJECT:
        return Field(field.name, field.kind, fields=draw(parts_of(field.fields)))
    if field.element is not None:
        element = draw(part_of(field.element))
        is_nothing = element.kind is Kind.OBJECT and not element.fields
        element = field.element if is_nothing else element
        return Field(field.name, field.kind, element=element)
    return Field(field.name, draw(st.sampled_from(NARROWER.get(field.kind, [field.kind]))))


identities = st.tuples(st.sampled_from(["crm", "crm", *NAMESPACES]), st.sampled_from("1112"))


@st.composite
def identity_maps(draw):
    count = draw(st.sampled_from([1, 1, 2, 3]))
    named = draw(st.lists(identities, min_size=count, max_size=count, unique=True))
    merged = {}
    for number, (namespace, value) in enumerate(named):
        spelt = draw(st.sampled_from([namespace, namespace.upper()]))
        entry = {"id": value, "primary": number == 0}
        state = draw(st.sampled_from([None, *oracle.STATES]))
        if state:
            entry["authenticatedState"] = state
        merged.setdefault(spelt, []).append(entry)
    return merged


def rows_with(fields: tuple[Field, ...], *, is_event: bool) -> st.SearchStrategy:
    always = {"identityMap": identity_maps()}
    own = {field.name: values_of(field) for field in fields}
    if is_event:
        own |= {"_id": st.sampled_from(["", "e1", "e1", "é"]), "timestamp": instants}
    return st.lists(st.fixed_dictionaries(always, optional=own), min_size=1, max_size=6)


#: Tells rows apart: whatever other values they share, a wrong winner shows.
MARK = Field("mark", Kind.STRING)


@st.composite
def worlds(draw, *, is_evolving=False):
    """Batches of several data sets, in any order of ingestion.

    When worlds evolve, each batch comes under a schema of its own.
    """
    profile_fields = (*draw(field_trees), SEGMENT_MEMBERSHIP, MARK)
    event_fields = (*draw(field_trees), MARK)
    schemas = {id: draw(parts_of(profile_fields)) for id in DATASETS}
    schemas |= {id: draw(parts_of(event_fields)) for id in EVENT_DATASETS}
    batches = []
    for number in range(draw(st.sampled_from([7, 9, 5, 3, 0]))):
        dataset_id = draw(st.sampled_from(BUSY))
        is_event = dataset_id in EVENT_DATASETS
        fields = schemas[dataset_id]
        if is_evolving:
            fields = draw(parts_of(event_fields if is_event else profile_fields))
        rows = draw(rows_with(fields, is_event=is_event))
        for place, row in enumerate(rows):
            if draw(st.integers(0, 3)) != 1:
                row[MARK.name] = f"{dataset_id} {number} {place}"
        if is_event:
            time = (Field("_id", Kind.STRING), Field("timestamp", Kind.TIMESTAMP))
            fields = (*time, *fields, IDENTITY_MAP)
        batch = Batch(
            dataset_id=dataset_id,
            rows=rows,
            fields=fields,
            ingest_number=number * 3 + 1,
            ingested_at=day(number),
            is_event=is_event,
            is_upsert=not is_event and draw(st.sampled_from([False, False, True])),
        )
        batches.append(batch)
    time = (Field("_id", Kind.STRING), Field("timestamp", Kind.TIMESTAMP), IDENTITY_MAP)
    return batches, profile_fields, (*time, *event_fields)


segment_choices = st.builds(
    SegmentChoice,
    segment_id=st.sampled_from("xyz"),
    namespace=st.sampled_from(["ups", "UPS", "aam"]),
    statuses=st.lists(st.sampled_from(list(MembershipStatus)), min_size=1, max_size=3).map(tuple),
)
segment_filters = st.builds(
    SegmentFilter,
    choices=st.lists(segment_choices, min_size=1, max_size=3).map(tuple),
    qualified_from=st.sampled_from([None, None, day(1)]),
    qualified_until=st.sampled_from([None, None, day(2)]),
)
days = st.sampled_from([None, None, None, day(1), day(3), day(5)])
event_choices = st.builds(EventChoice, ingested_after=days, ingested_until=days)


def paths_in(fields: tuple[Field, ...], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    paths = []
    for field in fields:
        paths.append((*above, field.name))
        paths += paths_in(field.fields, (*above, field.name))
    return paths


@st.composite
def choices(draw, profile_fields, event_fields):
    """An order's choices: policy, projection, events, who."""
    paths = [*paths_in(profile_fields), ("identityMap",), ("identities",), ("identities", "id")]
    some = st.lists(st.sampled_from(paths), max_size=3).map(tuple)
    fields = draw(st.just(()) | st.just(()) | some)
    events = draw(event_choices | event_choices | st.none())
    if events is not None:
        some = st.lists(st.sampled_from(paths_in(event_fields)), max_size=2).map(tuple)
        events = events.model_copy(update={"fields": draw(st.just(()) | some)})
    merge = draw(st.sampled_from(list(AttributeMerge)[::-1]))
    ranked = draw(st.permutations(DATASETS))[: draw(st.sampled_from([1, 2, 3, 3]))]
    return {
        "profile_fields": tuple(field.to_json() for field in profile_fields),
        "event_fields": tuple(field.to_json() for field in event_fields),
        "fields": fields,
        "events": events,
        "identity_graph": draw(st.sampled_from([IdentityGraph.PRIVATE, IdentityGraph.NONE])),
        "attribute_merge": merge,
        "dataset_order": tuple(ranked) if merge is AttributeMerge.DATASET_PRECEDENCE else (),
        "updated_after": draw(st.none() | st.none() | days),
        "with_empty_profiles": draw(st.booleans()),
        "segments": draw(st.none() | st.none() | segment_filters),
        "identities_per_profile": draw(st.sampled_from([50, 3])),
        "events_per_profile": draw(st.sampled_from([100, 100, 2, 1])),
    }


@QUICKLY
@given(st.data())
def test_an_export_is_what_the_rules_say_row_by_row(data):
    batches, profile_fields, event_fields = data.draw(worlds())
    chosen = data.draw(choices(profile_fields, event_fields))
    want = oracle.export(batches, an_order(**chosen), key_of=key_of, unlinked=UNLINKED)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), unlinked=UNLINKED)
        files = [
            file
            for batch in batches
            for file in store.put(batch, depth=data.draw(st.integers(0, 4)))
        ]
        slice_size_bytes = data.draw(st.sampled_from([300, 1000, 48 << 20]))
        got = store.export(
            an_order(files=tuple(files), slice_size_bytes=slice_size_bytes, **chosen)
        )
    assert in_any_order(got.rows) == in_any_order(want.rows)
    listed = Counter(row["reason"] for row in got.exclusions)
    assert listed["too_many_identities"] == len(want.excluded)
    assert listed["too_many_events"] == want.counters.get("shortened", 0)
    assert +Counter(got.counters) == +Counter(want.counters)


@QUICKLY
@given(st.data())
def test_a_batch_for_each_segment_holds_what_an_export_of_that_segment_alone_would(data):
    batches, profile_fields, event_fields = data.draw(worlds())
    chosen = data.draw(choices(profile_fields, event_fields))
    filter = data.draw(segment_filters)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), unlinked=UNLINKED)
        files = tuple(f for b in batches for f in store.put(b, depth=data.draw(st.integers(0, 3))))

        def exported(segments, **cut):
            order = {**chosen, **cut, "files": files, "segments": segments}
            return store.export(an_order(**order))

        everyone = exported(None)
        split = exported(filter.model_copy(update={"is_split": True}), slice_size_bytes=500)
        counted = Counter()
        for place, choice in enumerate(filter.choices):
            alone = exported(filter.model_copy(update={"choices": (choice,)}))
            counted += Counter(alone.counters)
            assert comparable(split.of_batch(place)) == comparable(alone.rows)
            members = [
                row
                for row in everyone.rows
                if is_taken(row.get("segmentMembership"), choice, filter)
            ]
            if not chosen["fields"]:  # else the rows may not tell what they are members of
                assert comparable(alone.rows) == comparable(members)
    counted["excluded"] = everyone.counters["excluded"]
    assert +Counter(split.counters) == +counted
    assert {part.batch for part in split.parts} == set(range(len(filter.choices)))


@QUICKLY
@given(st.data())
def test_how_an_export_is_cut_changes_neither_rows_nor_their_order(data):
    batches, profile_fields, event_fields = data.draw(worlds())
    chosen = data.draw(choices(profile_fields, event_fields))
    cuts = {
        "slice_size_bytes": data.draw(st.sampled_from([300, 2000])),
        "part_row_count": data.draw(st.sampled_from([1, 3, 100])),
        "part_size_bytes": data.draw(st.sampled_from([1, 1000])),
        "threads": data.draw(st.integers(1, 4)),
    }
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), unlinked=UNLINKED)
        depths = st.integers(0, 6)
        files = [f for b in batches for f in store.put(b, depth=data.draw(depths), group_rows=2)]
        whole = store.export(an_order(files=tuple(files), **chosen))
        pieces = store.export(an_order(files=tuple(files), **chosen, **cuts))
        again = store.export(an_order(files=tuple(files), **chosen, **cuts))
    assert comparable(pieces.rows) == comparable(whole.rows)
    assert pieces.counters == whole.counters
    assert [part.sha256 for part in again.parts] == [part.sha256 for part in pieces.parts]
    assert {table.schema for table in pieces.tables} == {table.schema for table in whole.tables}


@QUICKLY
@given(st.data())
def test_data_sets_whose_schemas_grow_and_widen_are_merged_by_the_same_rules(data):
    batches, profile_fields, event_fields = data.draw(worlds(is_evolving=True))
    chosen = data.draw(choices(profile_fields, event_fields))
    want = oracle.export(batches, an_order(**chosen), key_of=key_of, unlinked=UNLINKED)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), unlinked=UNLINKED)
        files = [file for batch in batches for file in store.put(batch)]
        got = store.export(an_order(files=tuple(files), slice_size_bytes=1000, **chosen))
    assert in_any_order(got.rows) == in_any_order(want.rows)


def test_the_days_of_these_tests_lie_apart():
    assert day(0) == DAY_ONE
    assert len({day(number) for number in range(8)}) == 8
