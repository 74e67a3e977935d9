"""Names that something is given while something else that has them is being made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from catalog.errors import AlreadyExists
from catalog.organisations import Scope
from catalog.properties import PropertyDraft, ValueType
from catalog.spaces import SpaceDraft
from catalog.store.database import Connection, Database
from catalog.store.properties import PropertyStore
from catalog.store.spaces import SpaceStore
from tests.patience import until_locked_out


async def make_space(db: Connection, scope: Scope, name: str) -> Callable[..., Awaitable[object]]:
    """Make a space; return what gives it another name."""
    made = await SpaceStore(db).add(scope, SpaceDraft(name=name), actor="amy")

    async def rename(db: Connection, name: str) -> object:
        return await SpaceStore(db).revise(scope, made.number, SpaceDraft(name=name), actor="amy")

    return rename


async def make_property(
    db: Connection, scope: Scope, name: str
) -> Callable[..., Awaitable[object]]:
    """Make a property; return what gives it another name."""
    as_text = {"value_type": ValueType.STRING, "is_array": False, "actor": "amy"}

    def draft(key: str, name: str) -> PropertyDraft:
        return PropertyDraft(key=key, name=name, path=("a",))

    key = f"usr_{name}"
    await PropertyStore(db).add(scope, draft(key, name), **as_text)

    async def rename(db: Connection, name: str) -> object:
        return await PropertyStore(db).revise(scope, draft(key, name), **as_text)

    return rename


@pytest.mark.parametrize("make", [make_space, make_property])
async def test_a_name_that_another_is_just_given_is_refused(
    database: Database, db: Connection, scope: Scope, make: Callable[..., Awaitable[object]]
):
    rename = await make(db, scope, "old")

    async def take() -> None:
        async with database.transaction() as own:
            await rename(own, "new")

    async with database.transaction() as making:
        await make(making, scope, "new")
        taking = asyncio.create_task(take())
        await until_locked_out(db, doing=taking)
    with pytest.raises(AlreadyExists, match="new"):
        await taking
