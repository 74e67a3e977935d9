"""Submits exports: those that are asked for at the same time, and rest on the same, together."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from catalog import segments
from catalog.errors import InvalidField, NotFound, Refusal, Unavailable
from catalog.export_jobs import (
    BUILT_IN_POLICIES,
    PROFILE_SCHEMA_NAME,
    UNMERGED_POLICY,
    ExportJob,
    ExportRequest,
)
from catalog.merge_policies import MergePolicy, MergeRules
from catalog.organisations import Caller, Scope
from catalog.schemas import PROFILE_UNION
from catalog.store.database import Connection, Database
from catalog.store.merge_policies import MergePolicyStore
from catalog.store.namespaces import NamespaceStore
from catalog.store.schemas import SchemaStore
from catalog.store.segments import SegmentStore
from catalog.store.submissions import Ground, Submission, SubmissionStore
from catalog.unions import Union
from service.engine.orders import Evaluation, Rule, Selection
from service.operations.announcements import Announcements
from service.operations.remembered import Remembered
from service.operations.rounds import Rounds
from service.operations.selections import selection_of, split
from service.operations.waiting_room import WaitingRoom

Answer = TypeVar("Answer")

#: What is known by the mark of what it was made of stays true for ever.
_KNOWN_LASTS = timedelta(hours=1)
#: A union of ten thousand fields takes some 20 MB.
_MOST_SHAPES = 10
#: Some 500 bytes each.
_MOST_BASES = 1000
#: Its ground must change within a millisecond for a submission to look again.
_MOST_LOOKS = 10


class Resting(NamedTuple):
    """What is the same in all requests that rest on the same."""

    scope: Scope
    dataset_id: str
    merge_policy_id: str | None
    merge_policy_version: int | None


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
    """What requests rest on, until its ground has another mark."""

    ground: Ground
    policy: Pinned


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One export that somebody asked for."""

    request: ExportRequest
    by: Caller
    #: Makes the answer, before the job is made for good.
    answered: Callable[[ExportJob], Any]


