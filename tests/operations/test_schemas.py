"""Schemas changed by two callers at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from catalog.errors import Conflict
from catalog.organisations import Caller, ClientId, Scope
from catalog.schemas import PROFILE_CLASS, Schema
from catalog.store.database import Database
from service.operations.schemas import Schemas


def a_document(type: str) -> dict[str, Any]:
    own = {"type": "object", "properties": {"a": {"type": type}}}
    return {"title": f"A is {type}", "allOf": [{"$ref": PROFILE_CLASS}, own]}


def tagged(document: Mapping[str, Any]) -> dict[str, Any]:
    return {**document, "meta:immutableTags": ["union"]}


async def test_of_schemas_that_disagree_only_one_joins_the_union_however_they_race(
    database: Database, scope: Scope
):
    caller = Caller(client_id=ClientId("amy"), scope=scope, request_id="r")
    schemas = Schemas(database)
    made = [
        await schemas.register(a_document(type), by=caller)
        for type in ("string", "number", "boolean", "integer")
    ]
    ended = await asyncio.gather(
        *(schemas.revise(each.id, tagged, by=caller) for each in made), return_exceptions=True
    )
    assert sum(isinstance(each, Schema) for each in ended) == 1
    assert sum(isinstance(each, Conflict) for each in ended) == 3
    union = await schemas.union(by=caller)
    assert [field.name for field in union.profile_fields].count("a") == 1
