"""Merge policies in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import uuid4

from catalog.errors import NotFound
from catalog.merge_policies import (
    AttributeMerge,
    IdentityGraph,
    MergePolicy,
    MergePolicyDraft,
    MergePolicyFilter,
    MergeRules,
)
from catalog.organisations import Scope
from catalog.store import queries
from catalog.store.database import Connection, Record

SQL = queries.beside(__file__)


class MergePolicyStore:
    """Merge policies, read and changed inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def add(self, scope: Scope, draft: MergePolicyDraft) -> MergePolicy:
        """Make a policy. A new default, or a new one on edge, takes the place of the old one."""
        id = str(uuid4())
        await self._make_room(scope, id, draft)
        row = await SQL["add"].row(
            self._db,
            id=id,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            **_columns(draft),
        )
        assert row is not None
        return _policy(row)

    async def find(self, scope: Scope, id: str) -> MergePolicy:
        row = await SQL["find"].row(
            self._db, id=id, sandbox_id=scope.sandbox_id, organisation_id=scope.organisation_id
        )
        if row is None:
            raise NotFound("merge policy", id)
        return _policy(row)

    async def lock(self, scope: Scope, id: str) -> MergePolicy:
        """Find a policy and hold it against change until the transaction ends."""
        await self._lock_changes(scope)
        row = await SQL["lock"].row(
            self._db, id=id, sandbox_id=scope.sandbox_id, organisation_id=scope.organisation_id
        )
        if row is None:
            raise NotFound("merge policy", id)
        return _policy(row)

    async def hold(self, scope: Scope, id: str) -> MergePolicy:
        """Find a policy that somebody is about to name: it stays until the transaction ends."""
        row = await SQL["hold"].row(
            self._db, id=id, sandbox_id=scope.sandbox_id, organisation_id=scope.organisation_id
        )
        if row is None:
            raise NotFound("merge policy", id)
        return _policy(row)

    async def find_version(self, scope: Scope, id: str, version: int) -> MergePolicy:
        """What a policy was in one of its versions."""
        row = await SQL["find_version"].row(
            self._db,
            id=id,
            version=version,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
        )
        if row is None:
            raise NotFound("merge policy", f"{id} in version {version}")
        return _policy(row)

    async def count_of_organisation(self, scope: Scope) -> int:
        """How many policies an organisation has; none is added until the transaction ends."""
        await self._lock_changes(scope)
        row = await SQL["count_of_organisation"].row(
            self._db, organisation_id=scope.organisation_id
        )
        assert row is not None
        return int(row["count"])

    async def find_many(self, scope: Scope, ids: Collection[str]) -> tuple[MergePolicy, ...]:
        """Those of some ids that are policies here."""
        rows = await SQL["find_many"].rows(
            self._db,
            ids=list(ids),
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
        )
        return tuple(map(_policy, rows))

    async def default(self, scope: Scope, schema_name: str) -> MergePolicy | None:
        """The policy of callers who name none; None where nobody has set one."""
        row = await SQL["default"].row(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            schema_name=schema_name,
        )
        return _policy(row) if row else None

    async def page(
        self, scope: Scope, *, limit: int, skip: int = 0, filter: MergePolicyFilter
    ) -> tuple[tuple[MergePolicy, ...], int]:
        """One page of the policies that pass a filter, and how many pass in all.

        The count is 0 on pages past the end.
        """
        rows = await SQL["page"].rows(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            schema_name=filter.schema_name,
            identity_graph=filter.identity_graph,
            attribute_merge=filter.attribute_merge,
            is_default=filter.is_default,
            is_active_on_edge=filter.is_active_on_edge,
            version=filter.version,
            sort=filter.sort,
            is_descending=filter.is_descending,
            limit=limit,
            skip=skip,
        )
        return tuple(map(_policy, rows)), rows[0]["total_count"] if rows else 0

    async def revise(self, scope: Scope, id: str, draft: MergePolicyDraft) -> MergePolicy:
        """Change all of a policy but its id; others make room as for a new one."""
        await self._make_room(scope, id, draft)
        row = await SQL["revise"].row(
            self._db,
            id=id,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            **_columns(draft),
        )
        if row is None:
            raise NotFound("merge policy", id)
        return _policy(row)

    async def remove(self, scope: Scope, id: str) -> None:
        row = await SQL["remove"].row(
            self._db, id=id, sandbox_id=scope.sandbox_id, organisation_id=scope.organisation_id
        )
        if row is None:
            raise NotFound("merge policy", id)

    async def _make_room(self, scope: Scope, id: str, draft: MergePolicyDraft) -> None:
        """Take from other policies what only one may be."""
        if not (draft.is_default or draft.is_active_on_edge):
            return
        await self._lock_changes(scope)
        await SQL["make_room"].rows(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            schema_name=draft.schema_name,
            is_default=draft.is_default,
            is_active_on_edge=draft.is_active_on_edge,
            id=id,
        )

    async def _lock_changes(self, scope: Scope) -> None:
        await SQL["lock_changes"].rows(self._db, organisation_id=scope.organisation_id)


def _columns(draft: MergePolicyDraft) -> dict[str, Any]:
    return {
        "name": draft.name,
        "schema_name": draft.schema_name,
        "identity_graph": draft.rules.identity_graph,
        "attribute_merge": draft.rules.attribute_merge,
        "dataset_order": list(draft.rules.dataset_order),
        "is_default": draft.is_default,
        "is_active_on_edge": draft.is_active_on_edge,
    }


def _policy(row: Record) -> MergePolicy:
    return MergePolicy(
        id=row["id"],
        name=row["name"],
        version=row["version"],
        schema_name=row["schema_name"],
        rules=MergeRules(
            identity_graph=IdentityGraph(row["identity_graph"]),
            attribute_merge=AttributeMerge(row["attribute_merge"]),
            dataset_order=tuple(row["dataset_order"]),
        ),
        is_default=row["is_default"],
        is_active_on_edge=row["is_active_on_edge"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
