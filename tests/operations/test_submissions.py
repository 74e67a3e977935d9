"""Exports that are asked for at the same time: queued together, and each answered for itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from catalog.access import ALL
from catalog.errors import InvalidField, TooManyJobs, Unavailable
from catalog.export_jobs import PROFILE_SCHEMA_NAME, ExportJob, ExportRequest
from catalog.organisations import Caller, ClientId, Scope
from catalog.schemas import PROFILE_UNION
from catalog.store.database import Connection, Database
from catalog.store.erasure import ErasureStore
from service.operations.submissions import Submissions
from service.operations.waiting_room import WaitingRoom
from tests.builders import a_dataset
from tests.patience import PATIENCE_SECONDS, until_locked_out

MANY = 12


@pytest.fixture
def submissions(database: Database) -> Submissions:
    return a_service(database)


def a_service(database: Database, *, places: int = 10_000) -> Submissions:
    return Submissions(database, WaitingRoom(most=places), most_events=1)


def a_caller(scope: Scope, name: str = "amy") -> Caller:
    return Caller(client_id=ClientId(name), scope=scope, request_id=f"of {name}", may=ALL)


def a_request(destination: str, **more: Any) -> ExportRequest:
    request = ExportRequest(dataset_id=destination, schema_name=PROFILE_SCHEMA_NAME, echo={})
    return replace(request, **more)


async def asked(
    submissions: Submissions,
    *requests: ExportRequest,
    scope: Scope,
    answered: Callable[[ExportJob], Any] = lambda job: job,
) -> list[Any]:
    """Ask at the same moment, each by a client of another name; return what all are told."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await asyncio.gather(
            *(
                submissions.submit(request, by=a_caller(scope, f"c{n}"), answered=answered)
                for n, request in enumerate(requests)
            ),
            return_exceptions=True,
        )


async def test_each_has_its_own_job_in_fewer_transactions_than_there_are_jobs(
    submissions: Submissions, db: Connection, scope: Scope, destination: str
):
    jobs = await asked(submissions, *[a_request(destination)] * MANY, scope=scope)
    assert len({job.job.id for job in jobs}) == MANY
    assert [job.job.created_by for job in jobs] == [f"c{n}" for n in range(MANY)]
    for job in jobs:
        row = await db.fetchrow("SELECT created_by, request_id FROM jobs WHERE id = $1", job.job.id)
        assert tuple(row) == (job.job.created_by, f"of {job.job.created_by}")
    assert await db.fetchval("SELECT count(DISTINCT xmin::text) FROM jobs") < MANY


async def test_one_that_is_refused_spoils_no_other(
    submissions: Submissions, db: Connection, scope: Scope, destination: str
):
    wrong = a_request(destination, fields=(("nosuch",),))
    told = await asked(
        submissions, *[a_request(destination)] * 4, wrong, a_request(destination), scope=scope
    )
    assert [type(each) for each in told] == [*[ExportJob] * 4, InvalidField, ExportJob]
    assert "c4" not in {job.job.created_by for job in told if isinstance(job, ExportJob)}
    assert await db.fetchval("SELECT count(*) FROM jobs") == 5


async def test_one_whose_answer_fails_has_no_job_and_the_others_have_theirs(
    submissions: Submissions, db: Connection, scope: Scope, destination: str
):
    def answered(job: ExportJob) -> str:
        if job.job.created_by == "c3":
            raise ZeroDivisionError
        return job.job.created_by

    told = await asked(submissions, *[a_request(destination)] * 6, scope=scope, answered=answered)
    assert told[:3] + told[4:] == ["c0", "c1", "c2", "c4", "c5"]
    assert isinstance(told[3], ZeroDivisionError)
    made = await db.fetch("SELECT created_by FROM jobs ORDER BY created_by")
    assert [row["created_by"] for row in made] == ["c0", "c1", "c2", "c4", "c5"]
    assert await db.fetchval("SELECT count(*) FROM batches") == 5
    assert await db.fetchval("SELECT count(*) FROM audit_entries") == 5


