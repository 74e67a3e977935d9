"""A history, step by step, and what must hold after each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Self

from catalog.batches import BatchEvent, BatchId
from catalog.compaction import CompactionPolicy
from catalog.jobs import Job, JobError, JobKind
from catalog.merge_policies import AttributeMerge, IdentityGraph
from catalog.organisations import SandboxId
from catalog.store.batches import BatchStore
from catalog.store.database import Connection, Database
from catalog.store.erasure import ErasureStore
from catalog.store.jobs import JobStore
from catalog.store.store_files import StoreFileStore
from catalog.store_files import NewStoreFile, StoreFileKind
from service.engine.orders import Selection, Table
from service.worker.compactions import Upkeep
from service.worker.sweeping import Keeping, Sweeper
from tests.store.history.batches import activate
from tests.store.history.crew import HOUR, MONTH, WORKERS, Attempt, Crew
from tests.store.history.disk import Disk
from tests.store.history.engine import EVENT_KINDS, RECORD_KINDS, stored
from tests.store.history.leftovers import Leftovers, begin_anew, prints
from tests.store.history.rows import Row
from tests.store.history.sandboxes import Sandbox
from tests.store.history.trespassing import trespass
from tests.store.history.truth import Told

#: Whatever is left to do takes fewer rounds, though each job may fail and be submitted again.
MOST_ROUNDS = 40

#: Steps that may happen to any sandbox, and mostly change none.
PASSING = frozenset({"look", "an_hour_passes", "a_month_passes"})

KEEPING = Keeping(loading=MONTH, uploads=MONTH, reverted=MONTH, diagnostics=MONTH, rows=None)

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
    """Some sandboxes, from their first batch on. Steps are its methods up to :meth:`sweep`.

    Steps that are of one sandbox are told which by its number.
    """

    def __init__(self, database: Database, db: Connection, sandboxes: tuple[Sandbox, ...]) -> None:
        """Let things happen on a pool; ``db`` is for looking at what there is then."""
        self._database = database
        self._db = db
        self._sandboxes = sandboxes
        self._disk = Disk()
        self._crew = Crew(database, self._disk)
        self._sweeper = Sweeper(database, self._disk, KEEPING, actor="sweeper")
        self._leftovers = Leftovers(db, self._disk)
        #: How the sandboxes stood after the last step.
        self._prints: dict[SandboxId, str] = {}

    @classmethod
    async def begin(
        cls, database: Database, db: Connection, sandboxes: tuple[Sandbox, ...]
    ) -> Self:
        """Begin anew in sandboxes that were made."""
        await begin_anew(db)
        return cls(database, db, tuple(sandbox.anew() for sandbox in sandboxes))

    async def take(self, step: Step) -> None:
        """Let something happen, and hold what is read then against what was ingested.

        Whatever is of one sandbox leaves all others as they are.
        """
        before = self._prints or await prints(self._db)
        await getattr(self, step.what)(**step.told)
        after = self._prints = await prints(self._db)
        for id in before.keys() - self._crew.touched:
            assert before[id] == after[id], f"{step} changed another sandbox"
        if step.what in PASSING:
            self._crew.touched = {id for id in before if before[id] != after[id]}
        await self._check()

    async def ingest(
        self,
        rows: str,
        named: str,
        sandbox: int = 0,
        dataset: int = 0,
        leaves: str = "",
        *,
        is_upsert: bool = False,
    ) -> None:
        """Promote a batch that has some items among its rows, and some among identities.

        Of records all have values of some leaves, and may be patches.
        """
        of = self._touch(sandbox)
        await self._promote(of, of.datasets[dataset], rows, named, leaves, is_upsert=is_upsert)

    async def replace(
        self,
        which: int,
        rows: str,
        named: str,
        sandbox: int = 0,
        leaves: str = "",
        *,
        is_upsert: bool = False,
    ) -> None:
        """Promote a batch in place of another."""
        of = self._touch(sandbox)
        if active := of.truth.active():
            old = of.truth.batches[active[which % len(active)]]
            await self._promote(
                of, old.dataset_id, rows, named, leaves, is_upsert=is_upsert, replaced=(old.id,)
            )

    async def revert(self, which: int, sandbox: int = 0) -> None:
        """Take a batch back."""
        of = self._touch(sandbox)
        if active := of.truth.active():
            await self._withdraw(of, active[which % len(active)], BatchEvent.REVERT)

    async def delete(self, which: int, sandbox: int = 0) -> None:
        """Erase a batch, which may have been taken back before."""
        of = self._touch(sandbox)
        if erasable := of.truth.erasable():
            id = BatchId(erasable[which % len(erasable)])
            why = JobError(code="batch_deleted", message="it was deleted")
            unfinished = (await of.standing(self._db)).unfinished
            async with self._database.transaction() as db:
                await ErasureStore(db).begin(of.scope)
                cancelled = await ErasureStore(db).erase(of.scope, [id], why=why, actor="amy")
                commit = await StoreFileStore(db).snapshot(of.scope)
            of.truth.note(commit, gone=[id])
            of.truth.deleted.add(id)
            for job in cancelled:
                assert id in of.truth.at(unfinished[job]["snapshot"]), f"{job} did not read {id}"

    async def trespass(self, sandbox: int, of: int, which: int, how: str) -> None:
        """Let somebody name what is another sandbox's as if it were of their own."""
        stranger, owner = self._touch(sandbox), self._sandboxes[of]
        if stranger is not owner and owner.truth.batches:
            ids = [*owner.truth.batches]
            await trespass(self._database, stranger, owner, ids[which % len(ids)], how)

    async def export(self, sandbox: int = 0, *, has_numbers: bool = False) -> None:
        """Submit a job that reads what there is now, and may show the numbers of items."""
        of = self._touch(sandbox)
        selection = Selection(
            profile_fields=(),
            event_fields=(),
            identity_graph=IdentityGraph.PRIVATE,
            attribute_merge=AttributeMerge.TIMESTAMP_ORDERED,
            table=Table(columns=()) if has_numbers else None,
        )
        async with self._database.transaction() as db:
            await ErasureStore(db).keep(of.scope)
            await JobStore(db).submit(
                of.scope,
                kind=JobKind.USER_LIST,
                dataset_id=None,
                order={
                    "user_list": {"segment": None, "properties": {}},
                    "merge_policy_id": None,
                    "selection": selection.model_dump(mode="json"),
                },
                snapshot=await StoreFileStore(db).snapshot(of.scope),
                actor="amy",
                request_id="r-1",
            )

    async def look(self, most_files: int) -> tuple[Job, ...]:
        """Submit the upkeep that is due."""
        self._touch_all()
        policy = CompactionPolicy(least_files=2, most_files=most_files, home_from_bytes=0)
        upkeep = Upkeep(self._database, policy, horizon=MONTH, revertible=MONTH, patience=HOUR)
        return await upkeep.submit_due()

    async def claim(self) -> None:
        await self._crew.claim()

    async def claim_two(self, *, is_reverting: bool, sandbox: int = 0) -> None:
        """Claim two jobs at one moment; a batch may be taken back between."""

        async def meanwhile() -> None:
            if is_reverting:
                await self.revert(0, sandbox)

        await self._crew.claim_two(meanwhile)

    async def advance(self, which: int) -> None:
        """Let somebody do one of the things that a job consists of."""
        if attempt := await self._attempt(which):
            await self._crew.advance(attempt)

    async def finish(self, which: int) -> None:
        """Let somebody finish a job."""
        if attempt := await self._attempt(which):
            await self._crew.finish(attempt)

    async def fail(self, which: int, *, is_final: bool) -> None:
        if attempt := await self._attempt(which):
            await self._crew.fail(attempt, is_final=is_final)

    async def hand_back(self, which: int) -> None:
        if attempt := await self._attempt(which):
            await self._crew.hand_back(attempt)

    async def fall_silent(self, which: int) -> None:
        if attempt := await self._attempt(which):
            await self._crew.fall_silent(attempt)

    async def an_hour_passes(self) -> None:
        """Let what was put off be due."""
        self._touch_all()
        await self._db.execute(OLDER, HOUR + timedelta(minutes=1))

    async def a_month_passes(self) -> None:
        """Let all batches be settled."""
        self._touch_all()
        for statement in (OLDER, *BATCHES_OLDER):
            await self._db.execute(statement, MONTH + HOUR)

    async def expire(self, sandbox: int = 0) -> None:
        """Let the oldest batch be older than its data set keeps rows, and be swept."""
        of = self._touch(sandbox)
        if active := of.truth.active():
            await self._withdraw(of, active[-1], BatchEvent.EXPIRE)
            await self.sweep()

    async def sweep(self) -> None:
        """Remove what nobody is to read again."""
        self._touch_all()
        assert await self._sweeper.sweep(is_eager=True) is not None

    async def end(self) -> None:
        """Let everybody do all that there is to do: then all is there, and nothing more."""
        for number in range(len(self._sandboxes)):
            await self.export(number)
        await self._do_all()
        for sandbox in self._sandboxes:
            await sandbox.check_is_whole(self._db, self._disk)
        await self.sweep()
        await self._leftovers.check_nothing_is_left()

    async def _do_all(self) -> None:
        for _ in range(MOST_ROUNDS):
            await self.an_hour_passes()
            submitted = await self.look(most_files=64)
            for _ in range(WORKERS):
                await self._crew.claim()
            for attempt in [*self._crew.attempts]:
                await self._crew.finish(attempt)
                await self._check()
            standings = [await sandbox.standing(self._db) for sandbox in self._sandboxes]
            unfinished = [id for each in standings for id in each.unfinished]
            await self._crew.release(unfinished)
            if not submitted and not unfinished:
                return
        raise AssertionError(f"after {MOST_ROUNDS} rounds jobs are left: {unfinished}")

    async def leave(self) -> None:
        """End what a history left undone that failed."""
        await self._crew.leave()

    async def standing(self, sandbox: int = 0) -> set[JobKind]:
        """The kinds of a sandbox's jobs that have not ended."""
        standing = await self._sandboxes[sandbox].standing(self._db)
        return {JobKind(job["kind"]) for job in standing.unfinished.values()}

    def _touch(self, sandbox: int) -> Sandbox:
        of = self._sandboxes[sandbox]
        self._crew.touched.add(of.scope.sandbox_id)
        return of

    def _touch_all(self) -> None:
        self._crew.touched |= {sandbox.scope.sandbox_id for sandbox in self._sandboxes}

    async def _attempt(self, which: int) -> Attempt | None:
        """One of those that are under way; one is begun now when there is none."""
        if not self._crew.attempts:
            await self._crew.claim()
        attempts = self._crew.attempts
        return attempts[which % len(attempts)] if attempts else None

    async def _promote(
        self,
        of: Sandbox,
        dataset_id: str,
        rows: str,
        named: str,
        leaves: str,
        *,
        is_upsert: bool,
        replaced: tuple[str, ...] = (),
    ) -> None:
        id = BatchId(f"batch-{sum(len(each.truth.batches) for each in self._sandboxes)}")
        is_event = dataset_id == of.datasets[0]
        kinds = EVENT_KINDS if is_event else RECORD_KINDS
        told = [Row(0, id, kinds[0], item, "" if is_event else leaves) for item in rows]
        told += [Row(0, id, StoreFileKind.IDENTITIES, item) for item in named]
        told += [Row(0, id, StoreFileKind.LINKS, item) for item in rows]
        self._disk.files[f"own/{id}"] = tuple(told)
        files = stored(self._disk, f"came/{id}", told, kinds)
        is_upsert = is_upsert and not is_event
        async with self._database.transaction() as db:
            await activate(db, of.scope, dataset_id, id)
            gone = await BatchStore(db).withdraw(
                of.scope, [*map(BatchId, replaced)], BatchEvent.REPLACE, actor="amy"
            )
            commit = await StoreFileStore(db).add(
                of.scope,
                id,
                is_upsert=is_upsert,
                files=[NewStoreFile(**file.model_dump(exclude={"sha256"})) for file in files],
                replacing=gone,
            )
        of.truth.batches[id] = Told(id, dataset_id, tuple(told), is_upsert)
        of.truth.note(commit, came=[id], gone=gone)

    async def _withdraw(self, of: Sandbox, id: str, event: BatchEvent) -> None:
        ids = [BatchId(id)]
        async with self._database.transaction() as db:
            await BatchStore(db).withdraw(of.scope, ids, event, actor="amy")
            commit = await StoreFileStore(db).remove(of.scope, ids)
        of.truth.note(commit, gone=ids)

    async def _check(self) -> None:
        """Look at the sandboxes in which something happened, and at the disk."""
        if self._crew.defects:
            raise self._crew.defects[0]
        for sandbox in self._sandboxes:
            if sandbox.scope.sandbox_id in self._crew.touched:
                await sandbox.check(self._db, self._disk, self._crew)
        self._crew.touched.clear()
        await self._leftovers.check_all_is_there()
