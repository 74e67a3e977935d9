"""Merge policies changed by several callers at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from catalog.errors import Invalid
from catalog.merge_policies import MergePolicy, MergePolicyDraft, MergePolicyFilter
from catalog.organisations import Caller, ClientId, Scope
from catalog.store.database import Database
from service.operations.merge_policies import MergePolicies


def as_default(old: MergePolicy) -> MergePolicyDraft:
    return MergePolicyDraft(name=old.name, schema_name=old.schema_name, is_default=True)


async def test_one_policy_is_the_default_however_many_become_it_at_once(
    database: Database, scope: Scope
):
    caller = Caller(client_id=ClientId("amy"), scope=scope, request_id="r")
    policies = MergePolicies(database, most=8)
    draft = MergePolicyDraft(name="x")
    made = [await policies.create(draft, by=caller) for _ in range(4)]
    ended = await asyncio.gather(
        *(policies.revise(each.id, as_default, by=caller) for each in made),
        *(policies.create(replace(draft, is_default=True), by=caller) for _ in range(4)),
    )
    assert all(each.is_default for each in ended)
    filter = MergePolicyFilter(is_default=True)
    _, count = await policies.page(by=caller, limit=10, skip=0, filter=filter)
    assert count == 1


async def test_an_organisation_has_no_more_policies_than_it_may_however_many_come_at_once(
    database: Database, scope: Scope
):
    caller = Caller(client_id=ClientId("amy"), scope=scope, request_id="r")
    policies = MergePolicies(database, most=2)
    ended = await asyncio.gather(
        *(policies.create(MergePolicyDraft(name="x"), by=caller) for _ in range(6)),
        return_exceptions=True,
    )
    refused = [each for each in ended if isinstance(each, Invalid)]
    assert (len(refused), str(refused[0]).partition(":")[0]) == (
        4,
        "the organisation has 2 merge policies and may have no more",
    )
    made = next(each for each in ended if isinstance(each, MergePolicy))
    await policies.remove(made.id, by=caller)
    await policies.create(MergePolicyDraft(name="y"), by=caller)
    with pytest.raises(Invalid):
        await policies.create(MergePolicyDraft(name="z"), by=caller)
