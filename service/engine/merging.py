"""Merges one slice at a time: rows of the store in, rows of the export out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import numpy as np
import pyarrow as pa

from catalog.schemas import IDENTITY_MAP
from catalog.store_files import StoreFileKind
from service.engine.arrow_types import Column, arrow_type, element_of
from service.engine.evaluating import Outcome, outcome_of
from service.engine.flat_rows import FlatRows
from service.engine.kernel import event_order, folded, last_ingested, newest
from service.engine.maps import (
    Entries,
    Mentions,
    entries,
    identities,
    identity_map,
    profiles_by_namespace,
    spelt,
)
from service.engine.members import Fragments, Members, Owned
from service.engine.merged_rows import MergedRows
from service.engine.merged_slices import Slice
from service.engine.orders import ExportOrder
from service.engine.own_memberships import KeptMemberships
from service.engine.plan import Plan
from service.engine.projection import EVENT_ID, EVENT_TIME, EVENTS_COLUMN
from service.engine.ranking import Bools, Ints, Keys, distinct, equal, ordered, places, run_offsets
from service.engine.segments.evaluation import qualifying
from service.engine.slices import Opening, Rows, SliceReader
from service.engine.snapshot import Snapshot
from service.engine.store_files import SEQ
from service.engine.tallies import Tally
from service.storage.files import Files

_NAMESPACE = pa.dictionary(pa.int32(), pa.string())
_ID, _TIME = arrow_type(EVENT_ID), arrow_type(EVENT_TIME)


class Merge:
    """Merges the slices of an order, in ascending order, for one thread."""

    def __init__(
        self, order: ExportOrder, plan: Plan, files: Files, opening: Opening | None = None
    ) -> None:
        """Prepare; threads that merge under one plan should be given one ``opening`` of it."""
        self._order = order
        opening = opening or Opening(Snapshot(order), plan, files)
        self.snapshot = opening.snapshot
        self._projection = self.snapshot.projection
        self._flat = None
        if order.table is not None:
            self._flat = FlatRows(order.table, self.snapshot, plan, files)
        labels = opening.labels()
        self._kept = KeptMemberships(opening, labels)
        self._records, self._events, self._identities = (
            SliceReader(kind, opening, labels)
            for kind in (StoreFileKind.RECORDS, StoreFileKind.EVENTS, StoreFileKind.IDENTITIES)
        )

    @property
    def schema(self) -> pa.Schema:
        return self._projection.schema_with(self._records.words, self._events.words)

    def slice(self, prefix: int, tallies: Mapping[int, Tally]) -> Iterator[tuple[int, pa.Table]]:
        """Merge all profiles at home under a prefix, and yield the rows of each batch with any.

        Rows ascend by the profile's key. ``tallies`` has one for every batch that is wanted, by
        its place; what is exported is added to it.
        """
        here = self.read(prefix)
        for batch, members in self._members(here, tallies):
            if not len(members):
                continue
            if self._flat is not None:
                yield batch, self._flat_rows(self._flat, prefix, members, here, tallies[batch])
            else:
                yield batch, self._rows(members, here, tallies[batch])

    def read(self, prefix: int) -> Slice:
        """Read a slice: the profiles at home under a prefix, and which rows make them up."""
        records, events = self._records.read(prefix), self._events.read(prefix)
        everybody = [records.profile]
        if self._order.with_empty_profiles:
            everybody.append(events.profile)
        profiles, number = distinct(Keys.joined(everybody))
        fragments = self._fragments(records, number[: len(records)], len(profiles))
        live = self._live(Owned(rows=events, profile=places(events.profile, profiles)))
        updated = self._updated(Members(profiles=profiles), fragments, live)

        def mentions() -> Owned:
            # Tables tell which identity was named last.
            if self._order.table is not None:
                rows = self._identities.read(prefix)
            else:
                rows = self._identities.read_once(prefix, profiles)
            return Owned(rows=rows, profile=places(rows.profile, profiles))

        own = self._kept.read(prefix, profiles)
        segments = self._kept.segments
        here = Slice(updated, fragments, live, read_mentions=mentions, own=own, segments=segments)
        if self._order.evaluation is not None:
            here.renew(self._outcome(here, self._order.evaluation.evaluated_at))
        return here

    def _outcome(self, here: Slice, evaluated_at: datetime) -> Outcome:
        """Evaluate the order's segments on all profiles of a slice."""
        rules, everybody = self.snapshot.rules, here.everybody

        def united_identities() -> Column:
            named, namespace, spellings = self._spelt(everybody, here.mentions)
            united = self._united(everybody, here.fragments, named, namespace, spellings)
            return identity_map(united, len(everybody))

        rows = MergedRows(
            everybody,
            here.attributes(everybody),
            here.events,
            ordering=self._in_order,
            identity_map=united_identities,
            leaves=rules.record_leaves,
            event_leaves=rules.event_leaves,
        )
        qualifies = qualifying(rules.nodes, rows, rules.fields, evaluated_at)
        numbers = here.segments.numbers(rules.segment_ids)
        return outcome_of(qualifies, here.own.of(everybody), numbers, evaluated_at)

    def _rows(self, members: Members, here: Slice, tally: Tally) -> pa.Table:
        """Merge profiles, all of which are exported."""
        tally.counters["profiles"] += len(members)
        attributes = here.attributes(members)
        leaves = self._projection.record_leaves()
        columns = {path: attributes.merged(path, field) for path, field in leaves.items()}
        columns |= self._named(members, here.fragments, here.mentions, tally.counters)
        if self._order.events is not None:
            columns[EVENTS_COLUMN] = self._attached(members, here.events, here.mentions.rows, tally)
        return self._projection.rows(columns, len(members))

    def _flat_rows(
        self, flat: FlatRows, prefix: int, members: Members, here: Slice, tally: Tally
    ) -> pa.Table:
        """Merge what the columns of a table have of profiles."""
        attributes = here.attributes(members)
        leaves = self._projection.record_leaves()
        merged = {path: attributes.merged(path, field) for path, field in leaves.items()}
        rows = flat.rows(prefix, members, merged, here.mentions)
        tally.counters["profiles"] += rows.num_rows
        return rows

    def _members(self, here: Slice, batches: Iterable[int]) -> Iterator[tuple[int, Members]]:
        """Tell which profiles each batch holds, by what is known of their segments."""
        filter, everybody = self._order.segments, here.everybody
        if filter is None:
            yield 0, everybody
            return
        memberships = here.memberships(filter)
        if filter.is_split:
            for batch in batches:
                yield batch, everybody.chosen(memberships.taken_by(filter.choices[batch]))
            return
        taken = [memberships.taken_by(choice) for choice in filter.choices]
        yield 0, everybody.chosen(np.logical_or.reduce(taken))

    def _fragments(self, rows: Rows, profile: Ints, profile_count: int) -> Fragments:
        """Drop the record rows that were replaced, and rank the others."""
        snapshot, source, seq = self.snapshot, rows.source, rows.numbers(SEQ, np.int64)
        oldest_first = ordered(snapshot.ingest_number[source], seq)
        weakest_first = oldest_first
        if len(np.unique(snapshot.strength)) > 1:
            weakest_first = oldest_first[ordered(snapshot.strength[source][oldest_first])]
        key, key_count = profile, profile_count
        if rows.profile is not rows.key:
            keys, key = distinct(rows.key)
            key_count = len(keys)
        stands, place = folded(
            dataset=snapshot.dataset[source],
            key=key,
            key_count=key_count,
            weakest_first=weakest_first,
            is_patch=snapshot.is_upsert[source],
        )
        rank = _ranks(weakest_first)
        age = rank if weakest_first is oldest_first else _ranks(oldest_first)
        if stands.all():
            return Fragments(rows=rows, profile=profile, place=place, rank=rank, age=age)
        kept = np.flatnonzero(stands)
        return Fragments(
            rows=rows.chosen(kept),
            profile=profile[kept],
            place=place[kept],
            rank=rank[kept],
            age=age[kept],
        )

    def _live(self, events: Owned) -> Owned:
        """Drop the events of strangers, and those that were ingested again later."""
        events = events.kept(events.profile >= 0)
        if not len(events):
            return events
        rows = events.rows
        return events.kept(
            last_ingested(
                rows.marks(),
                lambda places: rows.stack.values(EVENT_ID.name, _ID, rows.at[places]),
                lambda places: self.snapshot.dataset[rows.source[places]],
                events.profile,
                lambda places: self.snapshot.ingest_number[rows.source[places]],
                lambda places: rows.numbers(SEQ, np.int64)[places],
            )
        )

    def _updated(self, everybody: Members, *kinds: Owned) -> Members:
        """Keep the profiles whose last update is late enough."""
        if self._order.updated_after is None:
            return everybody
        is_updated = np.zeros(len(everybody), np.bool_)
        for each in kinds:
            is_late = self.snapshot.ingested_at[each.rows.source] > self.snapshot.updated_after
            is_updated[each.profile[is_late]] = True
        return everybody.chosen(is_updated)

    def _named(
        self, members: Members, fragments: Fragments, mentions: Owned, counters: Counter[str]
    ) -> dict[str, Column]:
        """Unite the identities of profiles, and count profiles by namespace."""
        named, namespace, spellings = self._spelt(members, mentions)
        columns: dict[str, Column] = {}
        profile = named.profile
        if self._projection.has_identities:
            united = self._united(members, fragments, named, namespace, spellings)
            columns = self._identity_columns(united, len(members))
            profile, namespace = united.profile, united.namespace
        for code, count in profiles_by_namespace(profile, namespace, spellings).items():
            counters[f"namespace:{code}"] += count
        return columns

    def _spelt(self, members: Members, mentions: Owned) -> tuple[Owned, Ints, Column]:
        """Give the identities of members, the number of the namespace of each, and these."""
        number = members.number(mentions.profile)
        named = Owned(rows=mentions.rows, profile=number).kept(number >= 0)
        namespaces = named.rows.stack.column("namespace", _NAMESPACE)
        namespace, spellings = spelt(namespaces, self._order.namespaces)
        return named, namespace[named.rows.at], spellings

    def namespaces(self, here: Slice) -> tuple[Bools, list[str]]:
        """Say for each profile of a slice, and each namespace as registered, whether it has one."""
        named, namespace, spellings = self._spelt(here.everybody, here.mentions)
        has = np.zeros((len(here.everybody), len(spellings)), np.bool_)
        has[named.profile, namespace] = True
        return has, spellings.to_pylist()

    def _united(
        self,
        members: Members,
        fragments: Fragments,
        named: Owned,
        namespace: Ints,
        spellings: Column,
    ) -> Entries:
        rows = named.rows
        identity = Keys(rows.numbers("id_hi", np.uint64), rows.numbers("id_lo", np.uint64))
        newest, has_record = _newest_owners(members, fragments)
        return entries(
            Mentions(
                profile=named.profile,
                identity=identity,
                is_owner=equal(identity, rows.key),
                namespace=namespace,
                value=lambda places: rows.stack.values("value", pa.string(), rows.at[places]),
                state=rows.numbers("state", np.int8),
                spellings=spellings,
            ),
            newest_owner=newest,
            has_record=has_record,
        )

    def _identity_columns(self, united: Entries, profile_count: int) -> dict[str, Column]:
        columns = {IDENTITY_MAP.name: identity_map(united, profile_count)}
        derived = self._projection.identities
        if derived is not None:
            columns[derived.name] = identities(united, profile_count, element_of(derived))
        return columns

    def _attached(self, members: Members, events: Owned, mentions: Rows, tally: Tally) -> Column:
        """List the events of each profile that lie in the ingest window, in order.

        Of more than a profile may carry, the newest.
        """
        snapshot, number = self.snapshot, members.number(events.profile)
        attached = Owned(rows=events.rows, profile=number)
        attached = attached.kept((number >= 0) & snapshot.is_in_window[events.rows.source])
        rows, number = attached.rows, attached.profile
        order = self._in_order(attached)
        counts = np.bincount(number, minlength=len(members))
        is_over = counts > self._order.events_per_profile
        if is_over.any():
            order = order[newest(number[order], self._order.events_per_profile)]
            tally.counters["shortened"] += int(is_over.sum())
            tally.shortened.add(members.profiles.at(is_over), counts[is_over], mentions)
        at = rows.at[order]
        columns = {
            path: rows.stack.values_spelt(path, arrow_type(field), at)
            for path, field in self._projection.event_leaves().items()
        }
        tally.counters["events"] += len(at)
        offsets = pa.array(run_offsets(number[order], len(members)), pa.int32())
        return self._projection.events(columns, offsets)

    def _in_order(self, events: Owned) -> Ints:
        """Sort events by profile, then as exports list them."""
        rows = events.rows
        return event_order(
            events.profile,
            rows.stack.values(EVENT_TIME.name, _TIME, rows.at),
            lambda places: rows.stack.values(EVENT_ID.name, _ID, rows.at[places]),
            lambda places: self.snapshot.ingest_number[rows.source[places]],
            lambda places: rows.numbers(SEQ, np.int64)[places],
        )


def _newest_owners(members: Members, fragments: Fragments) -> tuple[Keys, Bools]:
    """Give the primary identity of each profile's newest record row, where it has one."""
    number = members.number(fragments.profile)
    rows = np.flatnonzero(number >= 0)
    if fragments.rows.profile is fragments.rows.key:  # all rows of a profile have its own key
        has_record = np.zeros(len(members), np.bool_)
        has_record[number[rows]] = True
        return members.profiles, has_record
    newest = np.full(len(members), -1)
    oldest_first = rows[ordered(fragments.age[rows])]
    newest[number[oldest_first]] = oldest_first  # the last assignment stays
    has_record = newest >= 0
    owners = Keys(members.profiles.hi.copy(), members.profiles.lo.copy())
    of_record = fragments.rows.key.at(newest[has_record])
    owners.hi[has_record], owners.lo[has_record] = of_record.hi, of_record.lo
    return owners, has_record


def _ranks(order: Ints) -> Ints:
    """Turn the positions that sort rows into the place of each row."""
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order))
    return ranks
