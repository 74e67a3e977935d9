"""Namespaces as PostgreSQL keeps them: the ones data used before anyone registered them."""

from __future__ import annotations

from catalog.identities import STANDARD, IdType, spellings, unlinked
from catalog.organisations import Scope
from catalog.store.database import Connection
from catalog.store.namespaces import NamespaceStore


async def test_codes_seen_in_data_are_registered_once_as_first_spelled(
    db: Connection, scope: Scope
):
    namespaces = NamespaceStore(db)
    await namespaces.register_seen(scope, ["lumaCrmId", "ECID", "ecid", "LUMACRMID", "Ünïcode"])
    await namespaces.register_seen(scope, ["lumacrmid", "üNÏCODE", "other"])
    custom = [one for one in await namespaces.registered(scope) if one.is_custom]
    assert [one.code for one in custom] == ["lumaCrmId", "Ünïcode", "other"]
    assert {one.id_type for one in custom} == {IdType.CROSS_DEVICE}
    assert len({one.id for one in custom}) == 3


async def test_codes_that_are_known_use_up_no_numbers(db: Connection, scope: Scope):
    namespaces = NamespaceStore(db)
    for _ in range(5):
        await namespaces.register_seen(scope, ["a"])
    await namespaces.register_seen(scope, ["b"])
    a, b = (one.id for one in await namespaces.registered(scope) if one.is_custom)
    assert b == a + 1


async def test_nothing_seen_registers_nothing(db: Connection, scope: Scope):
    await NamespaceStore(db).register_seen(scope, [])
    assert await NamespaceStore(db).registered(scope) == STANDARD


async def test_namespaces_are_of_one_sandbox(db: Connection, scope: Scope, foreign_scope: Scope):
    for where in (scope, foreign_scope):
        await NamespaceStore(db).register_seen(where, ["a"])
    for where in (scope, foreign_scope):
        found = await NamespaceStore(db).registered(where)
        assert [one.code for one in found if one.is_custom] == ["a"]


def test_standard_namespaces_have_codes_and_numbers_of_their_own():
    assert len(spellings(STANDARD)) == len(STANDARD)
    assert len({one.id for one in STANDARD}) == len(STANDARD)
    assert unlinked(STANDARD) == ()
