"""Whose tokens are believed, and what an attacker may try."""

from __future__ import annotations

import base64
import json
import time
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from catalog.errors import InvalidToken, Unavailable
from service.operations import issuers
from service.operations.issuers import Claims, Expected, Issuer, PublishedKeys

EXPECTED = Expected(
    issuer="https://issuer.example",
    audience="exports",
    leeway=timedelta(seconds=30),
    client_claim="azp",
    organisation_claim="org",
)


@cache
def a_key(name: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": name})


def jwks(*keys: RSAKey, **more: Any) -> bytes:
    return json.dumps({"keys": [{**key.as_dict(private=False), **more} for key in keys]}).encode()


def a_token(key: RSAKey | None = None, *, kid: str | None = "first", **changed: Any) -> str:
    now = int(time.time())
    said = {
        "iss": EXPECTED.issuer,
        "aud": EXPECTED.audience,
        "exp": now + 600,
        "azp": "client",
        "org": "ORG",
        **changed,
    }
    claims = {name: value for name, value in said.items() if value is not None}
    header = {"alg": "RS256"} if kid is None else {"alg": "RS256", "kid": kid}
    return jwt.encode(header, claims, key or a_key("first"))


class Publisher:
    """An issuer's key endpoint that counts how often it is asked."""

    def __init__(self, document: bytes) -> None:
        self.document = document
        self.fetch_count = 0
        self.is_down = False

    async def fetch(self) -> bytes:
        self.fetch_count += 1
        if self.is_down:
            raise OSError("no route to host")
        return self.document


@pytest.fixture
def publisher() -> Publisher:
    return Publisher(jwks(a_key("first")))


@pytest.fixture
def issuer(publisher: Publisher) -> Issuer:
    return Issuer(PublishedKeys(publisher.fetch), EXPECTED)


async def test_a_token_of_the_issuer_is_believed(issuer: Issuer):
    claims = await issuer.verify(a_token())
    assert (claims.client_id, claims.organisation_id) == ("client", "ORG")
    assert timedelta(seconds=600) < claims.lasts <= timedelta(seconds=630)


async def test_the_audience_may_be_one_of_several(issuer: Issuer):
    assert isinstance(await issuer.verify(a_token(aud=["other", "exports"])), Claims)


async def test_a_clock_that_is_a_little_off_does_no_harm(issuer: Issuer):
    assert isinstance(await issuer.verify(a_token(exp=int(time.time()) - 1)), Claims)


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": 1},
        pytest.param({"exp": int(time.time()) - 31}, id="expired"),
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": 1e400},
        pytest.param({"nbf": int(time.time()) + 86_400}, id="not yet"),
        {"iss": "https://other.example"},
        {"iss": None},
        {"aud": "other"},
        {"aud": None},
        {"azp": None},
        {"azp": ""},
        {"azp": 7},
        {"org": None},
        {"org": ["ORG"]},
    ],
    ids=str,
)
async def test_a_token_that_says_something_else_is_not_believed(
    issuer: Issuer, changed: dict[str, Any]
):
    with pytest.raises(InvalidToken):
        await issuer.verify(a_token(**changed))


def unsigned() -> str:
    _, claims, _ = a_token().split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"none","kid":"first"}').rstrip(b"=").decode()
    return f"{header}.{claims}."


def confused() -> str:
    """Signed with a shared secret that is the issuer's public key, as published."""
    public = OctKey.import_key(base64.urlsafe_b64encode(jwks(a_key("first"))).decode())
    claims = json.loads(base64.urlsafe_b64decode(a_token().split(".")[1] + "=="))
    return jwt.encode({"alg": "HS256", "kid": "first"}, claims, public, algorithms=["HS256"])


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "gr\u00fc\u00df.b.c",
        unsigned(),
        confused(),
        a_token()[:-5] + "AAAAA",
        a_token(a_key("second")),
        a_token(a_key("second"), kid="second"),
        a_token(kid="x" * 3000),
        "W10." + a_token().partition(".")[2],
        "eyJraWQiOjF9." + a_token().partition(".")[2],
    ],
    ids=lambda token: token[:20],
)
async def test_a_token_that_was_tampered_with_is_not_believed(issuer: Issuer, token: str):
    with pytest.raises(InvalidToken):
        await issuer.verify(token)


async def test_a_token_of_another_algorithm_is_not_believed_though_the_key_fits(issuer: Issuer):
    claims = json.loads(base64.urlsafe_b64decode(a_token().split(".")[1] + "=="))
    token = jwt.encode(
        {"alg": "RS512", "kid": "first"}, claims, a_key("first"), algorithms=["RS512"]
    )
    with pytest.raises(InvalidToken):
        await issuer.verify(token)


async def test_a_token_without_a_key_id_is_believed_when_there_is_one_key(issuer: Issuer):
    assert isinstance(await issuer.verify(a_token(kid=None)), Claims)


async def test_a_token_without_a_key_id_is_not_guessed_about(publisher: Publisher, issuer: Issuer):
    publisher.document = jwks(a_key("first"), a_key("second"))
    with pytest.raises(InvalidToken, match="which key"):
        await issuer.verify(a_token(kid=None))


async def test_keys_are_fetched_once_for_many_tokens(publisher: Publisher, issuer: Issuer):
    for _ in range(3):
        await issuer.verify(a_token())
    assert publisher.fetch_count == 1


async def test_unknown_keys_do_not_make_us_flood_the_issuer(publisher: Publisher, issuer: Issuer):
    await issuer.verify(a_token())
    for number in range(5):
        with pytest.raises(InvalidToken):
            await issuer.verify(a_token(a_key("second"), kid=f"made-up-{number}"))
    assert publisher.fetch_count == 1


async def test_a_new_key_is_found_when_a_token_names_it(
    publisher: Publisher, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
):
    await issuer.verify(a_token())
    publisher.document = jwks(a_key("first"), a_key("second"))
    monkeypatch.setattr(issuers, "LEAST_REFETCH", timedelta(0))
    assert isinstance(await issuer.verify(a_token(a_key("second"), kid="second")), Claims)
    assert publisher.fetch_count == 2


async def test_an_issuer_that_is_silent_does_not_lock_out_known_keys(
    publisher: Publisher, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
):
    await issuer.verify(a_token())
    publisher.is_down = True
    monkeypatch.setattr(issuers, "KEYS_LAST", timedelta(0))
    assert isinstance(await issuer.verify(a_token()), Claims)
    assert publisher.fetch_count == 2


@pytest.mark.parametrize("document", [b"", b"<html>", b"[]", b"{}", b'{"keys": {}}'])
async def test_an_issuer_that_never_answered_well_makes_the_service_unavailable(
    publisher: Publisher, issuer: Issuer, document: bytes
):
    publisher.document = document
    for _ in range(2):
        with pytest.raises(Unavailable):
            await issuer.verify(a_token())
    assert publisher.fetch_count == 1


@pytest.mark.parametrize("odd", [{"use": "enc"}, {"alg": "RS512"}, {"kty": "oct", "k": "AAAA"}])
async def test_keys_that_are_not_for_our_signatures_are_left_out(
    publisher: Publisher, issuer: Issuer, odd: dict[str, str]
):
    publisher.document = jwks(a_key("first"), **odd)
    with pytest.raises(InvalidToken):
        await issuer.verify(a_token())
