"""What callers may ask about merge policies."""

from __future__ import annotations

from collections.abc import Callable, Collection

from catalog.audit import Action, ObjectKind
from catalog.errors import Conflict, Invalid, InvalidField
from catalog.merge_policies import (
    SCHEMA_NAMES,
    AttributeMerge,
    MergePolicy,
    MergePolicyDraft,
    MergePolicyFilter,
)
from catalog.organisations import Caller, Scope
from catalog.store.audit import AuditStore
from catalog.store.database import Connection, Database
from catalog.store.datasets import DatasetStore
from catalog.store.merge_policies import MergePolicyStore
from catalog.store.segments import SegmentStore
from service.operations.space_segments import check_spaces


class MergePolicies:
    """Make merge policies, change them, and say which one is the default."""

    def __init__(self, database: Database, *, most: int) -> None:
        """``most`` policies may one organisation have, in all its sandboxes."""
        self._database = database
        self._most = most

    async def create(self, draft: MergePolicyDraft, *, by: Caller) -> MergePolicy:
        """Make a policy; a new default, or a new one on edge, takes the place of the old one.

        Refuses an order without precedence, precedence without an order, an order that names a
        data set twice or one that is not there, one policy more than an organisation may have, and
        a default that unites no identities where a segment of a space follows it.
        """
        async with self._database.transaction() as db:
            await SegmentStore(db).lock_changes(by.scope)
            await _check(db, draft, by.scope)
            if await MergePolicyStore(db).count_of_organisation(by.scope) >= self._most:
                raise Invalid(
                    f"the organisation has {self._most} merge policies and may have no more:"
                    " remove one, or change one"
                )
            made = await MergePolicyStore(db).add(by.scope, draft)
            await check_spaces(db, by.scope)
            await AuditStore(db).note(by, Action.CREATE, ObjectKind.MERGE_POLICY, made.id)
            return made

    async def find(self, id: str, *, by: Caller) -> MergePolicy:
        async with self._database.transaction() as db:
            return await MergePolicyStore(db).find(by.scope, id)

    async def find_many(self, ids: Collection[str], *, by: Caller) -> tuple[MergePolicy, ...]:
        """Those of some ids that are policies here; others are left out."""
        async with self._database.transaction() as db:
            return await MergePolicyStore(db).find_many(by.scope, ids)

    async def page(
        self, *, by: Caller, limit: int, skip: int, filter: MergePolicyFilter
    ) -> tuple[tuple[MergePolicy, ...], int]:
        """One page of the policies that pass a filter, and how many pass in all."""
        async with self._database.transaction() as db:
            return await MergePolicyStore(db).page(by.scope, limit=limit, skip=skip, filter=filter)

    async def revise(
        self, id: str, change: Callable[[MergePolicy], MergePolicyDraft], *, by: Caller
    ) -> MergePolicy:
        """Change a policy, by a pure function from what it is; refuses as :meth:`create` does.

        Jobs keep the rules they were submitted with, and later ones may still name the version.
        """
        async with self._database.transaction() as db:
            await SegmentStore(db).lock_changes(by.scope)
            policies = MergePolicyStore(db)
            draft = change(await policies.lock(by.scope, id))
            await _check(db, draft, by.scope)
            await AuditStore(db).note(by, Action.CHANGE, ObjectKind.MERGE_POLICY, id)
            revised = await policies.revise(by.scope, id, draft)
            await check_spaces(db, by.scope)
            return revised

    async def remove(self, id: str, *, by: Caller) -> None:
        """Remove a policy; refuses one that is active on edge, or that a segment names.

        Refuses too one that a space's segment follows as the default.
        """
        async with self._database.transaction() as db:
            await SegmentStore(db).lock_changes(by.scope)
            policies = MergePolicyStore(db)
            policy = await policies.lock(by.scope, id)
            if policy.is_active_on_edge:
                raise Conflict(f"merge policy {id} is active on edge: cannot remove it")
            named_by = await SegmentStore(db).name_of_one_by(by.scope, id)
            if named_by is not None:
                raise Conflict(f"segment {named_by!r} names merge policy {id}: cannot remove it")
            await policies.remove(by.scope, id)
            await check_spaces(db, by.scope)
            await AuditStore(db).note(by, Action.REMOVE, ObjectKind.MERGE_POLICY, id)


async def _check(db: Connection, draft: MergePolicyDraft, scope: Scope) -> None:
    if draft.schema_name not in SCHEMA_NAMES:
        raise InvalidField(
            "schema.name", f"{draft.schema_name!r} is unknown: one of {', '.join(SCHEMA_NAMES)}"
        )
    order = draft.rules.dataset_order
    if draft.rules.attribute_merge is not AttributeMerge.DATASET_PRECEDENCE:
        if order:
            raise InvalidField(
                "attributeMerge.order",
                f"only goes with type {AttributeMerge.DATASET_PRECEDENCE}, "
                f"not with {draft.rules.attribute_merge}",
            )
        return
    if not order:
        raise InvalidField(
            "attributeMerge.order",
            f"type {AttributeMerge.DATASET_PRECEDENCE} needs it: "
            f"the ids of data sets, highest precedence first",
        )
    if len(set(order)) < len(order):
        raise InvalidField("attributeMerge.order", "names a data set twice")
    known = await DatasetStore(db).existing(scope, order)
    if missing := [id for id in order if id not in known]:
        raise InvalidField("attributeMerge.order", f"no data set {missing[0]}")
