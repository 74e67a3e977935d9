"""A history, step by step, and what must hold after each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Self

from catalog.batches import BatchEvent, BatchId
from catalog.compaction import CompactionPolicy
from catalog.jobs import Job, JobError, JobKind
from catalog.organisations import Scope
from catalog.store.batches import BatchStore
from catalog.store.database import Connection, Database
from catalog.store.erasure import ErasureStore
from catalog.store.jobs import JobStore
from catalog.store.rebuilds import RebuildStore
from catalog.store.store_files import StoreFileStore
from catalog.store.sweeping import SweepingStore
from catalog.store_files import NewStoreFile, StoreFile, StoreFileKind
from service.worker.compactions import Upkeep
from tests.store.history.crew import HOUR, MONTH, WORKERS, Attempt, Crew
from tests.store.history.engine import Disk, Row, stored
from tests.store.history.truth import Told, Truth, seen

#: Whatever is left to do takes fewer rounds, though each job may fail and be submitted again.
MOST_ROUNDS = 40

DATASETS = ("clicks", "calls")

#: Deletes whatever a history left, past the triggers, and begins the sandbox anew.
ANEW = """
SET LOCAL session_replication_role = replica;
DELETE FROM jobs; DELETE FROM job_events; DELETE FROM turns; DELETE FROM folders;
DELETE FROM batches; DELETE FROM batch_events; DELETE FROM dataset_files;
DELETE FROM store_files; DELETE FROM store_file_sources; DELETE FROM discarded_files;
UPDATE sandboxes SET commit_number = 0;
SET LOCAL session_replication_role = origin;
"""

#: The last commit, and what has not ended.
STANDING = """
SELECT commit_number,
       (SELECT coalesce(jsonb_agg(to_jsonb(jobs)), '[]') FROM jobs
         WHERE finished_at IS NULL) AS unfinished
  FROM sandboxes
"""

#: Makes everything older. Who works renews the lease meanwhile.
OLDER = """
UPDATE jobs SET created_at = created_at - $1::interval, run_after = run_after - $1::interval,
                finished_at = finished_at - $1::interval
