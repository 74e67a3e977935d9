"""Profiles one by one: look at a merged profile without exporting it, and say why it is so."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from catalog.audit import Action, ObjectKind
from catalog.entities import (
    AskedIdentity,
    Cluster,
    Edge,
    Entity,
    EntityEvent,
    EntityRequest,
    EventWindow,
    ExplainedLeaf,
    Member,
    Origin,
    Rule,
    Xid,
    key_of,
    xid_of,
)
from catalog.errors import InvalidField, NotFound, TooManyIdentities, Unavailable
from catalog.export_jobs import (
    BUILT_IN_POLICIES,
    IDENTITIES_PATHS,
    PROFILE_SCHEMA_NAME,
    UNMERGED_POLICY,
)
from catalog.identities import IDENTITY_VALUE_LENGTH, Namespace, identity_key
from catalog.memberships import MembershipSet
from catalog.merge_policies import IdentityGraph, MergeRules
from catalog.organisations import Caller, Scope
from catalog.schemas import Field, Path, field_at
from catalog.store.audit import AuditStore
from catalog.store.database import Connection, Database
from catalog.store.entities import EntityStore, IngestedBatch
from catalog.store.labellings import LabellingStore
from catalog.store.memberships import MembershipStore
from catalog.store.merge_policies import MergePolicyStore
from catalog.store.namespaces import NamespaceStore
from catalog.store.schemas import SchemaStore
from catalog.store.secrets import IDENTITY_SECRET, SecretStore
from catalog.store.store_files import StoreFileStore
from service.engine import lookup_orders as engine
from service.engine.lookups import FilesGone, Lookups
from service.engine.orders import (
    ENGINE_VERSION,
    EventChoice,
    ExportOrder,
    Fragments,
    SavedLabelling,
    memberships_of,
)

#: How often files may be swept away under a look-up before it gives up.
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """What the engine's keys and numbers are called in one sandbox."""

    namespaces: tuple[Namespace, ...]
    batches: dict[int, IngestedBatch] = field(default_factory=dict)

    def member(self, linked: engine.Linked) -> Member:
        known = {one.code.lower(): one for one in self.namespaces}
        namespace = known.get(linked.namespace or "")
        return Member(
            xid=xid_of(linked.key),
            namespace=namespace.code if namespace else linked.namespace,
            namespace_id=namespace.id if namespace else None,
            value=linked.value,
        )

    def spelt(self, member: Member, asked: AskedIdentity) -> Member:
        """Name an identity that no row names as its asker does."""
        if member.value is not None or asked.namespace is None:
            return member
        sought = asked.namespace.lower()
        by_code = [one for one in self.namespaces if one.code.lower() == sought]
        by_number = [one for one in self.namespaces if str(one.id) == sought]
        namespace = (*by_code, *by_number)[0]
        return replace(member, namespace=namespace.code, namespace_id=namespace.id, value=asked.id)

    def origin(self, source: engine.Source) -> Origin:
        batch = self.batches.get(source.ingest_number)
        return Origin(
            dataset_id=source.dataset_id,
            batch_id=batch.batch_id if batch else "",
            ingest_number=source.ingest_number,
            row=source.row,
            identity=self.member(source.identity),
        )

    def batch_ids(self, ingest_numbers: Iterable[int]) -> tuple[str, ...]:
        return tuple(self.batches[n].batch_id for n in ingest_numbers if n in self.batches)