class Submissions:
    """Checks requests, pins what they will read, opens their batches and queues their jobs.

    A transaction costs several times what a job in it does, so that one is made for all requests
    that come while another is under way (:class:`Rounds`). Each of them is refused by itself.
    """

    def __init__(self, database: Database, waiting_room: WaitingRoom, *, most_events: int) -> None:
        """``most_events`` may one exported profile carry."""
        self._database = database
        self._waiting_room = waiting_room
        self._most_events = most_events
        self._shapes: Remembered[tuple[Scope, str], Shapes] = Remembered(most=_MOST_SHAPES)
        self._bases: Remembered[Resting, Basis] = Remembered(most=_MOST_BASES)
        self._announcements = Announcements(database)
        self._rounds: Rounds[Resting, Wish] = Rounds(self._fulfil)

    async def submit(
        self, request: ExportRequest, *, by: Caller, answered: Callable[[ExportJob], Answer]
    ) -> Answer:
        """Queue an export and return what ``answered`` makes of it.

        Job and answer are made for good together: when either fails, or the request is refused,
        nothing is left. Refuses with InvalidField, and with TooManyJobs when as many wait as may.
        """
        _check_schema(request)
        request = await self._under_policy_of_segments(request, by.scope)
        wish = Wish(request=request, by=by, answered=answered)
        resting = Resting(
            by.scope, request.dataset_id, request.merge_policy_id, request.merge_policy_version
        )
        if not self._database.is_together():
            answer: Answer = await self._rounds.join(resting, wish)
            return answer
        (answer,) = await self._fulfil(resting, [wish])
        if isinstance(answer, Refusal):
            raise answer
        return answer

    async def _fulfil(self, resting: Resting, wishes: Sequence[Wish]) -> list[Any]:
        """Queue a job for each wish, in one transaction; return each answer, or a refusal."""
        scope = resting.scope
        async with self._database.transaction() as db:
            let_in = await self._waiting_room.let_in(db, scope, len(wishes))
            answers = await self._queue(db, resting, wishes[:let_in]) if let_in else []
            if not all(isinstance(answer, Refusal) for answer in answers):
                self._announcements.announce(db)
        return [*answers, *(self._waiting_room.full(scope) for _ in wishes[let_in:])]

    async def _queue(self, db: Connection, resting: Resting, wishes: Sequence[Wish]) -> list[Any]:
        """Queue upon what such requests rested on last; look it up when that is past."""
        known = self._known(resting)
        for _ in range(1 + _MOST_LOOKS):
            is_looked_up = known is None
            if known is None:
                try:
                    known = await self._look(db, resting)
                except Refusal as refusal:
                    return [refusal] * len(wishes)
            basis, shapes = known
            wanted = [self._selection(wish.request, basis, shapes) for wish in wishes]
            if is_looked_up or not any(isinstance(each, Refusal) for each in wanted):
                answers = await _submit(db, resting, basis, shapes, wishes, wanted)
                if answers is not None:
                    return answers
            known = None
        raise Unavailable("what the export rests on changes all the time")

    def _known(self, resting: Resting) -> tuple[Basis, Shapes] | None:
        basis = self._bases.get(resting)
        if basis is None:
            return None
        shapes = self._shapes.get((resting.scope, basis.ground.shape_mark))
        return None if shapes is None else (basis, shapes)

    async def _look(self, db: Connection, resting: Resting) -> tuple[Basis, Shapes]:
        """Look up what requests rest on now; refuses them all when there is no such thing."""
        ground = await SubmissionStore(db).look(
            resting.scope, dataset_id=resting.dataset_id, schema_name=PROFILE_SCHEMA_NAME
        )
        _check_destination(resting, ground)
        basis = Basis(ground=ground, policy=await _policy(db, resting, ground))
        self._bases.keep(resting, basis, lasts=_KNOWN_LASTS)
        return basis, await self._shapes_of(db, ground, resting.scope)

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

    def _selection(
        self, request: ExportRequest, basis: Basis, shapes: Shapes
    ) -> Selection | InvalidField:
        try:
            return selection_of(
                request, basis.policy.rules, shapes.union, most_events=self._most_events
            )
        except InvalidField as refusal:
            return refusal

    async def _under_policy_of_segments(
        self, request: ExportRequest, scope: Scope
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
        if not ids:
            return request
        found = await self._database.read(lambda db: SegmentStore(db).find_many(scope, ids))
        policies = sorted({each.merge_policy_id for each in found if not each.follows_default})
        if any(segment.follows_default for segment in found) and policies:
            policies.append("the default")
        if len(policies) > 1:
            raise InvalidField(
                "mergePolicy.id",
                f"is missing, and the segments have several: {', '.join(policies)}. Name one, under"
                " which segments of the others have no members",
            )
        return replace(request, merge_policy_id=policies[0]) if policies else request


async def _submit(
    db: Connection,
    resting: Resting,
    basis: Basis,
    shapes: Shapes,
    wishes: Sequence[Wish],
    wanted: Sequence[Selection | InvalidField],
) -> list[Any] | None:
    """Queue a job for each selection, and return its answer or its refusal.

    None, nothing having been done, when what they rest on has changed.
    """
    together = [
        (wish, selection)
        for wish, selection in zip(wishes, wanted, strict=True)
        if isinstance(selection, Selection)
    ]
    if not together:
        return list(wanted)
    jobs = await SubmissionStore(db).submit(
        resting.scope,
        await _with_evaluations(db, resting.scope, basis.policy, together),
        dataset_id=resting.dataset_id,
        schema_name=PROFILE_SCHEMA_NAME,
        mark=basis.ground.mark,
        shapes=shapes.document,
    )
    if jobs is None:
        return None
    answers = iter([wish.answered(job) for (wish, _), job in zip(together, jobs, strict=True)])
    return [next(answers) if isinstance(each, Selection) else each for each in wanted]


async def _with_evaluations(
    db: Connection, scope: Scope, policy: Pinned, together: Sequence[tuple[Wish, Selection]]
) -> list[Submission]:
    """What is to be queued, with the segments that are to be evaluated, if any are."""
    is_evaluated = any(wish.request.is_evaluated for wish, _ in together)
    evaluation = await _evaluation(db, policy.id, scope) if is_evaluated else None
    return [
        _submission(wish, selection, policy, evaluation if wish.request.is_evaluated else None)
        for wish, selection in together
    ]


def _submission(
    wish: Wish, selection: Selection, policy: Pinned, evaluation: Evaluation | None
) -> Submission:
    if evaluation is not None:
        selection = selection.model_copy(update={"evaluation": evaluation})
    return Submission(
        by=wish.by,
        order={
            "echo": dict(wish.request.echo),
            "merge_policy_id": policy.id,
            "merge_policy_version": policy.version,
            "segments": split(selection),
        },
        selection=selection.model_dump_json(),
        batch_count=selection.batch_count,
    )


async def _evaluation(db: Connection, policy_id: str | None, scope: Scope) -> Evaluation | None:
    """The segments that are defined under a policy, to be evaluated now."""
    rules = tuple(
        Rule.of(segment)
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


def _check_destination(resting: Resting, ground: Ground) -> None:
    if ground.schema_id is None:
        raise InvalidField("destination.datasetId", f"no data set {resting.dataset_id}")
    if ground.schema_id != PROFILE_UNION:
        raise InvalidField(
            "destination.datasetId",
            f"data set {resting.dataset_id} has the schema {ground.schema_id}; "
            f"exports need one on {PROFILE_UNION}",
        )


_UNMERGED = Pinned(id=None, version=None, rules=MergeRules())


async def _policy(db: Connection, resting: Resting, ground: Ground) -> Pinned:
    """The policy a job is pinned to: the one asked for, the default, or no merging at all."""
    scope, id, version = resting.scope, resting.merge_policy_id, resting.merge_policy_version
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
