"""Merges one slice at a time: rows of the store in, rows of the export out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from catalog.schemas import IDENTITY_MAP, SEGMENT_MEMBERSHIP, Field, Kind
from catalog.store_files import StoreFileKind
from service.engine.arrow_types import Column, arrow_type, element_of
from service.engine.columns import Stack, pick, validity
from service.engine.kernel import Contest, event_order, folded, last_ingested, newest
from service.engine.maps import (
    Entries,
    Mentions,
    entries,
    identities,
    identity_map,
    profiles_by_namespace,
    segment_membership,
    spelt,
)
from service.engine.memberships import Memberships
from service.engine.orders import ExportOrder
from service.engine.plan import Plan
from service.engine.projection import EVENT_ID, EVENT_TIME, EVENTS_COLUMN
from service.engine.ranking import Bools, Ints, Keys, distinct, ordered, places, run_offsets
from service.engine.slices import Rows, SliceReader
from service.engine.snapshot import Snapshot
from service.engine.store_files import SEQ
from service.engine.tallies import Tally
from service.storage.files import Files

_NAMESPACE = pa.dictionary(pa.int32(), pa.string())
_ID, _TIME = arrow_type(EVENT_ID), arrow_type(EVENT_TIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragments:
    """The record rows that stand, all arrays parallel."""

    rows: Rows
    #: Orders fragments from weakest to strongest.
    place: Ints
    #: Orders rows from weakest to strongest.
    rank: Ints
    #: Orders rows from oldest to newest.
    age: Ints


class Merge:
    """Merges the slices of an order, in ascending order, for one thread."""

    def __init__(self, order: ExportOrder, plan: Plan, files: Files) -> None:
        self._order = order
        self.snapshot = Snapshot(order)
        self._projection = self.snapshot.projection
        self._records, self._events, self._identities = (
            SliceReader(kind, self.snapshot, plan, files)
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
        fragments = self._fragments(self._records.read(prefix))
        events = self._events.read(prefix)
        profiles, _ = distinct(fragments.rows.profile)
        if self._order.with_empty_profiles:
            profiles, _ = distinct(Keys.joined([profiles, events.profile]))
        events = self._live(events, profiles)
        profiles = self._updated(profiles, fragments.rows, events)
        mentions: Rows | None = None
        for batch, members in self._members(profiles, fragments, tallies):
            if not len(members):
                continue
            if mentions is None:
                mentions = self._identities.read(prefix)
            yield batch, self._rows(members, fragments, events, mentions, tallies[batch])

    def _rows(
        self,
        profiles: Keys,
        fragments: Fragments,
        events: Rows,
        mentions: Rows,
        tally: Tally,
    ) -> pa.Table:
        """Merge profiles, all of which are exported."""
        tally.counters["profiles"] += len(profiles)
        columns = self._attributes(profiles, fragments)
        columns |= self._named(profiles, fragments, mentions, tally.counters)
        if self._order.events is not None:
            columns[EVENTS_COLUMN] = self._attached(profiles, events, mentions, tally)
        return self._projection.rows(columns, len(profiles))

    def _members(
        self, profiles: Keys, fragments: Fragments, batches: Iterable[int]
    ) -> Iterator[tuple[int, Keys]]:
        """Tell which profiles each batch holds, by what they say of their segments."""
        filter = self._order.segments
        if filter is None:
            yield 0, profiles
            return
        number = places(fragments.rows.profile, profiles)
        stays = number >= 0
        at, type = fragments.rows.at[stays], arrow_type(SEGMENT_MEMBERSHIP)
        maps = fragments.rows.stack.values(SEGMENT_MEMBERSHIP.name, type, at)
        merged = segment_membership(maps, number[stays], fragments.rank[stays], len(profiles))
        memberships = Memberships(merged, filter)
        if filter.is_split:
            for batch in batches:
                yield batch, profiles.at(memberships.taken_by(filter.choices[batch]))
            return
        taken = [memberships.taken_by(choice) for choice in filter.choices]
        yield 0, profiles.at(np.logical_or.reduce(taken))

    def _fragments(self, rows: Rows) -> Fragments:
        """Drop the record rows that were replaced, and rank the others."""
        snapshot, source = self.snapshot, rows.source
        oldest_first = ordered(snapshot.ingest_number[source], rows.numbers(SEQ, np.int64))
        weakest_first = oldest_first[ordered(snapshot.strength[source][oldest_first])]
        keys, key = distinct(rows.key)
        stands, place = folded(
            dataset=snapshot.dataset[source],
            key=key,
            key_count=len(keys),
            weakest_first=weakest_first,
            is_patch=snapshot.is_upsert[source],
        )
        return Fragments(
            rows=rows.kept(stands),
            place=place[stands],
            rank=_ranks(weakest_first)[stands],
            age=_ranks(oldest_first)[stands],
        )

    def _live(self, events: Rows, profiles: Keys) -> Rows:
        """Drop the events of strangers, and those that were ingested again later."""
        events = events.kept(places(events.profile, profiles) >= 0)
        if not len(events):
            return events
        return events.kept(
            last_ingested(
                events.stack.values(EVENT_ID.name, _ID, events.at),
                self.snapshot.dataset[events.source],
                places(events.profile, profiles),
                self.snapshot.ingest_number[events.source],
                events.numbers(SEQ, np.int64),
            )
        )

    def _updated(self, profiles: Keys, records: Rows, events: Rows) -> Keys:
        """Keep the profiles whose last update is late enough."""
        if self._order.updated_after is None:
            return profiles
        after = self.snapshot.updated_after
        is_updated = np.zeros(len(profiles), np.bool_)
        for rows in (records, events):
            late = rows.kept(self.snapshot.ingested_at[rows.source] > after)
            is_updated[places(late.profile, profiles)] = True
        return profiles.at(is_updated)

    def _attributes(self, profiles: Keys, fragments: Fragments) -> dict[str, Column]:
        """Merge the leaves of profiles, by dotted path."""
        number = places(fragments.rows.profile, profiles)
        stays = number >= 0
        at, number = fragments.rows.at[stays], number[stays]
        place, rank = fragments.place[stays], fragments.rank[stays]
        merged = {}
        leaves = Leaves(
            fragments.rows.stack, Contest.between(at, number, len(profiles), place, rank)
        )
        for path, field in self._projection.record_leaves().items():
            if field.kind is Kind.SEGMENT_MEMBERSHIP:
                maps = fragments.rows.stack.values(path, arrow_type(field), at)
                merged[path] = segment_membership(maps, number, rank, len(profiles))
            else:
                merged[path] = leaves.merged(path, field)
        return merged

    def _named(
        self, profiles: Keys, fragments: Fragments, mentions: Rows, counters: Counter[str]
    ) -> dict[str, Column]:
        """Unite the identities of profiles, and count profiles by namespace."""
        number = places(mentions.profile, profiles)
        mentions, number = mentions.kept(number >= 0), number[number >= 0]
        namespaces = mentions.stack.column("namespace", _NAMESPACE)
        namespace, spellings = spelt(namespaces, self._order.namespaces)
        namespace = namespace[mentions.at]
        for code, count in profiles_by_namespace(number, namespace, spellings).items():
            counters[f"namespace:{code}"] += count
        if not self._projection.has_identities:
            return {}
        identity = Keys(mentions.numbers("id_hi", np.uint64), mentions.numbers("id_lo", np.uint64))
        newest, has_record = self._newest_owners(profiles, fragments)
        united = entries(
            Mentions(
                profile=number,
                identity=identity,
                is_owner=(identity.hi == mentions.key.hi) & (identity.lo == mentions.key.lo),
                namespace=namespace,
                value=mentions.stack.values("value", pa.string(), mentions.at),
                state=mentions.numbers("state", np.int8),
                spellings=spellings,
            ),
            newest_owner=newest,
            has_record=has_record,
        )
        return self._identity_columns(united, len(profiles))

    def _identity_columns(self, united: Entries, profile_count: int) -> dict[str, Column]:
        columns = {IDENTITY_MAP.name: identity_map(united, profile_count)}
        derived = self._projection.identities
        if derived is not None:
            columns[derived.name] = identities(united, profile_count, element_of(derived))
        return columns

    def _newest_owners(self, profiles: Keys, fragments: Fragments) -> tuple[Keys, Bools]:
        """Give the primary identity of each profile's newest record row, where it has one."""
        number = places(fragments.rows.profile, profiles)
        rows = np.flatnonzero(number >= 0)
        contest = Contest.between(rows, number[rows], len(profiles), fragments.age[rows])
        newest = contest.winners()
        has_record = newest >= 0
        owners = Keys(profiles.hi.copy(), profiles.lo.copy())
        of_record = fragments.rows.key.at(newest[has_record])
        owners.hi[has_record], owners.lo[has_record] = of_record.hi, of_record.lo
        return owners, has_record

    def _attached(self, profiles: Keys, events: Rows, mentions: Rows, tally: Tally) -> Column:
        """List the events of each profile that lie in the ingest window, in order.

        Of more than a profile may carry, the newest.
        """
        snapshot = self.snapshot
        number = places(events.profile, profiles)
        in_window = (number >= 0) & snapshot.is_in_window[events.source]
        events, number = events.kept(in_window), number[in_window]
        order = event_order(
            number,
            events.stack.values(EVENT_TIME.name, _TIME, events.at),
            events.stack.values(EVENT_ID.name, _ID, events.at),
            snapshot.ingest_number[events.source],
            events.numbers(SEQ, np.int64),
        )
        counts = np.bincount(number, minlength=len(profiles))
        is_over = counts > self._order.events_per_profile
        if is_over.any():
            order = order[newest(number[order], self._order.events_per_profile)]
            tally.counters["shortened"] += int(is_over.sum())
            tally.shortened.add(profiles.at(is_over), counts[is_over], mentions)
        at = events.at[order]
        columns = {
            path: events.stack.values_spelt(path, arrow_type(field), at)
            for path, field in self._projection.event_leaves().items()
        }
        tally.counters["events"] += len(at)
        offsets = pa.array(run_offsets(number[order], len(profiles)), pa.int32())
        return self._projection.events(columns, offsets)


class Leaves:
    """Merges leaves, each among the rows of those files that have it."""

    def __init__(self, stack: Stack, contest: Contest) -> None:
        self._stack = stack
        self._contest = contest
        self._within: dict[tuple[int, ...], Contest] = {}

    def merged(self, path: str, field: Field) -> Column:
        """Give the winning value of each profile."""
        type, holders = arrow_type(field), self._stack.holders(path)
        if not holders:
            return self._stack.values_spelt(path, type, np.full(self._contest.profile_count, -1))
        column = self._stack.column_as_held(path, type)
        winners = self._among(holders).winners(validity(column))
        return self._stack.spelt(path, pick(column, winners))

    def _among(self, holders: tuple[int, ...]) -> Contest:
        if holders not in self._within:
            moved = self._stack.rows_within(holders)
            self._within[holders] = self._contest if moved is None else self._contest.within(moved)
        return self._within[holders]


def _ranks(order: Ints) -> Ints:
    """Turn the positions that sort rows into the place of each row."""
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order))
    return ranks
