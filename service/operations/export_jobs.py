"""Export jobs: ask for merged profiles, follow the job, stop it."""

from __future__ import annotations

from collections.abc import Sequence

from catalog.datasets import DatasetId
from catalog.errors import InvalidField, NotFound
from catalog.export_jobs import (
    BUILT_IN_POLICIES,
    IDENTITIES_PATHS,
    PROFILE_SCHEMA_NAME,
    ExportJob,
    ExportRequest,
)
from catalog.jobs import JobEvent, JobId, JobKind, JobState
from catalog.merge_policies import MergeRules
from catalog.organisations import Caller, Scope
from catalog.schemas import PROFILE_UNION, Field, Path, field_at
from catalog.store.batches import BatchStore
from catalog.store.database import Connection, Database
from catalog.store.datasets import DatasetStore
from catalog.store.export_jobs import ExportJobStore
from catalog.store.jobs import JobStore
from catalog.store.merge_policies import MergePolicyStore
from catalog.store.namespaces import NamespaceStore
from catalog.store.schemas import SchemaStore
from catalog.store.store_files import StoreFileStore
from service.engine.orders import EventChoice, Selection


class ExportJobs:
    """What callers may ask about export jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def submit(self, request: ExportRequest, *, by: Caller) -> ExportJob:
        """Check a request, pin what it will read, open its batch and queue the job.

        All of it happens in one transaction: a request that is refused leaves nothing.
        """
        async with self._database.transaction() as db:
            await _check_destination(db, request, by.scope)
            policy_id, policy_version, rules = await _policy(db, request, by.scope)
            selection = await _selection(db, request, rules, by.scope)
            job = await JobStore(db).submit(
                by.scope,
                kind=JobKind.EXPORT,
                dataset_id=request.dataset_id,
                order={
                    "echo": dict(request.echo),
                    "merge_policy_id": policy_id,
                    "merge_policy_version": policy_version,
                    "selection": selection.model_dump(mode="json"),
                },
                snapshot=await StoreFileStore(db).snapshot(by.scope),
                actor=by.client_id,
                request_id=by.request_id,
            )
            await BatchStore(db).open_for_export(
                by.scope, dataset_id=request.dataset_id, job_id=job.id, actor=by.client_id
            )
            return await ExportJobStore(db).find(by.scope, job.id)

    async def find(self, id: JobId, *, by: Caller) -> ExportJob:
        async with self._database.transaction() as db:
            return await ExportJobStore(db).find(by.scope, id)

    async def page(
        self,
        *,
        by: Caller,
        limit: int,
        skip: int = 0,
        after: JobId | None = None,
        states: Sequence[JobState] = tuple(JobState),
        is_newest_first: bool = True,
    ) -> tuple[ExportJob, ...]:
        async with self._database.transaction() as db:
            return await ExportJobStore(db).page(
                by.scope,
                limit=limit,
                skip=skip,
                after=after,
                states=states,
                is_newest_first=is_newest_first,
            )

    async def cancel(self, id: JobId, *, by: Caller) -> None:
        """Stop a job for good; nothing it wrote is ever visible. Cancelling again is fine.

        Refuses a job that has succeeded or failed.
        """
        async with self._database.transaction() as db:
            job = await JobStore(db).lock(by.scope, id, kind=JobKind.EXPORT)
            if job.state is not JobState.CANCELLED:
                await JobStore(db).move(job, JobEvent.CANCEL, actor=by.client_id, is_fenced=False)
                await BatchStore(db).abort(job.id)


async def _check_destination(db: Connection, request: ExportRequest, scope: Scope) -> None:
    if request.schema_name != PROFILE_SCHEMA_NAME:
        raise InvalidField(
            "schema.name",
            f"{request.schema_name!r} cannot be exported, {PROFILE_SCHEMA_NAME} can",
        )
    try:
        dataset = await DatasetStore(db).find(scope, DatasetId(request.dataset_id))
    except NotFound as missing:
        raise InvalidField("destination.datasetId", str(missing)) from missing
    if dataset.schema_id != PROFILE_UNION:
        raise InvalidField(
            "destination.datasetId",
            f"data set {dataset.id} has the schema {dataset.schema_id}; "
            f"exports need one on {PROFILE_UNION}",
        )


async def _policy(
    db: Connection, request: ExportRequest, scope: Scope
) -> tuple[str | None, int | None, MergeRules]:
    """The policy a job is pinned to: the one asked for, the default, or no merging at all."""
    if request.merge_policy_id is None:
        default = await MergePolicyStore(db).default(scope, PROFILE_SCHEMA_NAME)
        if default is None:
            return None, None, MergeRules()
        return default.id, default.version, default.rules
    if request.merge_policy_id in BUILT_IN_POLICIES:
        return request.merge_policy_id, 1, BUILT_IN_POLICIES[request.merge_policy_id]
    try:
        policy = await MergePolicyStore(db).find(scope, request.merge_policy_id)
    except NotFound as missing:
        raise InvalidField("mergePolicy.id", str(missing)) from missing
    return policy.id, policy.version, policy.rules


async def _selection(
    db: Connection, request: ExportRequest, rules: MergeRules, scope: Scope
) -> Selection:
    union = await SchemaStore(db).union(scope)
    registered = await NamespaceStore(db).registered(scope)
    asked = [path for path in request.fields if path not in IDENTITIES_PATHS]
    _check_paths("fields", asked, union.profile_fields)
    if request.events is not None:
        where = "additionalFields.eventList.fields"
        _check_paths(where, request.events.fields, union.event_fields)
    return Selection(
        profile_fields=tuple(field.to_json() for field in union.profile_fields),
        event_fields=tuple(field.to_json() for field in union.event_fields),
        fields=request.fields,
        identity_graph=rules.identity_graph,
        attribute_merge=rules.attribute_merge,
        dataset_order=rules.dataset_order,
        events=EventChoice(
            fields=request.events.fields,
            ingested_after=request.events.ingested_after,
            ingested_until=request.events.ingested_until,
        )
        if request.events is not None
        else None,
        updated_after=request.updated_after,
        with_empty_profiles=request.with_empty_profiles,
        namespaces={one.code.lower(): one.code for one in registered},
    )


def _check_paths(where: str, paths: Sequence[Path], fields: tuple[Field, ...]) -> None:
    """Refuse a path that leads nowhere: a misspelt field must not become an empty column."""
    for path in paths:
        if field_at(fields, path) is None:
            raise InvalidField(where, f"the union schema has no field {'.'.join(path)}")
