"""Runs compactions, and sees when one is worth it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import groupby

import structlog

from catalog.compaction import CompactionPolicy, due, homeless
from catalog.home_files import NewHomeFile
from catalog.jobs import Job, JobEvent, JobKind
from catalog.organisations import Scope
from catalog.store.database import Connection, Database
from catalog.store.folders import FolderStore
from catalog.store.home_files import HomeFileStore
from catalog.store.jobs import JobStore
from catalog.store.rebuilds import RebuildStore
from catalog.store.secrets import IDENTITY_SECRET, SecretStore
from catalog.store.store_files import FOR_EVER, Compacted, StoreFileStore
from catalog.store.sweeping import SweepingStore
from catalog.store_files import LiveFile, NewStoreFile, StoreFile, StoreFileId
from service.engine.local import LocalRunner
from service.engine.orders import (
    ENGINE_VERSION,
    CompactionOrder,
    Failed,
    Fragments,
    NewFile,
    Progress,
    merger_of,
)
from service.engine.orders import Compacted as Answered
from service.storage import keys
from service.worker.attempts import AttemptFailed
from service.worker.claim import Claim

log = structlog.get_logger()

#: What failed will fail again for a while; and nobody waits for it.
AFTER_A_FAILURE = timedelta(hours=1)

#: Who submits compactions, in the history of a job.
ACTOR = "upkeep"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What one job is to do."""

    #: Files that become one.
    groups: list[tuple[StoreFile, ...]]
    #: Where profiles are at home, if that is well enough known.
    labelling: str | None
    #: Files that are to have a home file and stay as they are.
    homeless: tuple[StoreFile, ...]

    def __bool__(self) -> bool:
        return bool(self.groups or self.homeless)


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
        work = await claim.write(partial(_work, claim.job))
        if not work:
            await claim.write(partial(_complete, claim.job, [], []))
            return
        order = await claim.write(partial(self._order, claim.job, work))
        async with self._runner.run(order) as answers:
            async for answer in answers:
                match answer:
                    case Progress():
                        claim.note(answer)
                    case Failed():
                        raise AttemptFailed(answer.code, answer.message, is_final=answer.is_final)
                    case Answered():
                        claim.end()
                        made, homes = _compacted(work, answer), _homes(work, answer)
                        await claim.write(partial(_complete, claim.job, made, homes))
                    case unexpected:
                        raise TypeError(f"a compaction is never answered by {unexpected.kind}")

    async def _order(self, job: Job, work: _Work, db: Connection) -> CompactionOrder:
        folder = keys.attempt_folder(job.scope.sandbox_id, job.id, job.attempt)
        await FolderStore(db).note_attempt(job, folder)
        settled_until = job.created_at - self._revertible
        mergers = [
            merger_of([Fragments.of(file) for file in group], settled_until=settled_until)[0]
            for group in work.groups
        ]
        return CompactionOrder(
            folder=folder,
            mergers=tuple(mergers),
            labelling=work.labelling,
            home_from_bytes=job.order["home_from_bytes"],
            homeless=tuple(file.key for file in work.homeless),
            secret=await SecretStore(db).find_or_make(IDENTITY_SECRET),
            threads=self._threads,
        )


async def _work(job: Job, db: Connection) -> _Work:
    """What a job is to do with the files of its snapshot, as they are there."""
    assert job.snapshot is not None
    store = StoreFileStore(db)
    groups = [
        await store.to_be_replaced(job.scope, [StoreFileId(id) for id in ids], job.snapshot)
        for ids in job.order["groups"]
    ]
    labelling = await HomeFileStore(db).labelling_for(
        job.scope, job.snapshot, engine_version=ENGINE_VERSION
    )
    homeless = [StoreFileId(id) for id in job.order["homeless"]] if labelling is not None else []
    return _Work(
        # One that a rebuild has changed is no longer what was looked at: the next look sees to it.
        groups=[
            group
            for group, ids in zip(groups, job.order["groups"], strict=True)
            if len(group) == len(ids)
        ],
        labelling=labelling,
        homeless=await store.to_be_replaced(job.scope, homeless, job.snapshot),
    )


def _homes(work: _Work, answer: Answered) -> list[tuple[StoreFileId, NewHomeFile]]:
    return [
        (file.id, _home(work, made)) for file, made in zip(work.homeless, answer.homes, strict=True)
    ]


def _home(work: _Work, made: NewFile) -> NewHomeFile:
    assert work.labelling is not None
    return NewHomeFile(
        key=made.key,
        size_bytes=made.size_bytes,
        row_count=made.row_count,
        labelling_key=work.labelling,
    )


def _compacted(work: _Work, answer: Answered) -> list[Compacted]:
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
            home=_home(work, file.home) if file.home is not None else None,
        )
        for group, file in zip(work.groups, answer.files, strict=True)
    ]


async def _complete(
    job: Job,
    made: list[Compacted],
    homes: list[tuple[StoreFileId, NewHomeFile]],
    db: Connection,
) -> None:
    """Let new files take the place of the old, or stand beside; refused when the claim was lost."""
    await JobStore(db).move(job, JobEvent.COMPLETE, actor=str(job.worker_id))
    if made:
        await StoreFileStore(db).compact(job.scope, made)
    for id, home in homes:
        await HomeFileStore(db).add(job.scope, id, home)
    log.info(
        "store compacted",
        job=job.id,
        files=sum(len(one.replaced) for one in made),
        home_files=len(homes) + sum(one.home is not None for one in made),
    )


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
                horizon=self._horizon,
                revertible=self._revertible,
                patience=self._patience,
                engine_version=ENGINE_VERSION,
            )
            of_sandboxes = groupby(files, key=lambda file: file.scope)
            jobs = [await self._submitted(db, scope, tuple(own)) for scope, own in of_sandboxes]
            return (*rebuilds, *(job for job in jobs if job is not None))

    async def _submitted(
        self, db: Connection, scope: Scope, files: tuple[LiveFile, ...]
    ) -> Job | None:
        """Submit what is due in a sandbox; None when nothing is."""
        groups = due(files, self._policy)
        alone = homeless(files, groups, self._policy)
        if not groups and not alone:
            return None
        return await JobStore(db).submit(
            scope,
            kind=JobKind.COMPACTION,
            dataset_id=(groups[0] if groups else alone)[0].dataset_id,
            order={
                "groups": [[file.id for file in group] for group in groups],
                "homeless": [file.id for file in alone],
                "home_from_bytes": self._policy.home_from_bytes,
            },
            snapshot=await StoreFileStore(db).snapshot(scope),
            actor=ACTOR,
            request_id=ACTOR,
        )

    async def _submitted_again(self, db: Connection) -> list[Job]:
        """Submit rebuilds of what still lacks rows, at commits that no snapshot was taken of."""
        rebuilds, store = RebuildStore(db), StoreFileStore(db)
        return [
            await rebuilds.submit(scope, dataset_id, await store.next_commit(scope))
            for scope, dataset_id in await rebuilds.left(patience=self._patience)
        ]
