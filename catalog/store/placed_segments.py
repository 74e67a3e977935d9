"""Segments as projects and spaces see them, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catalog.errors import NotFound
from catalog.jobs import JobState
from catalog.organisations import Scope
from catalog.segments import SegmentDefinition
from catalog.spaces import PlacedSegment, SpaceNumber, Stage
from catalog.store import queries
from catalog.store.database import Connection, Record
from catalog.store.segments import SegmentStore

SQL = queries.beside(__file__)

#: More than any sandbox has.
_ALL = 1 << 31

_STAGES = {
    JobState.QUEUED: Stage.READY,
    JobState.RUNNING: Stage.RUNNING,
    JobState.SUCCEEDED: Stage.FINISH,
    JobState.FAILED: Stage.ERROR,
}


class PlacedSegmentStore:
    """The segments a space sees: its own, and those of no space. No space: all of the sandbox."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def page(
        self, scope: Scope, space: SpaceNumber | None, *, limit: int | None = None, skip: int = 0
    ) -> tuple[PlacedSegment, ...]:
        """Segments in the order they were made, from behind some."""
        return await self._found(scope, space, limit=limit or _ALL, skip=skip)

    async def count(self, scope: Scope, space: SpaceNumber | None) -> int:
        """How many there are on all pages."""
        row = await SQL["count"].row(self._db, **_of(scope), space_number=space)
        assert row is not None
        return int(row["count"])

    async def keyed(self, scope: Scope, space: SpaceNumber | None, key: str) -> PlacedSegment:
        """Find a segment by its key; refuses with NotFound."""
        found = await self._found(scope, space, key=key)
        if not found:
            raise NotFound("segment", key)
        return found[0]

    async def numbered(
        self, scope: Scope, space: SpaceNumber | None, number: int
    ) -> PlacedSegment | None:
        """Find a segment by its number."""
        found = await self._found(scope, space, number=number)
        return found[0] if found else None

    async def lock(self, scope: Scope, key: str) -> None:
        """Hold a segment, if there is one of that key, until the transaction ends.

        Whoever else does so waits, and reads then what was done to it meanwhile.
        """
        await SQL["lock"].row(self._db, **_of(scope), key=key)

    async def place(self, scope: Scope, number: int, space: SpaceNumber | None) -> None:
        """Give a segment to a space, or to the project as a whole."""
        row = await SQL["place"].row(self._db, **_of(scope), number=number, space_number=space)
        if row is None:
            raise NotFound("segment", number)

    async def owned_by_spaces(self, scope: Scope) -> tuple[str, ...]:
        """The ids of all segments that belong to a space, whichever."""
        rows = await SQL["owned"].rows(self._db, **_of(scope))
        return tuple(row["segment_id"] for row in rows)

    async def _found(
        self,
        scope: Scope,
        space: SpaceNumber | None,
        *,
        key: str | None = None,
        number: int | None = None,
        limit: int = _ALL,
        skip: int = 0,
    ) -> tuple[PlacedSegment, ...]:
        rows = await SQL["numbers"].rows(
            self._db,
            **_of(scope),
            space_number=space,
            key=key,
            number=number,
            limit=limit,
            skip=skip,
        )
        ids = [row["segment_id"] for row in rows]
        segments = {one.id: one for one in await SegmentStore(self._db).find_many(scope, ids)}
        return tuple(_placed(row, segments[row["segment_id"]]) for row in rows)


def _of(scope: Scope) -> dict[str, Any]:
    return {"sandbox_id": scope.sandbox_id, "organisation_id": scope.organisation_id}


def _placed(row: Record, segment: SegmentDefinition) -> PlacedSegment:
    is_computed, state = row["is_computed"], row["job_state"]
    stage = _STAGES.get(state) if state else None
    space = row["space_number"]
    return PlacedSegment(
        number=row["number"],
        segment=segment,
        space_number=None if space is None else SpaceNumber(space),
        stage=stage or (Stage.FINISH if is_computed else Stage.NONE),
        detected_at=row["detected_at"],
        member_count=_members(row["counts"]),
        profile_count=(row["profiles"] or {}).get(segment.merge_policy_id),
        is_computed=is_computed,
    )


def _members(counts: Mapping[str, Any] | None) -> int | None:
    return None if counts is None else counts["entered"] + counts["stayed"]
