"""Export jobs: ask for merged profiles, follow the job, stop it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from catalog import segments
from catalog.audit import Action, ObjectKind
from catalog.errors import InvalidField, NotFound, Unavailable
from catalog.export_jobs import (
    BUILT_IN_POLICIES,
    IDENTITIES_PATHS,
    PROFILE_SCHEMA_NAME,
    UNMERGED_POLICY,
    EventSelection,
    ExportFilter,
    ExportJob,
    ExportRequest,
)
from catalog.jobs import JobEvent, JobId, JobKind, JobState
from catalog.merge_policies import MergePolicy, MergeRules
from catalog.organisations import Caller, Scope
from catalog.schemas import PROFILE_UNION, Field, Path, field_at
from catalog.store.audit import AuditStore
from catalog.store.batches import BatchStore
from catalog.store.database import Connection, Database
from catalog.store.export_jobs import ExportJobStore
from catalog.store.jobs import JobStore
from catalog.store.merge_policies import MergePolicyStore
from catalog.store.namespaces import NamespaceStore
from catalog.store.schemas import SchemaStore
from catalog.store.segments import SegmentStore
from catalog.store.submissions import Ground, SubmissionStore
from catalog.unions import Union
from service.engine.orders import (
    Evaluation,
    EventChoice,
    Rule,
    SegmentChoice,
    SegmentFilter,
    Selection,
)
from service.operations.announcements import Announcements
from service.operations.remembered import Remembered
from service.operations.waiting_room import WaitingRoom

#: What is known by the mark of what it was made of stays true for ever.
_KNOWN_LASTS = timedelta(hours=1)
#: A union of ten thousand fields takes some 20 MB.
_MOST_SHAPES = 10
#: Some 500 bytes each.
_MOST_BASES = 1000
#: Its ground must change within a millisecond for a submission to look again.
_MOST_LOOKS = 10

#: What requests with the same basis have in common: sandbox, data set, policy and its version.
_Asked: TypeAlias = tuple[Scope, str, str | None, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """What the profiles of a sandbox look like; and the same as a selection holds it.

    Made once for many jobs: the schemas are most of what is pinned with one.
    """

    union: Union
    #: Fields and namespaces, as the JSON of a part of a selection.
    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """The merge policy a job is pinned to; no id when rows are not merged."""

    id: str | None
    version: int | None
    rules: MergeRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What a request rests on, until its ground has another mark."""

    ground: Ground
    policy: Pinned


