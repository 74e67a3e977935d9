import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from catalog.errors import IllegalTransition
from catalog.jobs import JobEvent, JobKind, JobState
from catalog.merge_policies import AttributeMerge, IdentityGraph
from catalog.store.batches import BatchStore
from catalog.store.jobs import JobStore
from service.engine.orders import ENGINE_VERSION, Done, Part, Planned, Selection
from service.worker.claim import Claim
from service.worker.exports import Exports, PartSizes
from tests.builders import LEASE, a_job

PATIENCE = 20
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

    def __init__(self) -> None:
        self.is_written = asyncio.Event()
        self.may_end = asyncio.Event()

    @asynccontextmanager
    async def run(self, _order):
        yield self._answers()

    async def _answers(self):
        yield PLANNED
        yield PART
        self.is_written.set()
        await self.may_end.wait()
        yield Done(exclusions=(None,))


async def until_somebody_waits_for_a_lock(db):
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with asyncio.timeout(PATIENCE):
        while not await db.fetchval(waiting):  # noqa: ASYNC110  # waiting for a lock tells nobody
            await asyncio.sleep(0.01)


async def test_a_cancel_in_the_moment_of_success_locks_nobody_out(database, db, scope):
    job = await a_job(db, scope, order=ORDER, is_claimed=True)
    engine = Engine()
    sizes = PartSizes(
        part_row_count=1, part_size_bytes=1, slice_size_bytes=1, labelling_size_bytes=1
    )
    exports = Exports(engine, threads=1, sizes=sizes)
    claim = Claim(database, job, lease=LEASE, heartbeat=LEASE, claimed_at=time.monotonic())
    run = asyncio.create_task(exports.run(claim))
    await asyncio.wait_for(engine.is_written.wait(), PATIENCE)
    async with database.transaction() as cancelling:
        await JobStore(cancelling).lock(scope, job.id, kind=JobKind.EXPORT)
        engine.may_end.set()
        await until_somebody_waits_for_a_lock(db)
        await JobStore(cancelling).move(job, JobEvent.CANCEL, actor="test", is_fenced=False)
        await BatchStore(cancelling).abort(job.id)
    with pytest.raises(IllegalTransition):
        await asyncio.wait_for(run, PATIENCE)
    found = await JobStore(db).find(scope, job.id, kind=JobKind.EXPORT)
    assert found.state is JobState.CANCELLED
