"""Tokens for client credentials, as clients fetch them and as attackers would make them."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from catalog.organisations import Scope
from catalog.store.database import Database
from tests.surfaces.client import HttpClient, a_client

SANDBOXES = "/data/foundation/sandbox-management/sandboxes"
SECRET = "correct-horse"  # noqa: S105


@pytest.fixture
async def asked(scope: Scope, database: Database) -> dict[str, str]:
    """What a client sends for a token."""
    client = await a_client(scope, database, secret=SECRET)
    return {
        "grant_type": "client_credentials",
        "client_id": client.id,
        "client_secret": SECRET,
        "scope": "openid,read_organizations",
    }


@pytest.mark.parametrize("version", ["v2", "v3"])
@pytest.mark.parametrize("place", ["data", "params"])
async def test_a_token_is_given_for_a_secret_in_a_form_or_in_the_query(
    stranger: HttpClient, scope: Scope, asked: dict[str, str], version: str, place: str
):
    answer = await stranger.post(f"/ims/token/{version}", **{place: asked})
    body = await answer.json()
    assert answer.status == 200
    assert (body["token_type"], body["expires_in"]) == ("bearer", 86399)
    assert answer.headers["Cache-Control"] == "no-store"
    headers = {
        "Authorization": f"Bearer {body['access_token']}",
        "x-api-key": asked["client_id"],
        "x-gw-ims-org-id": scope.organisation_id,
    }
    assert (await stranger.get(SANDBOXES, headers=headers)).status == 200


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"client_secret": ""}, 400, "invalid_request"),
        ({"client_id": ""}, 400, "invalid_request"),
        ({"more": "\0"}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
async def test_anything_else_is_refused_in_the_words_of_oauth(
    stranger: HttpClient, asked: dict[str, str], changed: dict[str, str], status: int, error: str
):
    answer = await stranger.post("/ims/token/v3", data={**asked, **changed})
    body = await answer.json()
    assert answer.status == status
    assert body["error"] == error
    assert SECRET not in body["error_description"]


async def test_an_unknown_client_and_a_wrong_secret_are_refused_alike(
    stranger: HttpClient, asked: dict[str, str]
):
    wrong = await stranger.post("/ims/token/v3", data={**asked, "client_secret": "wrong"})
    unknown = await stranger.post("/ims/token/v3", data={**asked, "client_id": "nobody"})
    assert await wrong.json() == await unknown.json()


@pytest.mark.parametrize("field", ["client_id", "client_secret"])
async def test_a_character_the_database_cannot_keep_is_refused(
    stranger: HttpClient, asked: dict[str, str], field: str
):
    answer = await stranger.post("/ims/token/v3", data={**asked, field: "a\0b"})
    assert answer.status == 400


async def test_published_keys_verify_the_tokens_and_tell_nothing_private(
    stranger: HttpClient, asked: dict[str, str]
):
    issued = await (await stranger.post("/ims/token/v3", data=asked)).json()
    published: dict[str, Any] = await (await stranger.get("/ims/keys")).json()
    for key in published["keys"]:
        assert key["kty"] == "RSA"
        assert key["use"] == "sig"
        assert not set(key) & {"d", "p", "q", "dp", "dq", "qi"}
    keys = KeySet.import_key_set(published)
    claims = jwt.decode(issued["access_token"], keys, algorithms=["RS256"]).claims
    assert claims["client_id"] == asked["client_id"]