async def test_all_to_a_data_set_that_is_not_there_are_refused(
    submissions: Submissions, db: Connection, scope: Scope
):
    told = await asked(submissions, *[a_request("nosuch")] * 5, scope=scope)
    assert [type(each) for each in told] == [InvalidField] * 5
    assert await db.fetchval("SELECT count(*) FROM jobs") == 0


async def test_a_sandbox_that_waits_delays_no_other(
    submissions: Submissions,
    database: Database,
    db: Connection,
    scope: Scope,
    foreign_scope: Scope,
    destination: str,
):
    theirs = await a_dataset(db, foreign_scope, schema_id=PROFILE_UNION)
    async with database.transaction() as erasing:
        await ErasureStore(erasing).begin(scope)
        ours = asyncio.create_task(asked(submissions, *[a_request(destination)] * 5, scope=scope))
        await until_locked_out(db, doing=ours)
        (job,) = await asked(submissions, a_request(theirs), scope=foreign_scope)
        assert job.job.scope == foreign_scope
        assert not ours.done()
    assert [type(each) for each in await ours] == [ExportJob] * 5


async def test_when_a_connection_is_lost_whose_round_it_was_are_told_that_nothing_was_done(
    submissions: Submissions, database: Database, db: Connection, scope: Scope, destination: str
):
    async with database.transaction() as erasing:
        await ErasureStore(erasing).begin(scope)
        ours = asyncio.create_task(asked(submissions, *[a_request(destination)] * 5, scope=scope))
        await until_locked_out(db, doing=ours)
        await db.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted LIMIT 1")
    told = await ours
    lost = [each for each in told if isinstance(each, Unavailable)]
    assert lost
    assert len([each for each in told if isinstance(each, ExportJob)]) == 5 - len(lost)
    assert await db.fetchval("SELECT count(*) FROM jobs") == 5 - len(lost)


async def test_a_caller_that_goes_away_takes_nobody_along(
    submissions: Submissions, database: Database, db: Connection, scope: Scope, destination: str
):
    def submit(name: str) -> asyncio.Task[ExportJob]:
        return asyncio.create_task(
            submissions.submit(
                a_request(destination), by=a_caller(scope, name), answered=lambda job: job
            )
        )

    async with database.transaction() as erasing:
        await ErasureStore(erasing).begin(scope)
        tasks = []
        for under_way, name in enumerate(("amy", "bob"), 1):
            tasks.append(submit(name))
            await until_locked_out(db, doing=tasks[0], count=under_way)
        tasks += [submit(name) for name in ("cyd", "dan")]
        await asyncio.sleep(0)
        tasks[0].cancel()  # under way
        tasks[2].cancel()  # in line
        await asyncio.sleep(0)
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in told] == [
        asyncio.CancelledError,
        ExportJob,
        asyncio.CancelledError,
        ExportJob,
    ]
    made = await db.fetch("SELECT created_by FROM jobs ORDER BY created_by")
    assert [row["created_by"] for row in made] == ["amy", "bob", "dan"]


async def test_as_many_wait_as_may_whoever_lets_them_in(
    database: Database, db: Connection, scope: Scope, destination: str
):
    """Processes know nothing of one another."""
    services = [a_service(database, places=7) for _ in range(3)]
    told = await asyncio.gather(
        *(asked(each, *[a_request(destination)] * MANY, scope=scope) for each in services)
    )
    kinds = [type(each) for of_one in told for each in of_one]
    assert kinds.count(ExportJob) == 7
    assert kinds.count(TooManyJobs) == 3 * MANY - 7
    assert await db.fetchval("SELECT count(*) FROM jobs") == 7


async def test_inside_of_another_transaction_a_job_is_a_part_of_it(
    submissions: Submissions, database: Database, db: Connection, scope: Scope, destination: str
):
    async def submit_and_fail() -> None:
        async with database.together():
            await submissions.submit(
                a_request(destination), by=a_caller(scope), answered=lambda job: job
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await submit_and_fail()
    assert await db.fetchval("SELECT count(*) FROM jobs") == 0
