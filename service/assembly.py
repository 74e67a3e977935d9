"""The one module that constructs things and joins them."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from catalog.compaction import CompactionPolicy
from catalog.jobs import JobKind, WorkerId
from catalog.store.database import Database, connected
from catalog.store.embedded import EmbeddedPostgres
from catalog.store.migrate import migrate
from catalog.store.obstacles import Obstacle
from service.engine.local import LocalRunner
from service.engine.lookups import LookupLimits, Lookups
from service.engine.orders import IdentityRules, Limits
from service.operations.audit import AuditLog
from service.operations.batches import Batches
from service.operations.bearers import Bearers
from service.operations.callers import Callers
from service.operations.checkup import Checkup
from service.operations.clients import Clients
from service.operations.data_access import DataAccess
from service.operations.datasets import Datasets
from service.operations.entities import Entities
from service.operations.export_jobs import ExportJobs
from service.operations.hash_ids import HashIdSource
from service.operations.issuers import Expected, Issuer, OwnKeys, PublishedKeys
from service.operations.large_files import LargeFiles
from service.operations.listed_users import ListedUsers
from service.operations.merge_policies import MergePolicies
from service.operations.monitoring import Monitoring
from service.operations.namespaces import Namespaces
from service.operations.personal_tokens import PersonalTokens
from service.operations.placed_segments import PlacedSegments
from service.operations.previews import Previews
from service.operations.projects import Projects
from service.operations.properties import Properties
from service.operations.rates import Rates
from service.operations.readiness import Readiness
from service.operations.retries import Retries
from service.operations.sandboxes import Sandboxes
from service.operations.schema_parts import SchemaParts
from service.operations.schemas import Schemas
from service.operations.segment_jobs import SegmentJobs
from service.operations.segments import Segments
from service.operations.submissions import Submissions
from service.operations.tokens import AUDIENCE, ISSUER, Tokens
from service.operations.user_lists import UserLists
from service.operations.users import Users
from service.operations.waiting_room import WaitingRoom
from service.settings import DataSettings, Settings, TokenSettings
from service.storage.files import Files
from service.storage.folders import make_data_dir, make_private
from service.surfaces.http import Operations
from service.worker.compactions import Compactions, Upkeep
from service.worker.exports import Exports, PartSizes
from service.worker.promotions import Promotions
from service.worker.rebuilds import Rebuilds
from service.worker.segmentations import Segmentations
from service.worker.sweeping import Keeping, Sweeper
from service.worker.worker import Timing, Worker

_FETCH_TIMEOUT_SECONDS = 5
#: Real key sets have a few kilobytes.
_MOST_JWKS_BYTES = 1024 * 1024

#: Other commands borrow the private server for a second or two; a service outlasts them.
_WAIT_FOR_OWNERSHIP_SECONDS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A database that is there and migrated, and a place for files."""

    settings: Settings
    database: Database
    files: Files
    #: What :func:`asyncpg.connect` takes, for those who need a connection of their own.
    where: Mapping[str, Any]
    #: The private server, when there is one; it may be another process's.
    postgres: EmbeddedPostgres | None
    #: Migrations that were applied just now.
    migrated: tuple[str, ...]


@asynccontextmanager
async def deployment(
    settings: Settings, *, is_owner: bool = False, is_migrating: bool = True
) -> AsyncIterator[Deployment]:
    """Attach to the database, or start a private one for as long as the block lasts.

    ``is_owner`` asks that a private server be ours and not another process's, so that it lives
    as long as we do. Raises :class:`Obstacle` when an operator has to put something right.
    """
    _make_folders(settings.data)
    async with _server(settings, is_owner=is_owner) as (postgres, where):
        migrated = await _migrate(where) if is_migrating else []
        database = await Database.connect(most=settings.data.database_connections, **where)
        try:
            yield Deployment(
                settings=settings,
                database=database,
                files=Files(settings.data.files_dir),
                where=where,
                postgres=postgres,
                migrated=tuple(migrated),
            )
        finally:
            await database.close()


def _make_folders(settings: DataSettings) -> None:
    try:
        make_data_dir(settings.data_dir)
        make_private(settings.files_dir)
    except OSError as error:
        raise Obstacle(
            f"the data folder {settings.data_dir} cannot be made ({error.strerror}): choose "
            "another with --data-dir"
        ) from error


@asynccontextmanager
async def _server(
    settings: Settings, *, is_owner: bool
) -> AsyncIterator[tuple[EmbeddedPostgres | None, Mapping[str, Any]]]:
    if settings.data.database_url is not None:
        yield None, {"dsn": settings.data.database_url.get_secret_value()}
        return
    postgres = EmbeddedPostgres(settings.data.data_dir / "postgres")
    try:
        await _start(postgres, is_owner=is_owner)
        yield postgres, postgres.connection
    finally:
        await asyncio.to_thread(postgres.stop)


