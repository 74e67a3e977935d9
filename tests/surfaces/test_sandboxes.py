"""Sandboxes over HTTP."""

from __future__ import annotations

from catalog.organisations import Scope
from tests.surfaces.client import HttpClient


async def test_a_caller_sees_the_sandboxes_of_its_own_organisation(
    adobe: HttpClient, foreign_scope: Scope
):
    answer = await adobe.get("/data/foundation/sandbox-management/sandboxes")
    (sandbox,) = (await answer.json())["sandboxes"]
    assert answer.status == 200
    assert sandbox["name"] == "prod"
    assert sandbox["isDefault"] is True
    assert sandbox["type"] == "production"
    assert sandbox["id"] != str(foreign_scope.sandbox_id)