class Entities:
    """What callers may ask about single profiles and identities."""

    def __init__(self, database: Database, lookups: Lookups, *, most_events: int) -> None:
        """Merge at most so many events of a profile, as exports do: the newest."""
        self._database = database
        self._lookups = lookups
        self._most_events = most_events

    async def look_up(self, request: EntityRequest, *, by: Caller) -> tuple[Entity, ...]:
        """Merge the profiles of some identities as an export would, one answer for each.

        Refuses with TooManyIdentities when one belongs to more identities than a person can
        have, with InvalidField what cannot be asked, and with Unavailable what takes too long.
        """

        async def order(db: Connection) -> tuple[engine.LookupOrder, str | None]:
            policy_id, rules = await _policy(db, request.merge_policy_id, by.scope)
            export = await self._export(
                db, by.scope, rules, request.fields, request.events, policy_id or UNMERGED_POLICY
            )
            return engine.LookupOrder(
                export=export,
                identities=await self._keys(db, by.scope, request.identities),
                events=_page(request.events),
                with_explanation=request.is_explained,
            ), policy_id

        found, policy_id = await self._found(order)
        _check_sizes(found, request.identities)
        async with self._database.transaction() as db:
            names = await _names(db, by.scope, found)
            for xid in dict.fromkeys(xid_of(one.key) for one in found):
                await AuditStore(db).note(by, Action.READ, ObjectKind.PROFILE, xid)
        return tuple(
            _entity(asked, one, names, policy_id)
            for asked, one in zip(request.identities, found, strict=True)
        )

    async def identify(self, asked: AskedIdentity, *, by: Caller) -> tuple[Xid, Namespace]:
        """Give the XID of an identity, whether any row names it or not, and its namespace."""
        async with self._database.transaction() as db:
            namespace = await _namespace(db, by.scope, asked)
            (key,) = await self._keys(db, by.scope, (asked,))
        return xid_of(key), namespace

    async def clusters(
        self,
        asked: tuple[AskedIdentity, ...],
        *,
        by: Caller,
        is_stitched: bool = True,
        with_edges: bool = False,
    ) -> tuple[Cluster, ...]:
        """Give all that is linked with some identities; refuses with TooManyIdentities."""
        graph = IdentityGraph.PRIVATE if is_stitched else IdentityGraph.NONE

        async def order(db: Connection) -> tuple[engine.LookupOrder, None]:
            rules = MergeRules(identity_graph=graph)
            return engine.LookupOrder(
                export=await self._export(db, by.scope, rules, (("identityMap",),), None),
                identities=await self._keys(db, by.scope, asked),
                with_profiles=False,
                with_links=with_edges,
            ), None

        found, _ = await self._found(order)
        _check_sizes(found, asked)
        async with self._database.transaction() as db:
            names = await _names(db, by.scope, found)
            for xid in dict.fromkeys(xid_of(one.key) for one in found):
                await AuditStore(db).note(by, Action.READ, ObjectKind.PROFILE, xid)
        return tuple(
            _cluster(one, found_one, names) for one, found_one in zip(asked, found, strict=True)
        )

    async def close(self) -> None:
        """End the processes that look-ups are done in."""
        await self._lookups.close()

    async def _found(self, order: Any) -> tuple[tuple[engine.FoundProfile, ...], str | None]:
        """Ask the engine, again with a newer snapshot when files of this one were swept."""
        for _ in range(_TRIES):
            async with self._database.transaction() as db:
                made, policy_id = await order(db)
            try:
                return (await self._lookups.ask(made)).profiles, policy_id
            except FilesGone:
                continue
        raise Unavailable("the profile store is being rewritten")

    async def _export(
        self,
        db: Connection,
        scope: Scope,
        rules: MergeRules,
        fields: tuple[Path, ...],
        events: EventWindow | None,
        policy_id: str | None = None,
    ) -> ExportOrder:
        """What an export of the last snapshot would be told.

        Without a policy it knows nothing of segments.
        """
        union = await SchemaStore(db).union(scope)
        asked = [path for path in fields if path not in IDENTITIES_PATHS]
        _check_paths(asked, union.profile_fields if events is None else union.event_fields)
        commit = await EntityStore(db).commit(scope)
        labelling = None
        if rules.identity_graph is IdentityGraph.PRIVATE:
            labelling = await LabellingStore(db).newest(
                scope, commit, engine_version=ENGINE_VERSION
            )
        files = await StoreFileStore(db).files_at(scope, commit)
        sets: tuple[MembershipSet, ...] = ()
        if policy_id is not None:
            sets = await MembershipStore(db).sets_at(scope, commit, policy_id)
        membership_files, membership_sets = memberships_of(sets)
        return ExportOrder(
            folder="",
            files=(*map(Fragments.of, files), *membership_files),
            membership_sets=membership_sets,
            asked_at=datetime.now(UTC),
            labelling=SavedLabelling.of(labelling),
            profile_fields=tuple(field.to_json() for field in union.profile_fields),
            event_fields=tuple(field.to_json() for field in union.event_fields),
            fields=fields if events is None else (("identityMap",),),
            identity_graph=rules.identity_graph,
            attribute_merge=rules.attribute_merge,
            dataset_order=rules.dataset_order,
            events=None if events is None else EventChoice(fields=fields),
            with_empty_profiles=True,
            events_per_profile=self._most_events,
            namespaces={
                one.code.lower(): one.code for one in await NamespaceStore(db).registered(scope)
            },
        )

    async def _keys(
        self, db: Connection, scope: Scope, identities: Iterable[AskedIdentity]
    ) -> tuple[str, ...]:
        """The keys of identities, whether any row names them or not."""
        secret, keys = await SecretStore(db).find_or_make(IDENTITY_SECRET), []
        for one in identities:
            if one.namespace is None:
                key = key_of(one.id)
                if key is None:
                    raise InvalidField("entityIdNS", f"is missing, and {one.id!r} is no XID")
            else:
                namespace = await _namespace(db, scope, one)
                key = identity_key(namespace.code, one.id, secret)
            keys.append(key)
        return tuple(keys)


