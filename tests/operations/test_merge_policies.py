"""Merge policies changed by several callers at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

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
    policies = MergePolicies(database)
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
