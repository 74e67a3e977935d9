"""Segments defined by several callers at once."""

from __future__ import annotations

import asyncio

import pytest

from catalog.errors import Invalid, NameTaken
from catalog.organisations import Caller
from catalog.segments import RuleFormat, SegmentDefinition, SegmentDraft, SegmentListing
from catalog.store.database import Database
from service.operations.segments import Segments


def a_draft(name: str) -> SegmentDraft:
    return SegmentDraft(
        name=name,
        schema_name="_xdm.context.profile",
        format=RuleFormat.TEXT,
        expression='_id = "1"',
    )


async def test_a_sandbox_has_no_more_segments_than_it_may_however_many_come_at_once(
    database: Database, caller: Caller
):
    segments = Segments(database, most=2)
    ended = await asyncio.gather(
        *(segments.create(a_draft(str(number)), by=caller) for number in range(6)),
        return_exceptions=True,
    )
    refused = [each for each in ended if isinstance(each, Invalid)]
    assert len(refused) == 4
    assert "the sandbox has 2 segments" in str(refused[0])
    made = next(each for each in ended if isinstance(each, SegmentDefinition))
    await segments.remove(made.id, by=caller)
    await segments.create(a_draft("y"), by=caller)
    with pytest.raises(Invalid):
        await segments.create(a_draft("z"), by=caller)


async def test_of_segments_with_one_name_one_is_made_however_many_come_at_once(
    database: Database, caller: Caller
):
    segments = Segments(database, most=10)
    ended = await asyncio.gather(
        *(segments.create(a_draft("x"), by=caller) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(each, NameTaken) for each in ended) == 3
    _, count = await segments.page(SegmentListing(), by=caller, limit=1, skip=0)
    assert count == 1