class ExportJobs:
    """What callers may ask about export jobs."""

    def __init__(self, database: Database, waiting_room: WaitingRoom, *, most_events: int) -> None:
        """``most_events`` may one exported profile carry."""
        self._database = database
        self._waiting_room = waiting_room
        self._most_events = most_events
        self._shapes: Remembered[tuple[Scope, str], Shapes] = Remembered(most=_MOST_SHAPES)
        self._bases: Remembered[_Asked, Basis] = Remembered(most=_MOST_BASES)
        self._announcements = Announcements(database)

    async def submit(self, request: ExportRequest, *, by: Caller) -> ExportJob:
        """Check a request, pin what it will read, open its batches and queue the job.

        All of it happens in one transaction: a request that is refused leaves nothing. Refuses
        with TooManyJobs when as many wait as may.
        """
        async with self._database.transaction() as db:
            await self._waiting_room.enter(db, by.scope)
            _check_schema(request)
            request = await _under_policy_of_segments(db, request, by.scope)
            submitted = await self._submit_as_before(db, request, by)
            for _ in range(_MOST_LOOKS):
                if submitted is not None:
                    self._announcements.announce(db)
                    return submitted
                basis = await self._look(db, request, by.scope)
                shapes = await self._shapes_of(db, basis.ground, by.scope)
                selection = self._selection(request, basis.policy.rules, shapes)
                submitted = await _submit(db, request, basis, selection, shapes, by)
        raise Unavailable("what the export rests on changes all the time")

    async def _submit_as_before(
        self, db: Connection, request: ExportRequest, by: Caller
    ) -> ExportJob | None:
        """Submit upon what such a request rested on last; None when that is unknown or past."""
        basis = self._bases.get(_asked(request, by.scope))
        if basis is None:
            return None
        shapes = self._shapes.get((by.scope, basis.ground.shape_mark))
        if shapes is None:
            return None
        try:
            selection = self._selection(request, basis.policy.rules, shapes)
        except InvalidField:
            return None  # of what was remembered: whether it is so still is to be looked up
        return await _submit(db, request, basis, selection, shapes, by)

    async def _look(self, db: Connection, request: ExportRequest, scope: Scope) -> Basis:
        ground = await SubmissionStore(db).look(
            scope, dataset_id=request.dataset_id, schema_name=PROFILE_SCHEMA_NAME
        )
        _check_destination(request, ground)
        basis = Basis(ground=ground, policy=await _policy(db, request, ground, scope))
        self._bases.keep(_asked(request, scope), basis, lasts=_KNOWN_LASTS)
        return basis

    async def _shapes_of(self, db: Connection, ground: Ground, scope: Scope) -> Shapes:
        """The union and the namespaces of a sandbox, worked out anew when either changed."""
        known = self._shapes.get((scope, ground.shape_mark))
        if known is None:
            union = await SchemaStore(db).union(scope)
            namespaces = await NamespaceStore(db).registered(scope)
            documents = {
                "profile_fields": [field.to_json() for field in union.profile_fields],
                "event_fields": [field.to_json() for field in union.event_fields],
                "namespaces": {one.code.lower(): one.code for one in namespaces},
            }
            known = Shapes(union=union, document=json.dumps(documents))
            self._shapes.keep((scope, ground.shape_mark), known, lasts=_KNOWN_LASTS)
        return known

    def _selection(self, request: ExportRequest, rules: MergeRules, shapes: Shapes) -> Selection:
        return _selection(request, rules, shapes.union, most_events=self._most_events)

    async def find(self, id: JobId, *, by: Caller) -> ExportJob:
        return await self._database.read(lambda db: ExportJobStore(db).find(by.scope, id))

    async def page(
        self, wanted: ExportFilter, *, by: Caller, limit: int, skip: int = 0
    ) -> tuple[ExportJob, ...]:
        """Export jobs in the order asked for, beginning behind the filter's cursor."""
        return await self._database.read(
            lambda db: ExportJobStore(db).page(by.scope, wanted, limit=limit, skip=skip)
        )

    async def cancel(self, id: JobId, *, by: Caller) -> None:
        """Stop a job for good; nothing it wrote is ever visible. Cancelling again is fine.

        Refuses a job that has succeeded or failed.
        """
        async with self._database.transaction() as db:
            job = await JobStore(db).lock(by.scope, id, kind=JobKind.EXPORT)
            if job.state is not JobState.CANCELLED:
                await JobStore(db).move(job, JobEvent.CANCEL, actor=by.client_id, is_fenced=False)
                await AuditStore(db).note(by, Action.CANCEL, ObjectKind.EXPORT_JOB, id)
                await BatchStore(db).abort(job.id)


def _asked(request: ExportRequest, scope: Scope) -> _Asked:
    return scope, request.dataset_id, request.merge_policy_id, request.merge_policy_version


async def _submit(
    db: Connection,
    request: ExportRequest,
    basis: Basis,
    selection: Selection,
    shapes: Shapes,
    by: Caller,
) -> ExportJob | None:
    """Queue the job; None, nothing having been done, when its ground has changed."""
    if request.is_evaluated:
        evaluation = await _evaluation(db, basis.policy.id, by.scope)
        selection = selection.model_copy(update={"evaluation": evaluation})
    return await SubmissionStore(db).submit(
        by,
        dataset_id=request.dataset_id,
        schema_name=PROFILE_SCHEMA_NAME,
        mark=basis.ground.mark,
        order={
            "echo": dict(request.echo),
            "merge_policy_id": basis.policy.id,
            "merge_policy_version": basis.policy.version,
            "segments": _split(selection),
        },
        selection=selection.model_dump(mode="json"),
        shapes=shapes.document,
        batch_count=selection.batch_count,
    )


async def _under_policy_of_segments(
    db: Connection, request: ExportRequest, scope: Scope
) -> ExportRequest:
    """Name the merge policy of the segments asked for, where a request names none.

    Refuses with InvalidField when they have several: under one, the others have no members.
    """
    if request.merge_policy_id is not None or request.segments is None:
        return request
    ids = [
        choice.segment_id
        for choice in request.segments.choices
        if choice.namespace.lower() == segments.OWN_NAMESPACE
    ]
    found = await SegmentStore(db).find_many(scope, ids) if ids else ()
    policies = sorted({segment.merge_policy_id for segment in found if not segment.follows_default})
    if any(segment.follows_default for segment in found) and policies:
        policies.append("the default")
    if len(policies) > 1:
        raise InvalidField(
            "mergePolicy.id",
            f"is missing, and the segments have several: {', '.join(policies)}. Name one, under"
            " which segments of the others have no members",
        )
    return replace(request, merge_policy_id=policies[0]) if policies else request