async def _policy(db: Connection, id: str | None, scope: Scope) -> tuple[str | None, MergeRules]:
    """The policy asked for, the default, or no merging at all."""
    if id is None:
        default = await MergePolicyStore(db).default(scope, PROFILE_SCHEMA_NAME)
        return (default.id, default.rules) if default else (None, MergeRules())
    if id in BUILT_IN_POLICIES:
        return id, BUILT_IN_POLICIES[id]
    try:
        policy = await MergePolicyStore(db).find(scope, id)
    except NotFound as missing:
        raise InvalidField("mergePolicyId", str(missing)) from missing
    return policy.id, policy.rules


async def _namespace(db: Connection, scope: Scope, asked: AskedIdentity) -> Namespace:
    if not asked.id or len(asked.id) > IDENTITY_VALUE_LENGTH:
        raise InvalidField("entityId", f"has 1 to {IDENTITY_VALUE_LENGTH} characters")
    try:
        return await NamespaceStore(db).find(scope, asked.namespace or "")
    except NotFound as missing:
        raise InvalidField("entityIdNS", str(missing)) from missing


def _page(events: EventWindow | None) -> engine.EventPage | None:
    if events is None:
        return None
    return engine.EventPage(
        since=events.since,
        until=events.until,
        is_newest_first=events.is_newest_first,
        start=events.start,
        limit=events.limit,
    )


def _check_paths(paths: Iterable[Path], fields: tuple[Field, ...]) -> None:
    for path in paths:
        if field_at(fields, path) is None:
            raise InvalidField("fields", f"the union schema has no field {'.'.join(path)}")


def _check_sizes(found: Iterable[engine.FoundProfile], asked: Iterable[AskedIdentity]) -> None:
    for one, identity in zip(found, asked, strict=True):
        if one.is_excluded:
            raise TooManyIdentities(identity.id)


async def _names(db: Connection, scope: Scope, found: Collection[engine.FoundProfile]) -> _Names:
    numbers: set[int] = set()
    for one in found:
        numbers |= set(one.ingest_numbers)
        numbers |= {number for link in one.links for number in link.ingest_numbers}
    return _Names(
        namespaces=await NamespaceStore(db).registered(scope),
        batches=await EntityStore(db).batches(scope, numbers),
    )


def _entity(
    asked: AskedIdentity, found: engine.FoundProfile, names: _Names, policy_id: str | None
) -> Entity:
    return Entity(
        asked=asked,
        xid=xid_of(found.key),
        members=tuple(map(names.member, found.members)),
        attributes=found.entity,
        merge_policy_id=policy_id,
        dataset_ids=found.dataset_ids,
        batch_ids=names.batch_ids(found.ingest_numbers),
        updated_at=found.updated_at,
        last_named=found.last_named,
        explanation=tuple(
            ExplainedLeaf(
                path=leaf.path,
                rule=Rule(leaf.rule),
                origin=names.origin(leaf.source),
                beaten_count=leaf.beaten_count,
            )
            for leaf in found.explanation
        ),
        events=tuple(
            EntityEvent(
                id=event.id,
                time=event.time,
                fields=event.entity,
                origin=names.origin(event.source),
                ingested_at=event.ingested_at,
            )
            for event in found.events
        ),
        has_more_events=found.has_more_events,
    )


def _cluster(asked: AskedIdentity, found: engine.FoundProfile, names: _Names) -> Cluster:
    members = {one.key: names.member(one) for one in found.members}
    members[found.key] = names.spelt(members[found.key], asked)
    edges = []
    for link in found.links:
        batches = [names.batches[n] for n in link.ingest_numbers if n in names.batches]
        if batches:
            near, far = (members[key] for key in link.keys)
            edges.append(
                Edge(
                    ends=(near, far),
                    dataset_ids=tuple(sorted({batch.dataset_id for batch in batches})),
                    batch_ids=tuple(batch.batch_id for batch in batches),
                    first_at=min(batch.ingested_at for batch in batches),
                    last_at=max(batch.ingested_at for batch in batches),
                )
            )
    return Cluster(asked=asked, members=tuple(members.values()), edges=tuple(edges))
