"""Spaces that go while segments are given to them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from catalog.access import ALL
from catalog.errors import NotFound
from catalog.organisations import Caller, ClientId, Scope
from catalog.segments import RuleFormat, SegmentDefinition, SegmentDraft
from catalog.spaces import Place, SpaceDraft
from catalog.store.database import Connection, Database
from catalog.store.segments import SegmentStore
from catalog.store.spaces import SpaceStore
from service import assembly
from service.settings import DataSettings, Settings
from service.storage.files import Files
from service.surfaces.http import Operations
from tests.patience import until_locked_out


@pytest.fixture
def operations(database: Database, tmp_path: Path) -> Operations:
    return assembly.operations(
        database, Files(tmp_path), Settings(data=DataSettings(data_dir=tmp_path))
    )


@pytest.fixture
def caller(scope: Scope) -> Caller:
    return Caller(client_id=ClientId("amy"), scope=scope, request_id="r", may=ALL)


@pytest.fixture
async def space(operations: Operations, caller: Caller) -> Place:
    project = await operations.projects.home(by=caller)
    made = await operations.projects.add_space(project, SpaceDraft(name="any"))
    return Place(by=project.by, sandbox=project.sandbox, space=made)


@pytest.fixture
async def segment(operations: Operations, caller: Caller) -> SegmentDefinition:
    draft = SegmentDraft(
        name="any",
        schema_name="_xdm.context.profile",
        format=RuleFormat.TEXT,
        expression='_id = "1"',
        merge_policy_id="timestampOrdered-pdg-mp",
    )
    return await operations.segments.create(draft, by=caller)


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
