"""Organisations, clients and the deployment's secrets in PostgreSQL."""

from __future__ import annotations

import pytest

from catalog.access import ALL
from catalog.errors import AlreadyExists, InvalidKey, NotFound
from catalog.organisations import Client, ClientId, OrganisationId, Scope
from catalog.store.database import Connection, Database
from catalog.store.organisations import OrganisationStore
from catalog.store.secrets import IDENTITY_SECRET, SecretStore


def a_client(organisation_id: OrganisationId) -> Client:
    return Client(id=ClientId("client"), organisation_id=organisation_id, name="c", scopes=ALL)


async def test_making_what_is_there_changes_nothing(db: Connection):
    store, id = OrganisationStore(db), OrganisationId("O")
    await store.found(id, name="first")
    first = await store.open_sandbox(id, "prod", title="Production", is_default=True)
    await store.found(id, name="second")
    assert await store.open_sandbox(id, "prod", title="Other", kind="development") == first
    assert await store.sandboxes(id) == [first]


async def test_a_sandbox_is_found_within_its_organisation_only(db: Connection, scope: Scope):
    store = OrganisationStore(db)
    assert (await store.sandbox(scope.organisation_id, "prod")).id == scope.sandbox_id
    with pytest.raises(NotFound):
        await store.sandbox(OrganisationId("OTHER"), "prod")


async def test_a_client_is_found_with_the_hash_of_its_secret(db: Connection, scope: Scope):
    store, client = OrganisationStore(db), a_client(scope.organisation_id)
    await store.enrol(client, secret_hash=b"old")
    await store.enrol(client, secret_hash=b"new")
    assert await store.client(client.id) == (client, b"new")
    with pytest.raises(InvalidKey):
        await store.client(ClientId("nobody"))


async def test_a_client_cannot_be_taken_over_by_another_organisation(
    db: Connection, scope: Scope, foreign_scope: Scope
):
    store = OrganisationStore(db)
    await store.enrol(a_client(scope.organisation_id), secret_hash=b"ours")
    with pytest.raises(AlreadyExists):
        await store.enrol(a_client(foreign_scope.organisation_id), secret_hash=b"theirs")
    assert (await store.client(ClientId("client")))[1] == b"ours"


async def test_a_secret_is_made_once(database: Database):
    async with database.transaction() as db:
        first = await SecretStore(db).find_or_make(IDENTITY_SECRET)
    async with database.transaction() as db:
        assert await SecretStore(db).find_or_make(IDENTITY_SECRET) == first
        assert await SecretStore(db).find_or_make("another") != first
    assert len(first) == 32
