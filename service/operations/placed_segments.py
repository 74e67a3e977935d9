"""Segments as projects and spaces see them: by key, by short id, and with how they stand."""

from __future__ import annotations

from catalog.audit import Action, ObjectKind
from catalog.errors import Conflict, NotFound
from catalog.merge_policies import IdentityGraph
from catalog.segment_jobs import SegmentJob, SegmentJobRequest
from catalog.spaces import Place, PlacedSegment, Stage
from catalog.store.audit import AuditStore
from catalog.store.database import Database
from catalog.store.erasure import ErasureStore
from catalog.store.placed_segments import PlacedSegmentStore
from catalog.store.segments import SegmentStore
from catalog.store.spaces import SpaceStore
from service.operations.hash_ids import HashIdSource, Noun
from service.operations.segment_jobs import SegmentJobs
from service.operations.space_segments import unites_identities


class PlacedSegments:
    """The segments of a place: all of a project, or those that one of its spaces sees.

    They are the segments every dialect defines. A space sees its own and those of no space.
    """

    def __init__(self, database: Database, ids: HashIdSource, segment_jobs: SegmentJobs) -> None:
        self._database = database
        self._ids = ids
        self._segment_jobs = segment_jobs

    async def page(
        self, place: Place, *, limit: int | None = None, skip: int = 0
    ) -> tuple[tuple[PlacedSegment, ...], int]:
        """One page of the segments of a place, the first made first, and how many there are."""
        scope, space = place.by.scope, place.space_number
        async with self._database.transaction() as db:
            segments = PlacedSegmentStore(db)
            found = await segments.page(scope, space, limit=limit, skip=skip)
            return found, await segments.count(scope, space)

    async def find(self, key: str, place: Place) -> PlacedSegment:
        """Find a segment by its key; refuses with NotFound one of another space."""
        async with self._database.transaction() as db:
            return await PlacedSegmentStore(db).keyed(place.by.scope, place.space_number, key)

    async def find_by_id(self, id: str, place: Place) -> PlacedSegment:
        """Find a segment by its short id; refuses with NotFound one of another space."""
        number = (await self._ids.known()).number(Noun.SEGMENT, id)
        found = None
        if number is not None:
            async with self._database.transaction() as db:
                segments = PlacedSegmentStore(db)
                found = await segments.numbered(place.by.scope, place.space_number, number)
        if found is None:
            raise NotFound("segment", id)
        return found

    async def put(self, key: str, place: Place) -> PlacedSegment:
        """Give a segment of the project to the space of a place, or to the project as a whole.

        Refuses to give a space one whose merge policy does not unite identities: users of a space
        are people, not their identities one by one; and with NotFound when the space went.
        """
        scope, space = place.by.scope, place.space_number
        async with self._database.transaction() as db:
            await SegmentStore(db).lock_changes(scope)
            if space is not None and await SpaceStore(db).numbered(scope, space) is None:
                raise NotFound("space", (await self._ids.known()).of(Noun.SPACE, space))
            segments = PlacedSegmentStore(db)
            found = await segments.keyed(scope, None, key)
            if space is not None and not await unites_identities(db, found.segment, scope):
                raise Conflict(
                    f"segment {key} has the merge policy {found.segment.merge_policy_id}, which "
                    f"unites nothing: give it one with the graph {IdentityGraph.PRIVATE} first"
                )
            await segments.place(scope, found.number, space)
            await AuditStore(db).note(
                place.by, Action.CHANGE, ObjectKind.SEGMENT, found.segment.id, space=space
            )
        return await self.find(key, place)

    async def compute(self, key: str, place: Place) -> SegmentJob:
        """Have a segment computed; refuses with Conflict one that is being computed.

        Of callers who ask at the same time one is served, and the others find its job.
        """
        async with self._database.together() as db:
            # Before the segment, as whoever begins something: an erasure waits for all of them.
            await ErasureStore(db).keep(place.by.scope)
            await PlacedSegmentStore(db).lock(place.by.scope, key)
            found = await self.find(key, place)
            if found.stage in {Stage.READY, Stage.RUNNING}:
                raise Conflict(f"segment {key} is being computed: wait for its end")
            request = SegmentJobRequest(segment_ids=(found.segment.id,), echo={})
            return await self._segment_jobs.submit(request, by=place.by)