async def _evaluation(db: Connection, policy_id: str | None, scope: Scope) -> Evaluation | None:
    """The segments that are defined under a policy, to be evaluated now."""
    rules = tuple(
        Rule(segment_id=segment.id, text=segment.rule, ttl_days=segment.ttl_days)
        for segment in await SegmentStore(db).every(scope)
        if segment.merge_policy_id == (policy_id or UNMERGED_POLICY)
    )
    return Evaluation(rules=rules, evaluated_at=datetime.now(UTC)) if rules else None


def _check_schema(request: ExportRequest) -> None:
    if request.schema_name != PROFILE_SCHEMA_NAME:
        raise InvalidField(
            "schema.name",
            f"{request.schema_name!r} cannot be exported, {PROFILE_SCHEMA_NAME} can",
        )


def _check_destination(request: ExportRequest, ground: Ground) -> None:
    if ground.schema_id is None:
        raise InvalidField("destination.datasetId", f"no data set {request.dataset_id}")
    if ground.schema_id != PROFILE_UNION:
        raise InvalidField(
            "destination.datasetId",
            f"data set {request.dataset_id} has the schema {ground.schema_id}; "
            f"exports need one on {PROFILE_UNION}",
        )


_UNMERGED = Pinned(id=None, version=None, rules=MergeRules())


async def _policy(db: Connection, request: ExportRequest, ground: Ground, scope: Scope) -> Pinned:
    """The policy a job is pinned to: the one asked for, the default, or no merging at all."""
    id, version = request.merge_policy_id, request.merge_policy_version
    policies = MergePolicyStore(db)
    if id is None:
        if not ground.has_default_policy:
            return _UNMERGED
        default = await policies.default(scope, PROFILE_SCHEMA_NAME)
        if default is None:
            return _UNMERGED
        id, version = default.id, version or default.version
    if id in BUILT_IN_POLICIES:
        if version not in {None, 1}:
            raise InvalidField("mergePolicy.version", f"{id} has one version, 1")
        return Pinned(id=id, version=1, rules=BUILT_IN_POLICIES[id])
    policy = await _in_version(policies, scope, id, version)
    return Pinned(id=policy.id, version=policy.version, rules=policy.rules)


async def _in_version(
    policies: MergePolicyStore, scope: Scope, id: str, version: int | None
) -> MergePolicy:
    """A policy as it was in a version: old ones are kept, so that they can be asked for."""
    try:
        policy = await policies.find(scope, id)
    except NotFound as missing:
        raise InvalidField("mergePolicy.id", str(missing)) from missing
    if version is None or version == policy.version:
        return policy
    try:
        return await policies.find_version(scope, id, version)
    except NotFound as missing:
        newest = f"{missing}: the newest is {policy.version}"
        raise InvalidField("mergePolicy.version", newest) from missing


def _selection(
    request: ExportRequest, rules: MergeRules, union: Union, *, most_events: int
) -> Selection:
    """What is asked for, but for the schemas and namespaces, which are pinned beside it."""
    asked = [path for path in request.fields if path not in IDENTITIES_PATHS]
    _check_paths("fields", asked, union.profile_fields)
    if request.events is not None:
        where = "additionalFields.eventList.fields"
        _check_paths(where, request.events.fields, union.event_fields)
    return Selection(
        profile_fields=(),
        event_fields=(),
        fields=request.fields,
        identity_graph=rules.identity_graph,
        attribute_merge=rules.attribute_merge,
        dataset_order=rules.dataset_order,
        events=_events(request.events),
        updated_after=request.updated_after,
        with_empty_profiles=request.with_empty_profiles,
        segments=_segments(request.segments),
        events_per_profile=most_events,
    )


def _events(asked: EventSelection | None) -> EventChoice | None:
    if asked is None:
        return None
    return EventChoice(
        fields=asked.fields,
        ingested_after=asked.ingested_after,
        ingested_until=asked.ingested_until,
    )


def _segments(asked: segments.SegmentFilter | None) -> SegmentFilter | None:
    if asked is None:
        return None
    return SegmentFilter(
        choices=tuple(
            SegmentChoice(
                segment_id=choice.segment_id, namespace=choice.namespace, statuses=choice.statuses
            )
            for choice in asked.choices
        ),
        qualified_from=asked.qualified_from,
        qualified_until=asked.qualified_until,
        is_split=asked.is_split,
    )


def _split(selection: Selection) -> list[dict[str, Any]] | None:
    """The segments that get a batch each, in the order of their batches; None without."""
    if selection.segments is None or not selection.segments.is_split:
        return None
    return [choice.model_dump(mode="json") for choice in selection.segments.choices]


def _check_paths(where: str, paths: Sequence[Path], fields: tuple[Field, ...]) -> None:
    """Refuse a path that leads nowhere: a misspelt field must not become an empty column."""
    for path in paths:
        if field_at(fields, path) is None:
            raise InvalidField(where, f"the union schema has no field {'.'.join(path)}")
