import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from catalog.batches import BatchState
from catalog.errors import IllegalTransition
from catalog.jobs import JobEvent, JobKind, JobState
from catalog.merge_policies import AttributeMerge, IdentityGraph
from catalog.store.batches import BatchStore
from catalog.store.jobs import JobStore
from service.engine.orders import ENGINE_VERSION, Done, NewFile, Part, Planned, Selection
from service.worker.attempts import AttemptFailed
from service.worker.claim import Claim
from service.worker.exports import Exports, PartSizes
from tests.builders import LEASE, a_job
from tests.patience import PATIENCE_SECONDS, until_locked_out

ORDER = {
    "echo": {},
    "merge_policy_id": None,
    "merge_policy_version": None,
    "selection": Selection(
        profile_fields=(),
        event_fields=(),
        identity_graph=IdentityGraph.NONE,
        attribute_merge=AttributeMerge.TIMESTAMP_ORDERED,
    ).model_dump(mode="json"),
}
PLANNED = Planned(key="plan", engine_version=ENGINE_VERSION, task_count=1)
PART = Part(number=0, key="part", size_bytes=1, row_count=1, sha256="00", counters={"profiles": 1})


class Engine:
    """Answers every order alike, without doing anything; ends when it is told to."""

    def __init__(self, parts=(PART,), exclusions=(None,)) -> None:
        self.is_written = asyncio.Event()
        self.may_end = asyncio.Event()
        self.orders = []
        self._parts = parts
        self._exclusions = exclusions

    @asynccontextmanager
    async def run(self, order):
        self.orders.append(order)
        yield self._answers()

    async def _answers(self):
        yield PLANNED
        for part in self._parts:
            yield part
        self.is_written.set()
        await self.may_end.wait()
        yield Done(exclusions=self._exclusions)


def a_part(batch, row_count, exclusions=None):
    return PART.model_copy(
        update={
            "batch": batch,
            "key": f"part-{batch}",
            "row_count": row_count,
            "counters": {"profiles": row_count},
            "exclusions": exclusions,
        }
    )


def running(engine, database, job):
    sizes = PartSizes(
        part_row_count=1, part_size_bytes=1, slice_size_bytes=1, labelling_size_bytes=1
    )
    claim = Claim(database, job, lease=LEASE, heartbeat=LEASE, claimed_at=time.monotonic())
    return Exports(engine, threads=1, sizes=sizes).run(claim)


async def a_split_job(db, scope):
    """A job of two segments."""
    segments = [{"segment_id": id, "namespace": "ups", "statuses": ["realized"]} for id in "ab"]
    selection = {**ORDER["selection"], "segments": {"choices": segments, "is_split": True}}
    job = await a_job(
        db,
        scope,
        order={**ORDER, "segments": segments, "selection": selection},
        is_claimed=True,
    )
    await BatchStore(db).open_for_export(
        scope, dataset_id=job.dataset_id, job_id=job.id, actor="test", place=1
    )
    return job


async def test_every_batch_of_a_job_gets_its_own_parts_and_exclusions(database, db, scope):
    job = await a_split_job(db, scope)
    listed = NewFile(key="lists/1", size_bytes=3, row_count=1, sha256="aa")
    engine = Engine([a_part(0, 4), a_part(1, 0, exclusions="list-1")], (None, listed))
    engine.may_end.set()
    await asyncio.wait_for(running(engine, database, job), PATIENCE_SECONDS)
    first, second = await BatchStore(db).of_job(job.id)
    assert first.state is second.state is BatchState.ACTIVE
    files = await db.fetch("SELECT batch_id, key, row_count FROM dataset_files")
    assert {tuple(file) for file in files} == {(first.id, "part-0", 4), (second.id, "part-1", 0)}
    told = await db.fetch("SELECT batch_id, path, key FROM meta_files")
    assert [tuple(each) for each in told] == [(second.id, "exclusions.parquet", "lists/1")]
    found = await JobStore(db).find(scope, job.id, kind=JobKind.EXPORT)
    assert found.metrics["counters"] == {"profiles": 4}


async def test_a_batch_without_a_part_shows_nothing_of_any(database, db, scope):
    job = await a_split_job(db, scope)
    engine = Engine([a_part(0, 4)], (None, None))
    engine.may_end.set()
    with pytest.raises(AttemptFailed):
        await asyncio.wait_for(running(engine, database, job), PATIENCE_SECONDS)
    states = {batch.state for batch in await BatchStore(db).of_job(job.id)}
    assert states == {BatchState.EXPORTING}
    assert await db.fetchval("SELECT count(*) FROM dataset_files") == 0


async def test_a_later_attempt_is_told_which_parts_are_kept(database, db, scope):
    job = await a_split_job(db, scope)
    engine = Engine([a_part(0, 4, exclusions="list-0")], (None, None))
    engine.may_end.set()
    for _ in range(2):
        with pytest.raises(AttemptFailed):
            await asyncio.wait_for(running(engine, database, job), PATIENCE_SECONDS)
    first, second = engine.orders
    assert first.finished == ()
    (kept,) = second.finished
    assert (kept.number, kept.batch, kept.row_count, kept.exclusions) == (0, 0, 4, "list-0")


async def test_a_cancel_in_the_moment_of_success_locks_nobody_out(database, db, scope):
    job = await a_job(db, scope, order=ORDER, is_claimed=True)
    engine = Engine()
    run = asyncio.create_task(running(engine, database, job))
    await asyncio.wait_for(engine.is_written.wait(), PATIENCE_SECONDS)
    async with database.transaction() as cancelling:
        await JobStore(cancelling).lock(scope, job.id, kind=JobKind.EXPORT)
        engine.may_end.set()
        await until_locked_out(db, doing=run)
        await JobStore(cancelling).move(job, JobEvent.CANCEL, actor="test", is_fenced=False)
        await BatchStore(cancelling).abort(job.id)
    with pytest.raises(IllegalTransition):
        await asyncio.wait_for(run, PATIENCE_SECONDS)
    found = await JobStore(db).find(scope, job.id, kind=JobKind.EXPORT)
    assert found.state is JobState.CANCELLED
