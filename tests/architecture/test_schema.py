"""The schema and the lifecycles say the same of states and ends."""

from __future__ import annotations

import re

import pytest

from catalog import batches, jobs
from catalog.lifecycle import Lifecycle
from catalog.store.database import Connection

CHECKS = [
    pytest.param(
        jobs.LIFECYCLE,
        jobs.ENDED,
        "jobs",
        "state_is_known",
        "only_ended_jobs_have_an_end",
        id="job",
    ),
    pytest.param(
        batches.LIFECYCLE,
        batches.ENDED,
        "batches",
        "batch_state_is_known",
        "only_ended_batches_have_an_end",
        id="batch",
    ),
]


async def named_by(db: Connection, table: str, constraint: str) -> set[str]:
    """The text literals in a constraint, as PostgreSQL understood it."""
    definition = await db.fetchval(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conname = $1 AND conrelid = $2::text::regclass",
        constraint,
        table,
    )
    return set(re.findall(r"'(\w+)'", definition))


@pytest.mark.parametrize(("lifecycle", "ends", "table", "known", "ended"), CHECKS)
async def test_the_schema_knows_the_states_of_the_lifecycle_and_which_are_ends(
    db: Connection, lifecycle: Lifecycle, ends: set[str], table: str, known: str, ended: str
):
    assert await named_by(db, table, known) == set(lifecycle.edges)
    assert {state for state, exits in lifecycle.edges.items() if not exits} <= ends
    assert await named_by(db, table, ended) == ends


async def test_the_schema_knows_every_kind_of_job(db: Connection):
    assert await named_by(db, "jobs", "kind_is_known") == set(jobs.JobKind)
