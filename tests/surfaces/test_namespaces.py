"""Identity namespaces over HTTP."""

from __future__ import annotations

import pytest

from tests.surfaces.client import HttpClient, problem

NAMESPACES = "/data/core/idnamespace/identities"
LUMA = {
    "name": "Luma CRM Id",
    "code": "lumaCrmId",
    "description": "Customers",
    "idType": "CROSS_DEVICE",
}


async def test_every_sandbox_starts_with_the_standard_namespaces(adobe: HttpClient):
    answer = await adobe.get(NAMESPACES)
    found = {each["code"]: each for each in await answer.json()}
    assert answer.status == 200
    assert {code: found[code]["id"] for code in ("CORE", "ECID", "Email", "Phone", "AdCloud")} == {
        "CORE": 0,
        "ECID": 4,
        "Email": 6,
        "Phone": 7,
        "AdCloud": 411,
    }
    assert not any(each["custom"] for each in found.values())
    assert all(each["status"] == "ACTIVE" for each in found.values())


async def test_a_namespace_is_registered_with_200_and_listed(adobe: HttpClient):
    answer = await adobe.post(NAMESPACES, json=LUMA)
    made = await answer.json()
    assert answer.status == 200
    assert made.items() >= {**LUMA, "custom": True, "status": "ACTIVE"}.items()
    assert made["id"] >= 10_000_000
    assert (await (await adobe.get(NAMESPACES)).json())[-1] == made


async def test_a_code_is_taken_in_every_spelling(adobe: HttpClient, subtests: pytest.Subtests):
    await adobe.post(NAMESPACES, json=LUMA)
    for code in (
        "lumacrmid",
        "LUMACRMID",
        "email",
        "Ecid",
    ):
        with subtests.test(f"{code}"):
            answer = await adobe.post(NAMESPACES, json={**LUMA, "code": code})
            body = await answer.json()
            assert problem(body) == (409, "already_exists")
            assert code in body["report"]["message"]


async def test_a_namespace_is_found_by_number_and_by_code_in_any_spelling(adobe: HttpClient):
    made = await (await adobe.post(NAMESPACES, json=LUMA)).json()
    for id in (made["id"], "LumaCRMID"):
        assert await (await adobe.get(f"{NAMESPACES}/{id}")).json() == made
    answer = await adobe.get(f"{NAMESPACES}/nothing")
    assert problem(await answer.json()) == (404, "not_found")


async def test_bad_namespaces_are_refused(adobe: HttpClient, subtests: pytest.Subtests):
    for more, said in (
        ({"idType": "PERSON"}, "idType"),
        ({"idType": None}, "idType"),
        ({"idType": 5}, "idType"),
        ({"code": ""}, "code"),
        ({"code": "a b"}, "code"),
        ({"code": "a\u202eb"}, "code"),
        ({"code": "x" * 256}, "code"),
        ({"code": 5}, "code"),
        ({"name": []}, "name"),
    ):
        with subtests.test(f"{more} {said}"):
            answer = await adobe.post(NAMESPACES, json={**LUMA, **more})
            body = await answer.json()
            assert problem(body) == (400, "invalid_field")
            assert said in body["detail"]


async def test_namespaces_of_others_are_not_seen(adobe: HttpClient, foreign: HttpClient):
    await adobe.post(NAMESPACES, json=LUMA)
    assert not any(each["custom"] for each in await (await foreign.get(NAMESPACES)).json())
    assert (await foreign.post(NAMESPACES, json=LUMA)).status == 200
