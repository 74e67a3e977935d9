"""Segment definitions in PostgreSQL."""

from __future__ import annotations

import secrets
import string
from collections.abc import Collection
from typing import Any
from uuid import uuid4

from catalog.errors import NotFound
from catalog.export_jobs import PROFILE_SCHEMA_NAME, UNMERGED_POLICY
from catalog.organisations import Scope
from catalog.segments import RuleFormat, SegmentDefinition, SegmentDraft, SegmentListing
from catalog.store import queries
from catalog.store.database import Connection, Record

SQL = queries.beside(__file__)

_KEY_LETTERS = string.ascii_lowercase + string.digits
#: Of some 36 ^ 10 keys none is ever made twice in a sandbox.
_KEY_LENGTH = 10


class SegmentStore:
    """Segment definitions, read and changed inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def add(
        self, scope: Scope, draft: SegmentDraft, *, rule: str, actor: str
    ) -> SegmentDefinition:
        """Make a segment of a draft that was checked; ``rule`` is its canonical text."""
        id = str(uuid4())
        letters = (secrets.choice(_KEY_LETTERS) for _ in range(_KEY_LENGTH))
        await SQL["add"].row(
            self._db,
            id=id,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            key="seg_" + "".join(letters),
            actor=actor,
            **_columns(draft, rule),
        )
        return await self.find(scope, id)

    async def find(self, scope: Scope, id: str) -> SegmentDefinition:
        found = await self.find_many(scope, [id])
        if not found:
            raise NotFound("segment", id)
        return found[0]

    async def find_by_key(self, scope: Scope, key: str) -> SegmentDefinition:
        row = await SQL["find_by_key"].row(
            self._db, key=key, sandbox_id=scope.sandbox_id, organisation_id=scope.organisation_id
        )
        if row is None:
            raise NotFound("segment", key)
        return await self.find(scope, row["id"])

    async def find_by_name(self, scope: Scope, name: str) -> str | None:
        """The id of the segment that has a name; None when none has."""
        row = await SQL["find_by_name"].row(
            self._db, name=name, sandbox_id=scope.sandbox_id, organisation_id=scope.organisation_id
        )
        return row["id"] if row else None

    async def find_many(self, scope: Scope, ids: Collection[str]) -> tuple[SegmentDefinition, ...]:
        """Those of some ids that are segments here, in the order of their making."""
        rows = await SQL["find_many"].rows(
            self._db,
            ids=list(ids),
            schema_name=PROFILE_SCHEMA_NAME,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
        )
        return tuple(map(_segment, rows))

    async def every(self, scope: Scope) -> tuple[SegmentDefinition, ...]:
        """All segments of a sandbox, in the order of their making."""
        rows = await SQL["every"].rows(
            self._db,
            schema_name=PROFILE_SCHEMA_NAME,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
        )
        return tuple(map(_segment, rows))

    async def page(
        self, scope: Scope, wanted: SegmentListing, *, limit: int, skip: int = 0
    ) -> tuple[SegmentDefinition, ...]:
        """One page of the segments that pass a filter."""
        rows = await SQL["page"].rows(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            schema_name=PROFILE_SCHEMA_NAME,
            is_continuous=wanted.is_continuous,
            sort=wanted.sort,
            is_descending=wanted.is_descending,
            limit=limit,
            skip=skip,
        )
        return tuple(map(_segment, rows))

    async def count(self, scope: Scope, wanted: SegmentListing) -> int:
        """How many segments pass a filter."""
        row = await SQL["count"].row(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            is_continuous=wanted.is_continuous,
        )
        assert row is not None
        return int(row["count"])

    async def lock_changes(self, scope: Scope) -> None:
        """Hold the segments of a sandbox against change until the transaction ends."""
        await SQL["lock_changes"].rows(self._db, sandbox_id=scope.sandbox_id)

    async def revise(
        self, scope: Scope, id: str, draft: SegmentDraft, *, rule: str, actor: str
    ) -> SegmentDefinition:
        """Change all of a segment but its id and its key; ``rule`` is its canonical text."""
        row = await SQL["revise"].row(
            self._db,
            id=id,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            actor=actor,
            **_columns(draft, rule),
        )
        if row is None:
            raise NotFound("segment", id)
        return await self.find(scope, id)

    async def remove(self, scope: Scope, id: str) -> None:
        row = await SQL["remove"].row(
            self._db, id=id, sandbox_id=scope.sandbox_id, organisation_id=scope.organisation_id
        )
        if row is None:
            raise NotFound("segment", id)

    async def name_of_one_by(self, scope: Scope, merge_policy_id: str) -> str | None:
        """The name of a segment that names a merge policy; None when none does."""
        row = await SQL["of_policy"].row(
            self._db,
            merge_policy_id=merge_policy_id,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
        )
        return row["name"] if row else None


def _columns(draft: SegmentDraft, rule: str) -> dict[str, Any]:
    return {
        "name": draft.name,
        "description": draft.description,
        "format": draft.format,
        "expression": draft.expression,
        "rule": rule,
        "merge_policy_id": draft.merge_policy_id,
        "is_batch": draft.is_batch,
        "is_continuous": draft.is_continuous,
        "is_synchronous": draft.is_synchronous,
        "ttl_days": draft.ttl_days,
    }


def _segment(row: Record) -> SegmentDefinition:
    return SegmentDefinition(
        id=row["id"],
        key=row["key"],
        version=row["version"],
        name=row["name"],
        description=row["description"],
        format=RuleFormat(row["format"]),
        expression=row["expression"],
        rule=row["rule"],
        merge_policy_id=row["policy_id"] or UNMERGED_POLICY,
        follows_default=row["merge_policy_id"] is None,
        is_batch=row["is_batch"],
        is_continuous=row["is_continuous"],
        is_synchronous=row["is_synchronous"],
        ttl_days=row["ttl_days"],
        created_by=row["created_by"],
        updated_by=row["updated_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