"""
BATCHES_OLDER = (
    "UPDATE batches SET updated_at = updated_at - $1::interval",
    "UPDATE store_files SET ingested_at = ingested_at - $1::interval",
    "UPDATE store_file_sources SET ingested_at = ingested_at - $1::interval",
)


class Step:
    """One of the things that can happen; nothing happens where there is nothing to do it with."""

    def __init__(self, what: str, **told: Any) -> None:
        self.what = what
        self.told = told

    def __repr__(self) -> str:
        told = [f"{name}={value!r}" for name, value in self.told.items()]
        return f"Step({', '.join([repr(self.what), *told])})"


class History:
    """One sandbox, from its first batch on. Steps are its public methods up to :meth:`sweep`."""

    def __init__(self, database: Database, db: Connection, scope: Scope) -> None:
        """Let things happen on a pool; ``db`` is for looking at what there is then."""
        self._database = database
        self._db = db
        self._scope = scope
        self._disk = Disk()
        self._crew = Crew(database, self._disk)
        self._truth = Truth()

    @classmethod
    async def begin(cls, database: Database, db: Connection, scope: Scope) -> Self:
        """Begin in an empty sandbox that has the data sets."""
        await db.execute(ANEW)
        return cls(database, db, scope)

    async def take(self, step: Step) -> None:
        """Let something happen, and hold what is read then against what was ingested."""
        await getattr(self, step.what)(**step.told)
        await self._check()

    async def ingest(self, dataset: int, rows: str, named: str) -> None:
        """Promote a batch that has some items among its events, and some among identities."""
        await self._promote(DATASETS[dataset], rows, named, ())

    async def replace(self, which: int, rows: str, named: str) -> None:
        """Promote a batch in place of another."""
        if active := self._truth.active():
            old = active[which % len(active)]
            await self._promote(self._truth.batches[old].dataset_id, rows, named, (old,))

    async def revert(self, which: int) -> None:
        """Take a batch back."""
        if active := self._truth.active():
            id = BatchId(active[which % len(active)])
            async with self._database.transaction() as db:
                await BatchStore(db).withdraw(self._scope, [id], BatchEvent.REVERT, actor="amy")
                commit = await StoreFileStore(db).remove(self._scope, [id])
            self._truth.note(commit, gone=[id])

    async def delete(self, which: int) -> None:
        """Erase a batch, which may have been taken back before."""
        if erasable := self._truth.erasable():
            id = BatchId(erasable[which % len(erasable)])
            why = JobError(code="batch_deleted", message="it was deleted")
            async with self._database.transaction() as db:
                await ErasureStore(db).begin(self._scope)
                await ErasureStore(db).erase(self._scope, [id], why=why, actor="amy")
                commit = await StoreFileStore(db).snapshot(self._scope)
            self._truth.note(commit, gone=[id])
            self._truth.deleted.add(id)

    async def export(self) -> None:
        """Submit a job that reads what there is now."""
        async with self._database.transaction() as db:
            await ErasureStore(db).keep(self._scope)
            await JobStore(db).submit(
                self._scope,
                kind=JobKind.USER_LIST,
                dataset_id=None,
                order={},
                snapshot=await StoreFileStore(db).snapshot(self._scope),
                actor="amy",
                request_id="r-1",
            )

    async def look(self, most_files: int) -> tuple[Job, ...]:
        """Submit the upkeep that is due."""
        policy = CompactionPolicy(least_files=2, most_files=most_files)
        upkeep = Upkeep(self._database, policy, horizon=MONTH, revertible=MONTH, patience=HOUR)
        return await upkeep.submit_due()

    async def claim(self) -> None:
        await self._crew.claim()

    async def claim_two(self, *, is_reverting: bool) -> None:
        """Claim two jobs at one moment; a batch may be taken back between."""

        async def meanwhile() -> None:
            if is_reverting:
                await self.revert(0)

        await self._crew.claim_two(meanwhile)

    async def finish(self, which: int) -> None:
        """Let somebody finish a job, which is claimed now when none was."""
        if not self._crew.attempts:
            await self._crew.claim()
        if attempt := self._attempt(which):
            await self._crew.finish(attempt)

    async def fail(self, which: int, *, is_final: bool) -> None:
        if attempt := self._attempt(which):
            await self._crew.fail(attempt, is_final=is_final)

    async def hand_back(self, which: int) -> None:
        if attempt := self._attempt(which):
            await self._crew.hand_back(attempt)

    async def fall_silent(self, which: int) -> None:
        if attempt := self._attempt(which):
            await self._crew.fall_silent(attempt)

    async def an_hour_passes(self) -> None:
        """Let what was put off be due."""
        await self._db.execute(OLDER, HOUR + timedelta(minutes=1))

    async def a_month_passes(self) -> None:
        """Let all batches be settled."""
        for statement in (OLDER, *BATCHES_OLDER):
            await self._db.execute(statement, MONTH + HOUR)

    async def expire(self) -> None:
        """Let the oldest batch be older than its data set keeps rows, and be swept."""
        if active := self._truth.active():
            id = BatchId(active[-1])
            async with self._database.transaction() as db:
                await BatchStore(db).withdraw(self._scope, [id], BatchEvent.EXPIRE, actor="amy")
                commit = await StoreFileStore(db).remove(self._scope, [id])
            self._truth.note(commit, gone=[id])
            await self.sweep()

    async def sweep(self) -> None:
        """Remove what nobody is to read again."""
        async with self._database.transaction() as db:
            sweeping = SweepingStore(db)
            await sweeping.erase_deleted()
            await sweeping.erase_hidden(MONTH, most=1000)
            await sweeping.forget_superseded(self._scope.sandbox_id, most=1000)
            gone = await sweeping.discarded(most=1000)
            await sweeping.removed(gone)
        for key in gone:
            self._disk.files.pop(key, None)

    async def end(self) -> None:
        """Let everybody do all that there is to do: then nothing is left, and all is there."""
        await self.export()
        for _ in range(MOST_ROUNDS):
            await self.an_hour_passes()
            submitted = await self.look(most_files=64)
            for _ in range(WORKERS):
                await self._crew.claim()
            for attempt in [*self._crew.attempts]:
                await self._crew.finish(attempt)
                await self._check()
            _, unfinished = await self.standing()
            await self._crew.release(unfinished)
            if not submitted and not unfinished:
                return
        raise AssertionError(f"after {MOST_ROUNDS} rounds jobs are left: {unfinished}")

    async def leave(self) -> None:
        """End what a history left undone that failed."""
        await self._crew.leave()

    async def standing(self) -> tuple[int, dict[int, dict[str, Any]]]:
        """The last commit, and the jobs that have not ended, by their id."""
        row = await self._db.fetchrow(STANDING)
        return row["commit_number"], {job["id"]: job for job in row["unfinished"]}

    async def ended(self, kind: JobKind) -> list[str]:
        """How the jobs of a kind ended, in the order of their submission."""
        rows = await self._db.fetch(
            "SELECT state FROM jobs WHERE kind = $1 AND finished_at IS NOT NULL ORDER BY id", kind
        )
        return [row["state"] for row in rows]

    def _attempt(self, which: int) -> Attempt | None:
        attempts = self._crew.attempts
        return attempts[which % len(attempts)] if attempts else None

    async def _promote(
        self, dataset_id: str, rows: str, named: str, replaced: tuple[str, ...]
    ) -> None:
        id = BatchId(f"batch-{len(self._truth.batches)}")
        items = {StoreFileKind.EVENTS: rows, StoreFileKind.IDENTITIES: named}
        items[StoreFileKind.LINKS] = rows
        told = tuple(Row(0, id, kind, item) for kind, letters in items.items() for item in letters)
        self._disk.files[f"own/{id}"] = told
        async with self._database.transaction() as db:
            await _activate(db, self._scope, dataset_id, id)
            replaced = await BatchStore(db).withdraw(
                self._scope, [*map(BatchId, replaced)], BatchEvent.REPLACE, actor="amy"
            )
            commit = await StoreFileStore(db).add(
                self._scope,
                id,
                is_upsert=False,
                files=[
                    NewStoreFile(**file.model_dump(exclude={"sha256"}))
                    for file in stored(self._disk, f"came/{id}", told)
                ],
                replacing=replaced,
            )
        self._truth.batches[id] = Told(id, dataset_id, told)
        self._truth.note(commit, came=[id], gone=replaced)

    async def _check(self) -> None:
        """Hold what can be read now, and what jobs read, against what was ingested."""
        if self._crew.defects:
            raise self._crew.defects[0]
        commit, unfinished = await self.standing()
        jobs = unfinished.values()
        lacking = await RebuildStore(self._db).lacking_at(self._scope, commit)
        waits = any(job["kind"] == JobKind.REBUILD for job in jobs)
        await self._check_snapshot(commit, is_whole=not lacking and not waits)
        for attempt in self._crew.attempts:
            if attempt.files is not None and _is_running(attempt, unfinished):
                files = await self._check_snapshot(attempt.job.snapshot, is_whole=True)
                assert _counting(files) == _counting(attempt.files), "changed under a reader"
        for pinned in {job["snapshot"] for job in jobs if job["kind"] == JobKind.USER_LIST}:
            lacking = await RebuildStore(self._db).lacking_at(self._scope, pinned)
            await self._check_snapshot(pinned, is_whole=not lacking)
        for job in jobs:
            gone = self._truth.deleted & self._truth.at(job["snapshot"])
            assert not gone or job["kind"] != JobKind.USER_LIST, f"{gone} is read though deleted"

    async def _check_snapshot(self, commit: int, *, is_whole: bool) -> tuple[StoreFile, ...]:
        files = await StoreFileStore(self._db).files_at(self._scope, commit)
        self._truth.compare(commit, seen(files, self._disk), is_whole=is_whole)
        return files


def _counting(files: Iterable[StoreFile]) -> list[tuple[int, list[int]]]:
    """The files of a snapshot, each with the numbers of the batches that count in it."""
    return [(file.id, [source.number for source in file.sources]) for file in files]


def _is_running(attempt: Attempt, unfinished: Mapping[int, dict[str, Any]]) -> bool:
    """Whether an attempt has neither lost its job nor ended."""
    job = unfinished.get(attempt.job.id)
    return job is not None and (job["state"], job["attempt"]) == ("running", attempt.job.attempt)


async def _activate(db: Connection, scope: Scope, dataset_id: str, id: BatchId) -> None:
    """Add an active batch with one file of its own; how it became so is told elsewhere."""
    await db.execute(
        "INSERT INTO batches (id, sandbox_id, organisation_id, dataset_id, state, input_format,"
        " ingest_number, created_by, finished_at)"
        " VALUES ($1, $2, $3, $4, 'active', '{}', $5, 'amy', now())",
        id,
        scope.sandbox_id,
        scope.organisation_id,
        dataset_id,
        await BatchStore(db).next_ingest_number(scope),
    )
    await db.execute(
        "INSERT INTO dataset_files (batch_id, number, name, key, size_bytes, row_count, sha256)"
        " VALUES ($1, 1, 'part', 'own/' || $1, 1, 1, '')",
        id,
    )
