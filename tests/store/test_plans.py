import pytest

from catalog.errors import Conflict
from catalog.export_jobs import ExportPart
from catalog.jobs import JobEvent
from catalog.store.jobs import JobStore
from catalog.store.plans import PlanStore
from tests.builders import LEASE, WORKER, a_job


def a_part(number=0, key="k", batch=0):
    return ExportPart(
        number=number,
        batch=batch,
        key=key,
        size_bytes=9,
        row_count=2,
        sha256="ab",
        counters={"profiles": 2},
        exclusions=None if batch == 0 else f"{key}-shortened",
    )


async def a_plan(plans, job, key="plan"):
    return await plans.replace(job, key=key, engine_version="1", task_count=2)


async def test_parts_of_an_earlier_attempt_stay_valid_under_the_same_plan(db, scope):
    jobs, plans = JobStore(db), PlanStore(db)
    first = await a_job(db, scope, is_claimed=True)
    await a_plan(plans, first)
    await plans.add_part(first, a_part(0))
    await jobs.move(first, JobEvent.RELEASE, actor=WORKER)
    second = await jobs.claim_next(WORKER, lease=LEASE)
    await plans.add_part(second, a_part(1))
    assert [part.number for part in await plans.parts(second)] == [0, 1]


async def test_of_two_attempts_at_one_task_the_first_stands(db, scope):
    plans = PlanStore(db)
    job = await a_job(db, scope, is_claimed=True)
    await a_plan(plans, job)
    await plans.add_part(job, a_part(0, key="first"))
    await plans.add_part(job, a_part(0, key="second"))
    assert [part.key for part in await plans.parts(job)] == ["first"]


async def test_a_new_plan_forgets_the_parts_of_the_old(db, scope):
    plans = PlanStore(db)
    job = await a_job(db, scope, is_claimed=True)
    await a_plan(plans, job)
    await plans.add_part(job, a_part())
    await a_plan(plans, job, key="other")
    found = await plans.find(job)
    assert found is not None
    assert found.key == "other"
    assert await plans.parts(job) == ()


async def test_nothing_is_added_after_a_cancel(db, scope):
    plans = PlanStore(db)
    job = await a_job(db, scope, is_claimed=True)
    await a_plan(plans, job)
    await JobStore(db).move(job, JobEvent.CANCEL, actor="amy", is_fenced=False)
    with pytest.raises(Conflict, match="no longer runs"):
        await plans.add_part(job, a_part())
    with pytest.raises(Conflict, match="no longer runs"):
        await a_plan(plans, job)


async def test_a_task_has_one_part_of_each_batch(db, scope):
    plans = PlanStore(db)
    job = await a_job(db, scope, is_claimed=True)
    await a_plan(plans, job)
    await plans.add_part(job, a_part(0, batch=1))
    await plans.add_part(job, a_part(0, batch=0))
    assert await plans.parts(job) == (a_part(0, batch=0), a_part(0, batch=1))