async def _start(postgres: EmbeddedPostgres, *, is_owner: bool) -> None:
    for _ in range(_WAIT_FOR_OWNERSHIP_SECONDS * 10):
        await postgres.start()
        if postgres.is_owner or not is_owner:
            return
        postgres.stop()
        await asyncio.sleep(0.1)
    raise Obstacle(
        f"another profile-exports process runs the database in {postgres.folder}: end it first"
    )


async def _migrate(where: Mapping[str, Any]) -> list[str]:
    async with connected(**where) as connection:
        return await migrate(connection)


def operations(database: Database, files: Files, settings: Settings) -> Operations:
    """All that surfaces may ask, upon one database and one place for files."""
    waiting_room = WaitingRoom(most=settings.limit.queued_jobs)
    rates = Rates(settings.limit.calls)
    callers = Callers(database, issuer(database, settings.token), rates)
    ids = HashIdSource(database)
    segment_jobs = SegmentJobs(database, waiting_room)
    user_lists = UserLists(database, files, waiting_room, is_guarded=settings.user_list.guard)
    listed_users = ListedUsers(database, user_lists)
    entities = Entities(
        database, _lookups(files, settings), most_events=settings.limit.profile_events
    )
    return Operations(
        audit=AuditLog(database),
        batches=Batches(
            database,
            files,
            waiting_room,
            largest_upload_bytes=settings.http.upload_bytes,
            most_files=settings.ingestion.batch_files,
        ),
        bearers=Bearers(database, callers, rates),
        data_access=DataAccess(database, files),
        datasets=Datasets(database),
        entities=entities,
        export_jobs=_export_jobs(database, waiting_room, settings),
        callers=callers,
        clients=Clients(database),
        hash_ids=ids,
        large_files=_large_files(database, files, settings),
        merge_policies=MergePolicies(database, most=settings.limit.merge_policies),
        monitoring=Monitoring(database),
        namespaces=Namespaces(database),
        personal_tokens=PersonalTokens(database, ids),
        placed_segments=PlacedSegments(database, ids, segment_jobs),
        previews=_previews(database, files, settings),
        projects=Projects(database, ids),
        properties=Properties(database, ids),
        readiness=Readiness(database),
        retries=Retries(database),
        sandboxes=Sandboxes(database),
        schema_parts=SchemaParts(database),
        schemas=Schemas(database),
        segment_jobs=segment_jobs,
        segments=Segments(database, most=settings.limit.segments),
        tokens=Tokens(database, lasts=settings.token.lifetime),
        user_lists=user_lists,
        listed_users=listed_users,
        users=Users(database, files, entities, listed_users),
    )


def _export_jobs(database: Database, waiting_room: WaitingRoom, settings: Settings) -> ExportJobs:
    most_events = settings.limit.profile_events
    return ExportJobs(database, Submissions(database, waiting_room, most_events=most_events))


def _large_files(database: Database, files: Files, settings: Settings) -> LargeFiles:
    return LargeFiles(
        database,
        files,
        largest_chunk_bytes=settings.http.chunk_bytes,
        largest_file_bytes=settings.ingestion.large_file_bytes,
        most_files=settings.ingestion.batch_files,
    )


def _previews(database: Database, files: Files, settings: Settings) -> Previews:
    runner = LocalRunner(
        files.root,
        silence_seconds=settings.worker.lease.total_seconds(),
        has_spare=False,
    )
    limits = Limits(
        memory_bytes=settings.engine.preview_memory_bytes,
        seconds=settings.engine.preview_time_limit.total_seconds(),
    )
    return Previews(database, runner, limits=limits)


def _lookups(files: Files, settings: Settings) -> Lookups:
    limits = LookupLimits(
        children=settings.lookup.processes,
        memory_bytes=settings.lookup.memory_bytes,
        time=settings.lookup.time_limit,
        idle=settings.lookup.idle,
    )
    return Lookups(files.root, limits)


