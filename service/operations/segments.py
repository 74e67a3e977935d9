"""What callers may ask about segments: rules that say who belongs to an audience."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from catalog.audit import Action, ObjectKind
from catalog.errors import Invalid, InvalidField, NameTaken, NotFound
from catalog.export_jobs import BUILT_IN_POLICIES, PROFILE_SCHEMA_NAME, UNMERGED_POLICY
from catalog.organisations import Caller, Scope
from catalog.segments import SegmentDefinition, SegmentDraft, SegmentListing
from catalog.store.audit import AuditStore
from catalog.store.database import Connection, Database, tried
from catalog.store.memberships import MembershipStore
from catalog.store.merge_policies import MergePolicyStore
from catalog.store.schemas import SchemaStore
from catalog.store.segments import SegmentStore
from service.operations.rules import canonical
from service.operations.space_segments import check_spaces


class Segments:
    """Define segments, change them, and find them again. Who belongs to them, jobs find out."""

    def __init__(self, database: Database, *, most: int) -> None:
        """``most`` segments may one sandbox have."""
        self._database = database
        self._most = most

    async def create(
        self, draft: SegmentDraft, *, by: Caller, is_trial: bool = False
    ) -> SegmentDefinition:
        """Define a segment; as a trial, say what it would be and keep nothing.

        Refuses a rule that cannot be understood or asks for fields there are not, a policy that
        is not there or not for profiles, a name that is taken, and one segment more than a
        sandbox may have.
        """
        async with self._database.transaction() as db, tried(db, is_trial=is_trial):
            segments = SegmentStore(db)
            draft, rule = await _settled(db, draft, by.scope)
            await segments.lock_changes(by.scope)
            if await segments.count(by.scope, SegmentListing()) >= self._most:
                raise Invalid(
                    f"the sandbox has {self._most} segments and may have no more:"
                    " remove one, or change one"
                )
            await _check_name(segments, draft.name, by.scope)
            made = await segments.add(by.scope, draft, rule=rule, actor=by.client_id)
            await AuditStore(db).note(by, Action.CREATE, ObjectKind.SEGMENT, made.id)
            return made

    async def find(self, id: str, *, by: Caller) -> SegmentDefinition:
        return await self._database.read(lambda db: SegmentStore(db).find(by.scope, id))

    async def find_many(self, ids: Collection[str], *, by: Caller) -> tuple[SegmentDefinition, ...]:
        """Those of some ids that are segments here; others are left out."""
        return await self._database.read(lambda db: SegmentStore(db).find_many(by.scope, ids))

    async def page(
        self, wanted: SegmentListing, *, by: Caller, limit: int, skip: int
    ) -> tuple[tuple[SegmentDefinition, ...], int]:
        """One page of the segments that pass a filter, and how many pass in all."""
        async with self._database.transaction() as db:
            segments = SegmentStore(db)
            found = await segments.page(by.scope, wanted, limit=limit, skip=skip)
            return found, await segments.count(by.scope, wanted)

    async def revise(
        self, id: str, change: Callable[[SegmentDefinition], SegmentDraft], *, by: Caller
    ) -> SegmentDefinition:
        """Change a segment, by a pure function from what it is; refuses as :meth:`create` does.

        Who belongs to it changes with the next job. Jobs keep the rules they were submitted with.
        """
        async with self._database.transaction() as db:
            segments = SegmentStore(db)
            await segments.lock_changes(by.scope)
            old = await segments.find(by.scope, id)
            draft, rule = await _settled(db, change(old), by.scope)
            if draft.name != old.name:
                await _check_name(segments, draft.name, by.scope)
            await AuditStore(db).note(by, Action.CHANGE, ObjectKind.SEGMENT, id)
            new = await segments.revise(by.scope, id, draft, rule=rule, actor=by.client_id)
            if new.merge_policy_id != old.merge_policy_id:
                await check_spaces(db, by.scope)
                await MembershipStore(db).forget(by.scope, [id])  # which are of other profiles
            return new

    async def remove(self, id: str, *, by: Caller) -> None:
        """Remove a segment; exports that are submitted from now on know no member of it."""
        async with self._database.transaction() as db:
            await SegmentStore(db).remove(by.scope, id)
            await AuditStore(db).note(by, Action.REMOVE, ObjectKind.SEGMENT, id)
            await MembershipStore(db).forget(by.scope, [id])


async def _settled(db: Connection, draft: SegmentDraft, scope: Scope) -> tuple[SegmentDraft, str]:
    """A draft that was checked, and its rule in the service's own words."""
    if draft.schema_name != PROFILE_SCHEMA_NAME:
        raise InvalidField(
            "schema.name",
            f"{draft.schema_name!r} has no segments, {PROFILE_SCHEMA_NAME} has",
        )
    union = await SchemaStore(db).union(scope)
    rule = canonical(draft.format, draft.expression, union)
    return replace(draft, merge_policy_id=await _named_policy(db, draft, scope)), rule


async def _named_policy(db: Connection, draft: SegmentDraft, scope: Scope) -> str | None:
    """The policy that a segment names; None when it follows the default.

    A segment on the default policy moves with it, also one that names it: clients send back what
    they have read.
    """
    id, policies = draft.merge_policy_id, MergePolicyStore(db)
    if id is None:
        return None
    if id in BUILT_IN_POLICIES:
        default = await policies.default(scope, PROFILE_SCHEMA_NAME)
        return None if default is None and id == UNMERGED_POLICY else id
    try:
        policy = await policies.hold(scope, id)
    except NotFound as missing:
        raise InvalidField("mergePolicyId", str(missing)) from missing
    if policy.schema_name != PROFILE_SCHEMA_NAME:
        raise InvalidField(
            "mergePolicyId", f"merge policy {id} is for {policy.schema_name}, not for profiles"
        )
    return None if policy.is_default else id


async def _check_name(segments: SegmentStore, name: str, scope: Scope) -> None:
    other = await segments.find_by_name(scope, name)
    if other is not None:
        raise NameTaken(f"segment {other} has the name {name!r} already: change that one")
