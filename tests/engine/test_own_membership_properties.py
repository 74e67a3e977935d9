"""Whatever is ingested, taken back, compacted, joined and split: who belongs is what a list says.

The list is kept in plain Python: of each segment, whoever the last job found, by the identity that
represented them.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

from catalog.merge_policies import IdentityGraph
from catalog.schemas import IDENTITY_MAP, SEGMENT_MEMBERSHIP, Field, Kind
from catalog.segments import MembershipStatus
from service.engine.orders import SegmentChoice, SegmentFilter
from tests.engine import oracle
from tests.engine.builders import (
    ALL_EVENTS,
    Store,
    a_batch,
    an_event_batch,
    an_order,
    day,
    key_of,
    text,
    with_kept,
)
from tests.engine.oracle import comparable, identities_of, is_taken

QUICKLY = settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

FIELDS = (text("first"), SEGMENT_MEMBERSHIP)
EVENT_FIELDS = (
    Field("_id", Kind.STRING),
    Field("timestamp", Kind.TIMESTAMP),
    text("kind"),
    IDENTITY_MAP,
)
RULES = {
    "a": ('first = "A"', lambda row: row.get("first") == "A"),
    "b": ("first.isNull()", lambda row: row.get("first") is None),
    "c": (
        'exists E from xEvent where E.kind = "x"',
        lambda row: any(event.get("kind") == "x" for event in row["timeSeriesEvents"]),
    ),
}

identities = st.tuples(st.sampled_from(["crm", "email"]), st.sampled_from("1234"))
ingested = st.dictionaries(
    st.sampled_from(["ups", "UPS", "aam"]),
    st.dictionaries(
        st.sampled_from("ax"),
        st.fixed_dictionaries(
            {"status": st.sampled_from(["realized", "exited"])},
            optional={"lastQualificationTime": st.sampled_from([day(1), day(50)])},
        ),
        min_size=1,
    ),
    max_size=2,
)


@st.composite
def rows(draw, **optional):
    named = draw(st.lists(identities, min_size=1, max_size=2, unique=True))
    merged = {}
    for number, (namespace, value) in enumerate(named):
        entry = {"id": value, "primary": number == 0}
        merged.setdefault(namespace, []).append(entry)
    return {"identityMap": merged, **draw(st.fixed_dictionaries({}, optional=optional))}


some_rows = st.lists(
    rows(first=st.sampled_from("AB"), segmentMembership=ingested), min_size=1, max_size=4
)
some_events = st.lists(
    rows(kind=st.sampled_from("xy"), _id=st.sampled_from("12"), timestamp=st.just(day(1))),
    min_size=1,
    max_size=4,
)


class World:
    """A store and what the list says of it, brought forward step by step."""

    def __init__(self, folder, graph, data):
        self.store = Store(Path(folder))
        self.data = data
        self.graph = graph
        self.batches = {}
        self.files = {}
        self.compacted = []
        self.kept = []
        #: By segment, then by the key of what represented them: status and time.
        self.list = {}
        self.number = 0

    def add(self, is_event):
        self.number += 1
        told = self.data.draw(some_events if is_event else some_rows)
        make = an_event_batch if is_event else a_batch
        fields = EVENT_FIELDS if is_event else FIELDS
        batch = make("clicks" if is_event else "crm", self.number, *told, fields=fields)
        self.batches[self.number] = batch
        self.files[self.number] = self.store.put(batch, depth=self.data.draw(st.integers(0, 3)))

    def revert(self):
        if self.files:
            number = self.data.draw(st.sampled_from(sorted(self.files)))
            del self.batches[number], self.files[number]

    def compact(self):
        together = defaultdict(list)
        for file in [*self.compacted, *(f for own in self.files.values() for f in own)]:
            together[file.dataset_id, file.kind].append(file)
        self.files.clear()
        self.compacted = [
            made for own in together.values() for made in self.store.compact(own, added=self.number)
        ]

    def order(self, **changes):
        batches = list(self.batches.values())
        files = (*self.compacted, *(file for own in self.files.values() for file in own))
        told = {
            "files": tuple(sorted(files, key=lambda f: (f.ingest_number, f.key))),
            "profile_fields": tuple(field.to_json() for field in FIELDS),
            "event_fields": tuple(field.to_json() for field in EVENT_FIELDS),
            "identity_graph": self.graph,
            "with_empty_profiles": True,
            "events": ALL_EVENTS,
            "slice_size_bytes": self.data.draw(st.sampled_from([300, 48 << 20])),
            "namespaces": {},
        }
        return with_kept(an_order(batches, **{**told, **changes}), *self.kept)

    def profiles(self):
        """Every profile as the rules of merging have it, by the identities it is made of."""
        found = oracle.export(list(self.batches.values()), self.order(), key_of=key_of).rows
        return {self._component(row): row for row in found}

    def _component(self, row):
        named = [
            ((namespace, one["id"]), one["primary"])
            for namespace, entries in row["identityMap"].items()
            for one in entries
        ]
        if self.graph is IdentityGraph.NONE:
            named = [(identity, is_primary) for identity, is_primary in named if is_primary]
        return frozenset(key_of(identity) for identity, _ in named)

    def represented_by(self, component):
        records = {
            key_of(identities_of(row, ())[1])
            for batch in self.batches.values()
            if not batch.is_event
            for row in batch.rows
        }
        return min(component & records or component)

    def known(self, component):
        """What the list says of a profile: the latest word of all that it is made of."""
        found = {}
        for segment, by_key in self.list.items():
            words = [by_key[key] for key in component if key in by_key]
            if words:
                found[segment] = max(words, key=lambda word: (word[1], word[0] == "realized"))
        return found

    def segment(self):
        self.number += 1
        now = day(self.number * self.data.draw(st.sampled_from([1, 20])))
        if self.kept:
            now = max(now, self.kept[-1].at)
        some = st.lists(st.sampled_from(sorted(RULES)), min_size=1, unique=True)
        rules = {segment: RULES[segment] for segment in self.data.draw(some)}
        profiles, moves = self.profiles(), defaultdict(int)
        fresh = {segment: {} for segment in rules}
        for component, row in profiles.items():
            before, key = self.known(component), self.represented_by(component)
            for segment, (_, qualifies) in rules.items():
                word, move = moved(before.get(segment), now, is_in=qualifies(row))
                moves[segment, move] += 1
                if word is not None:
                    fresh[segment][key] = word
        told = {segment: rule for segment, (rule, _) in rules.items()}
        made = self.store.segment(self.order(), told, at=now, before=self.kept)
        self.kept.append(made)
        self.list |= fresh
        for segment in rules:
            for move in ("entered", "stayed", "left"):
                assert made.count(move, segment) == moves[segment, move]
        assert sum(task.profile_count for task in made.tasks) == len(profiles)

    def check(self):
        """An export shows what the list says; exports of segments hold just those it names."""
        exported = self.store.export(self.order()).rows
        profiles = self.profiles()
        assert {self._component(row) for row in exported} == set(profiles)
        for row in exported:
            component = self._component(row)
            want = {**profiles[component]}
            want["segmentMembership"] = beside(self.known(component), want.get("segmentMembership"))
            assert comparable(row) == comparable(want)
        filter = self.data.draw(filters)
        split = self.store.export(self.order(segments=filter.model_copy(update={"is_split": True})))
        for place, choice in enumerate(filter.choices):
            members = [
                row for row in exported if is_taken(row.get("segmentMembership"), choice, filter)
            ]
            alone = filter.model_copy(update={"choices": (choice,)})
            assert comparable(self.store.export(self.order(segments=alone)).rows) == comparable(
                members
            )
            assert comparable(split.of_batch(place)) == comparable(members)


def moved(before, now, *, is_in):
    """What is known of a profile from now on, and how it moved."""
    status, since = before or (None, None)
    if is_in:
        return (before, "stayed") if status == "realized" else (("realized", now), "entered")
    if status == "realized":
        return ("exited", now), "left"
    is_told = status == "exited" and (now - since).days <= 30 and now - since <= day(30) - day(0)
    return (before if is_told else None), "none"


def beside(own, ingested):
    """The map of memberships with those of the service's own segments in it."""
    merged = {}
    for namespace, segments in (ingested or {}).items():
        is_ours = namespace.lower() == "ups"
        left = {id: one for id, one in segments.items() if not (is_ours and id in own)}
        if left:
            merged[namespace] = left
    for id, (status, time) in own.items():
        one = {"status": status, "lastQualificationTime": time}
        merged.setdefault("ups", {})[id] = one
    return merged if own or ingested is not None else None


filters = st.builds(
    SegmentFilter,
    choices=st.lists(
        st.builds(
            SegmentChoice,
            segment_id=st.sampled_from("abcx"),
            namespace=st.sampled_from(["ups", "ups", "UPS", "aam"]),
            statuses=st.lists(st.sampled_from(list(MembershipStatus)), min_size=1, max_size=2).map(
                tuple
            ),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    qualified_from=st.sampled_from([None, None, day(3)]),
    qualified_until=st.sampled_from([None, None, day(40)]),
)
steps = st.lists(
    st.sampled_from(["rows", "events", "segment", "rows", "segment", "revert", "compact"]),
    min_size=3,
    max_size=9,
)


@QUICKLY
@given(st.data(), st.sampled_from([IdentityGraph.PRIVATE, IdentityGraph.NONE]), steps)
def test_who_belongs_is_what_a_list_says_whatever_happens_to_profiles(data, graph, steps):
    with tempfile.TemporaryDirectory() as folder:
        world = World(folder, graph, data)
        for step in steps:
            match step:
                case "rows":
                    world.add(is_event=False)
                case "events":
                    world.add(is_event=True)
                case "segment":
                    world.segment()
                case "revert":
                    world.revert()
                case "compact":
                    world.compact()
        world.check()
