"""Segments of a project and its spaces, when several callers are at one at the same time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from catalog.errors import Conflict, NotFound
from catalog.organisations import Caller, Scope
from catalog.segments import RuleFormat, SegmentDefinition, SegmentDraft
from catalog.spaces import Place, SpaceDraft
from catalog.store.database import Connection, Database
from catalog.store.segments import SegmentStore
from catalog.store.spaces import SpaceStore
from service import assembly
from service.settings import DataSettings, Settings
from service.storage.files import Files
from service.surfaces.http import Operations
from tests.patience import PATIENCE_SECONDS, until_locked_out

A_DRAFT = SegmentDraft(
    name="any",
    schema_name="_xdm.context.profile",
    format=RuleFormat.TEXT,
    expression='_id = "1"',
    merge_policy_id="timestampOrdered-pdg-mp",
)


@pytest.fixture
def operations(database: Database, tmp_path: Path) -> Operations:
    return assembly.operations(
        database, Files(tmp_path), Settings(data=DataSettings(data_dir=tmp_path))
    )


@pytest.fixture
async def space(operations: Operations, caller: Caller) -> Place:
    project = await operations.projects.home(by=caller)
    made = await operations.projects.add_space(project, SpaceDraft(name="any"))
    return Place(by=project.by, sandbox=project.sandbox, space=made)


@pytest.fixture
async def segment(operations: Operations, caller: Caller) -> SegmentDefinition:
    return await operations.segments.create(A_DRAFT, by=caller)


async def test_a_segment_is_given_to_no_space_that_goes_meanwhile(
    operations: Operations,
    database: Database,
    db: Connection,
    space: Place,
    segment: SegmentDefinition,
    scope: Scope,
):
    assert space.space is not None
    async with database.transaction() as removing:
        await SegmentStore(removing).lock_changes(scope)
        await SpaceStore(removing).remove(scope, space.space.number)
        putting = asyncio.create_task(operations.placed_segments.put(segment.key, space))
        await until_locked_out(db, doing=putting)
    with pytest.raises(NotFound):
        await putting


@pytest.mark.usefixtures("segment")
async def test_a_space_waits_for_the_segment_that_it_is_given_and_leaves_it_to_the_project(
    operations: Operations,
    database: Database,
    db: Connection,
    space: Place,
    scope: Scope,
):
    assert space.space is not None
    async with database.transaction() as giving:
        await SegmentStore(giving).lock_changes(scope)
        await giving.execute("UPDATE placed_segments SET space_number = $1", space.space.number)
        removing = asyncio.create_task(operations.projects.remove_space(space))
        await until_locked_out(db, doing=removing)
    await removing
    assert await db.fetchval("SELECT space_number FROM placed_segments") is None


@pytest.mark.parametrize("is_kept", [True, False])
async def test_of_two_who_have_a_segment_computed_at_once_one_is_served(
    operations: Operations,
    database: Database,
    db: Connection,
    space: Place,
    segment: SegmentDefinition,
    *,
    is_kept: bool,
):
    """The second waits for the first, and is served itself only when the first comes to nothing."""
    compute = operations.placed_segments.compute
    with suppress(BrokenPipeError):
        async with database.together():
            first = await compute(segment.key, space)
            second = asyncio.create_task(compute(segment.key, replace(space, space=None)))
            await until_locked_out(db, doing=second)
            if not is_kept:
                raise BrokenPipeError
    if is_kept:
        with pytest.raises(Conflict, match=f"segment {segment.key} is being computed"):
            await second
        kept = first
    else:
        kept = await second
    jobs = await db.fetch("SELECT id::text FROM segment_jobs")
    assert [job["id"] for job in jobs] == [kept.id]


async def test_segments_are_computed_beside_one_another(
    operations: Operations, database: Database, caller: Caller, segment: SegmentDefinition
):
    other = await operations.segments.create(replace(A_DRAFT, name="other"), by=caller)
    project = await operations.projects.home(by=caller)
    async with database.together():
        await operations.placed_segments.compute(segment.key, project)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.create_task(operations.placed_segments.compute(other.key, project))
