"""Who is calling, when another issuer says so, and how long that is remembered."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from catalog.errors import InvalidKey, NotEntitled, NotFound
from catalog.organisations import OrganisationId, Scope
from catalog.store.database import Connection, Database
from service import assembly
from service.operations.callers import Callers, Credentials
from service.operations.rates import Rates
from service.operations.remembered import Remembered
from service.settings import TokenSettings

FAR_FUTURE = 4_000_000_000


@cache
def a_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "external"})


@pytest.fixture
def callers(database: Database, tmp_path: Path) -> Callers:
    """Those of a service that believes an external issuer, whose keys lie in a file."""
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [a_key().as_dict(private=False)]}))
    settings = TokenSettings(
        issuer="https://issuer.example", audience="exports", jwks_file=file, client_claim="azp"
    )
    return Callers(database, assembly.issuer(database, settings), Rates(0))


def said(organisation: str, *, vouched: str | None = None, sandbox: str = "prod") -> Credentials:
    claims = {
        "iss": "https://issuer.example",
        "aud": "exports",
        "exp": FAR_FUTURE,
        "azp": "their-client",
        "org_id": vouched or organisation,
    }
    return Credentials(
        token=jwt.encode({"alg": "RS256", "kid": "external"}, claims, a_key()),
        key="their-client",
        organisation_id=OrganisationId(organisation),
        sandbox_name=sandbox,
    )


async def test_a_client_that_an_external_issuer_vouches_for_needs_no_row(
    callers: Callers, scope: Scope
):
    caller = await callers.identify(said(scope.organisation_id), request_id="r")
    assert (caller.client_id, caller.scope, caller.request_id) == ("their-client", scope, "r")


async def test_it_may_call_only_for_the_organisation_the_issuer_names(
    callers: Callers, scope: Scope, foreign_scope: Scope
):
    credentials = said(scope.organisation_id, vouched=foreign_scope.organisation_id)
    with pytest.raises(NotEntitled):
        await callers.identify(credentials, request_id="r")


async def test_an_organisation_nobody_knows_has_no_sandbox(callers: Callers, scope: Scope):
    assert scope.organisation_id != "NOBODY"
    with pytest.raises(NotFound):
        await callers.identify(said("NOBODY"), request_id="r")


async def test_a_row_that_is_disabled_shuts_it_out(callers: Callers, scope: Scope, db: Connection):
    await db.execute(
        "INSERT INTO clients (id, organisation_id, name, secret_hash, disabled_at)"
        " VALUES ('their-client', $1, '', '', now())",
        scope.organisation_id,
    )
    with pytest.raises(InvalidKey):
        await callers.identify(said(scope.organisation_id), request_id="r")


async def test_what_is_remembered_of_one_organisation_is_not_believed_of_another(
    callers: Callers, scope: Scope, foreign_scope: Scope
):
    ours = await callers.identify(said(scope.organisation_id), request_id="r")
    theirs = await callers.identify(said(foreign_scope.organisation_id), request_id="r")
    assert ours.scope == scope
    assert theirs.scope == foreign_scope
    assert ours.scope != theirs.scope


def test_an_answer_is_remembered_until_it_expires():
    memory: Remembered[str, int] = Remembered(most=2)
    memory.keep("lasting", 1, lasts=timedelta(hours=1))
    memory.keep("expired", 2, lasts=timedelta(0))
    assert memory.get("lasting") == 1
    assert memory.get("expired") is None
    assert memory.get("unknown") is None


def test_a_full_memory_forgets_what_nobody_asked_for():
    memory: Remembered[int, int] = Remembered(most=2)
    for number in (1, 2):
        memory.keep(number, number, lasts=timedelta(hours=1))
    assert memory.get(1) == 1
    memory.keep(3, 3, lasts=timedelta(hours=1))
    assert [memory.get(number) for number in (1, 2, 3)] == [1, None, 3]