@asynccontextmanager
async def worker(deployed: Deployment, id: WorkerId) -> AsyncIterator[Worker]:
    """A worker that runs its engines on this machine."""
    settings = deployed.settings
    lease, engine = settings.worker.lease, settings.engine
    runner = LocalRunner(deployed.files.root, silence_seconds=lease.total_seconds())
    sizes = PartSizes(
        part_row_count=engine.part_row_count,
        part_size_bytes=engine.part_size_bytes,
        slice_size_bytes=engine.slice_size_bytes,
        labelling_size_bytes=engine.labelling_size_bytes,
    )
    exports = Exports(runner, threads=engine.threads, sizes=sizes)
    segmentations = Segmentations(
        runner,
        threads=engine.threads,
        sizes=sizes,
        most_events=settings.limit.profile_events,
    )
    compactions = Compactions(
        runner, threads=engine.threads, revertible=settings.compaction.revertible
    )
    promotions, rebuilds = _promotions(runner, settings), _rebuilds(runner, settings)
    runner.stand_ready()
    try:
        yield Worker(
            id,
            deployed.database,
            {
                JobKind.EXPORT: exports.run,
                JobKind.USER_LIST: exports.run,
                JobKind.PROMOTION: promotions.run,
                JobKind.COMPACTION: compactions.run,
                JobKind.REBUILD: rebuilds.run,
                JobKind.SEGMENTATION: segmentations.run,
            },
            slots=settings.worker.slots,
            timing=Timing(
                lease=lease,
                heartbeat=settings.worker.heartbeat,
                grace=settings.worker.grace,
                poll=settings.worker.poll,
            ),
            attempts=settings.worker.attempts,
            most_running=settings.limit.running_jobs,
        )
    finally:
        await runner.close()


def _promotions(runner: LocalRunner, settings: Settings) -> Promotions:
    return Promotions(
        runner,
        threads=settings.engine.threads,
        rules=_identity_rules(settings),
        limits=_promotion_limits(settings),
    )


def _rebuilds(runner: LocalRunner, settings: Settings) -> Rebuilds:
    return Rebuilds(
        runner,
        threads=settings.engine.threads,
        rules=_identity_rules(settings),
        limits=_promotion_limits(settings),
    )


def _identity_rules(settings: Settings) -> IdentityRules:
    return IdentityRules(
        ecid_digits=settings.ingestion.ecid_digits,
        most_per_row=settings.ingestion.row_identities,
    )


def _promotion_limits(settings: Settings) -> Limits:
    engine = settings.engine
    return Limits(
        memory_bytes=engine.memory_bytes,
        seconds=engine.time_limit.total_seconds(),
        still_seconds=engine.still_limit.total_seconds(),
    )


def upkeep(deployed: Deployment, *, least_files: int | None = None) -> Upkeep:
    """What keeps the profile store's files few; ``least_files`` goes before the setting."""
    settings = deployed.settings
    policy = CompactionPolicy(
        least_files=least_files or settings.compaction.files,
        most_bytes=settings.compaction.size_bytes,
        home_from_bytes=settings.compaction.home_from_bytes,
    )
    return Upkeep(
        deployed.database,
        policy,
        horizon=settings.sweep.reverted,
        revertible=settings.compaction.revertible,
        patience=settings.compaction.patience,
    )


def sweeper(deployed: Deployment, actor: str) -> Sweeper:
    """What removes files and rows that have had their time."""
    settings = deployed.settings.sweep
    keeping = Keeping(
        loading=settings.loading,
        uploads=settings.uploads,
        reverted=settings.reverted,
        diagnostics=settings.diagnostics,
        rows=settings.rows,
        user_lists=settings.user_lists,
    )
    return Sweeper(deployed.database, deployed.files, keeping, actor=actor)


def checkup(deployed: Deployment) -> Checkup:
    """What ``doctor`` looks with."""
    every = deployed.settings.sweep.every
    return Checkup(deployed.database, deployed.files, sweeps_every=every)


def issuer(database: Database, settings: TokenSettings) -> Issuer:
    """Whose tokens are believed: an external issuer's when one is set, else our own."""
    if settings.issuer is None or settings.audience is None:
        own = Expected(issuer=ISSUER, audience=AUDIENCE, leeway=settings.leeway)
        return Issuer(OwnKeys(database), own)
    return Issuer(
        PublishedKeys(_key_fetcher(settings)),
        Expected(
            issuer=settings.issuer,
            audience=settings.audience,
            leeway=settings.leeway,
            client_claim=settings.client_claim,
            organisation_claim=settings.organisation_claim,
            scope_claim=settings.scope_claim,
        ),
    )


def _key_fetcher(settings: TokenSettings) -> Callable[[], Awaitable[bytes]]:
    file, url = settings.jwks_file, settings.jwks_url

    def fetch() -> bytes:
        if file is not None:
            return file.read_bytes()
        with urllib.request.urlopen(str(url), timeout=_FETCH_TIMEOUT_SECONDS) as answer:  # noqa: S310 -- settings allow http and https only
            body: bytes = answer.read(_MOST_JWKS_BYTES)
            return body

    return lambda: asyncio.to_thread(fetch)
