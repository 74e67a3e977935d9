"""What a call leaves in the log: who, where, how long; never what lets others in."""

from __future__ import annotations

from structlog.testing import capture_logs

from catalog.organisations import Scope
from catalog.store.database import Database
from tests.surfaces.client import HttpClient, a_client

SECRET = "a-very-secret-word"  # noqa: S105


async def test_a_call_is_logged_with_its_route_and_caller(adobe: HttpClient, scope: Scope):
    with capture_logs() as lines:
        await adobe.get("/data/foundation/catalog/dataSet/unknown/?limit=1")
    (line,) = [line for line in lines if line["event"] == "call"]
    assert line["route"] == "/data/foundation/catalog/dataSets/{id}"
    assert line["path"] == "/data/foundation/catalog/dataSet/unknown/"
    assert line["status"] == 404
    assert line["organisation_id"] == scope.organisation_id
    assert line["duration_ms"] > 0


async def test_no_line_holds_a_token_or_a_secret_wherever_it_was_sent(
    stranger: HttpClient, scope: Scope, database: Database
):
    client = await a_client(scope, database, secret=SECRET)
    asked = {"client_id": client.id, "client_secret": SECRET}
    with capture_logs() as lines:
        issued = await (await stranger.post("/ims/token/v2", params=asked)).json()
        await stranger.post("/ims/token/v3", data=asked)
        await stranger.post("/ims/token/v3", data={**asked, "grant_type": "password"})
        headers = {
            "Authorization": f"Bearer {issued['access_token']}",
            "x-gw-ims-org-id": scope.organisation_id,
        }
        await stranger.get("/data/foundation/catalog/dataSets", headers=headers)
    assert len(lines) >= 4
    assert SECRET not in str(lines)
    assert issued["access_token"] not in str(lines)
