"""Runs compactions, and sees when one is worth it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from itertools import groupby

import structlog

from catalog.compaction import CompactionPolicy, due
from catalog.jobs import Job, JobEvent, JobKind
from catalog.organisations import Scope
from catalog.store.database import Connection, Database
from catalog.store.folders import FolderStore
from catalog.store.jobs import JobStore
from catalog.store.rebuilds import RebuildStore
from catalog.store.secrets import IDENTITY_SECRET, SecretStore
from catalog.store.store_files import FOR_EVER, Compacted, StoreFileStore
from catalog.store.sweeping import SweepingStore
from catalog.store_files import LiveFile, NewStoreFile, StoreFile, StoreFileId
from service.engine.local import LocalRunner
from service.engine.orders import Compacted as Answered
from service.engine.orders import CompactionOrder, Failed, Fragments, Progress, merger_of
from service.storage import keys
from service.worker.attempts import AttemptFailed
from service.worker.claim import Claim

log = structlog.get_logger()

#: What failed will fail again for a while; and nobody waits for it.
AFTER_A_FAILURE = timedelta(hours=1)

#: Who submits compactions, in the history of a job.
ACTOR = "upkeep"


class Compactions:
    """Makes fewer and larger store files for each job it is given."""

    def __init__(
        self, runner: LocalRunner, *, threads: int, revertible: timedelta = FOR_EVER
    ) -> None:
        """Rows that only batches older than ``revertible`` could bring back are dropped."""
        self._runner = runner
        self._threads = threads
        self._revertible = revertible

    async def run(self, claim: Claim) -> None:
        """Do one claimed job to its end, or raise for the attempt to be given up."""
        groups = await claim.write(partial(_groups, claim.job))
        if not groups:
            await claim.write(partial(_complete, claim.job, []))
            return
        order = await claim.write(partial(self._order, claim.job, groups))
        async with self._runner.run(order) as answers:
            async for answer in answers:
                match answer:
                    case Progress():
                        claim.note(answer)
                    case Failed():
                        raise AttemptFailed(answer.code, answer.message, is_final=answer.is_final)
                    case Answered():
                        claim.end()
                        made = _compacted(groups, answer)
                        await claim.write(partial(_complete, claim.job, made))
                    case unexpected:
                        raise TypeError(f"a compaction is never answered by {unexpected.kind}")

    async def _order(
        self, job: Job, groups: list[tuple[StoreFile, ...]], db: Connection
    ) -> CompactionOrder:
        folder = keys.attempt_folder(job.scope.sandbox_id, job.id, job.attempt)
        await FolderStore(db).note_attempt(job, folder)
        settled_until = job.created_at - self._revertible
        mergers = [
            merger_of([Fragments.of(file) for file in group], settled_until=settled_until)[0]
            for group in groups
        ]
        return CompactionOrder(
            folder=folder,
            mergers=tuple(mergers),
            secret=await SecretStore(db).find_or_make(IDENTITY_SECRET),
            threads=self._threads,
        )


async def _groups(job: Job, db: Connection) -> list[tuple[StoreFile, ...]]:
    """The files that become one, as they are in the job's snapshot."""
    assert job.snapshot is not None
    store = StoreFileStore(db)
    groups = [
        await store.files(job.scope, [StoreFileId(id) for id in ids], job.snapshot)
        for ids in job.order["groups"]
    ]
    return [group for group in groups if group]


def _compacted(groups: list[tuple[StoreFile, ...]], answer: Answered) -> list[Compacted]:
    return [
        Compacted(
            dataset_id=group[0].dataset_id,
            file=NewStoreFile(
                kind=file.kind,
                key=file.key,
                size_bytes=file.size_bytes,
                row_count=file.row_count,
            ),
            replaced=tuple(one.id for one in group),
            ingest_numbers=tuple(
                source.ingest_number
                for source in merger_of([Fragments.of(one) for one in group])[1]
            ),
            relied_on=file.relied_on,
            superseded_count=file.superseded_count,
        )
        for group, file in zip(groups, answer.files, strict=True)
    ]


async def _complete(job: Job, made: list[Compacted], db: Connection) -> None:
    """Let the new files take the place of the old; refused when the claim was lost."""
    await JobStore(db).move(job, JobEvent.COMPLETE, actor=str(job.worker_id))
    if made:
        await StoreFileStore(db).compact(job.scope, made)
    log.info("store compacted", job=job.id, files=sum(len(one.replaced) for one in made))


class Upkeep:
    """Looks now and then whether store files should become fewer, and submits the jobs."""

    def __init__(
        self,
        database: Database,
        policy: CompactionPolicy,
        *,
        horizon: timedelta,
        revertible: timedelta = FOR_EVER,
        patience: timedelta = AFTER_A_FAILURE,
    ) -> None:
        """``horizon`` is of what was taken back, ``revertible`` of what may still be.

        What failed is submitted again ``patience`` later.
        """
        self._database = database
        self._policy = policy
        self._horizon = horizon
        self._revertible = revertible
        self._patience = patience

    async def run(self, every: timedelta) -> None:
        """Look until cancelled, resting ``every`` so long."""
        while True:
            await asyncio.sleep(every.total_seconds())
            try:
                await self.submit_due()
            except Exception as error:  # noqa: BLE001  # a database that is away comes back
                log.warning("cannot look after the store", reason=type(error).__name__)

    async def submit_due(self) -> tuple[Job, ...]:
        """Submit a compaction for every sandbox that is due; where jobs wait it is due later.

        Rebuilds that have failed are submitted again before. One looks at a time, and not while
        somebody sweeps: then none is submitted.
        """
        async with self._database.transaction() as db:
            if not await SweepingStore(db).try_lock():
                return ()
            rebuilds = await self._submitted_again(db)
            files = await StoreFileStore(db).live(
                horizon=self._horizon, revertible=self._revertible, patience=self._patience
            )
            of_sandboxes = groupby(files, key=lambda file: file.scope)
            groups = [(scope, due(tuple(own), self._policy)) for scope, own in of_sandboxes]
            jobs = [await _submitted(db, scope, own) for scope, own in groups if own]
            return (*rebuilds, *jobs)

    async def _submitted_again(self, db: Connection) -> list[Job]:
        """Submit rebuilds of what still lacks rows, at commits that no snapshot was taken of."""
        rebuilds, store = RebuildStore(db), StoreFileStore(db)
        return [
            await rebuilds.submit(scope, dataset_id, await store.next_commit(scope))
            for scope, dataset_id in await rebuilds.left(patience=self._patience)
        ]


async def _submitted(db: Connection, scope: Scope, groups: tuple[tuple[LiveFile, ...], ...]) -> Job:
    return await JobStore(db).submit(
        scope,
        kind=JobKind.COMPACTION,
        dataset_id=groups[0][0].dataset_id,
        order={"groups": [[file.id for file in group] for group in groups]},
        snapshot=await StoreFileStore(db).snapshot(scope),
        actor=ACTOR,
        request_id=ACTOR,
    )
