"""The built-in issuer: who gets a token, and which keys sign."""

from __future__ import annotations

from datetime import timedelta

import pytest
from joserfc.jws import extract_compact

from catalog.access import ALL
from catalog.errors import InvalidKey, InvalidToken
from catalog.organisations import Client, ClientId, Scope
from catalog.store.database import Connection, Database
from catalog.store.organisations import OrganisationStore
from service import assembly
from service.operations.issuers import Claims
from service.operations.tokens import Tokens, new_secret, secret_hash
from service.settings import TokenSettings

DAY = timedelta(days=1)


@pytest.fixture
async def client(scope: Scope, database: Database) -> Client:
    client = Client(
        id=ClientId("client"),
        organisation_id=scope.organisation_id,
        name="a client",
        scopes=ALL,
    )
    async with database.transaction() as db:
        await OrganisationStore(db).enrol(client, secret_hash=secret_hash("right"))
    return client


def kid_of(token: str) -> str:
    kid: str = extract_compact(token.encode()).headers()["kid"]
    return kid


async def test_a_client_gets_a_token_for_its_secret_alone(client: Client, database: Database):
    tokens = Tokens(database, lasts=DAY)
    assert (await tokens.issue(client.id, "right")).lasts == DAY
    with pytest.raises(InvalidKey):
        await tokens.issue(client.id, "wrong")


async def test_a_disabled_client_gets_none(client: Client, database: Database, db: Connection):
    await db.execute("UPDATE clients SET disabled_at = now()")
    with pytest.raises(InvalidKey):
        await Tokens(database, lasts=DAY).issue(client.id, "right")


async def test_secrets_are_kept_as_a_hash_only(client: Client, db: Connection):
    (stored,) = await db.fetchrow("SELECT secret_hash FROM clients WHERE id = $1", client.id)
    assert stored == secret_hash("right")
    assert len(new_secret()) >= 43


async def test_two_issuers_of_one_database_sign_with_one_key(client: Client, database: Database):
    ours = await Tokens(database, lasts=DAY).sign(client)
    theirs = await Tokens(database, lasts=DAY).sign(client)
    assert kid_of(ours.token) == kid_of(theirs.token)


async def test_a_key_that_signed_long_enough_makes_room_and_still_verifies(
    client: Client, database: Database, db: Connection
):
    tokens, issuer = Tokens(database, lasts=DAY), assembly.issuer(database, TokenSettings())
    old = await tokens.sign(client)
    await db.execute("UPDATE signing_keys SET created_at = now() - interval '90 days 1 hour'")
    new = await tokens.sign(client)
    assert kid_of(new.token) != kid_of(old.token)
    assert [key["kid"] for key in await tokens.published()] == [
        kid_of(new.token),
        kid_of(old.token),
    ]
    for token in (old, new):
        assert isinstance(await issuer.verify(token.token), Claims)


async def test_a_key_whose_tokens_have_all_expired_is_withdrawn(
    client: Client, database: Database, db: Connection
):
    tokens = Tokens(database, lasts=DAY)
    old = await tokens.sign(client)
    await db.execute("UPDATE signing_keys SET created_at = now() - interval '91 days 1 hour'")
    await tokens.sign(client)
    assert kid_of(old.token) not in {key["kid"] for key in await tokens.published()}
    with pytest.raises(InvalidToken):
        await assembly.issuer(database, TokenSettings()).verify(old.token)


async def test_a_service_that_knows_no_key_yet_finds_the_one_another_process_made(
    client: Client, database: Database
):
    issuer = assembly.issuer(database, TokenSettings())
    with pytest.raises(InvalidToken):
        await issuer.verify("a.b.c")
    token = await Tokens(database, lasts=DAY).sign(client)
    assert (await issuer.verify(token.token)).client_id == client.id
