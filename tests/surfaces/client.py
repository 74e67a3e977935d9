"""The service as tests call it: the real application over a real database and real files.

``adobe`` calls as a client of the organisation of ``scope``, ``foreign`` as one of another
organisation; both reach the same service. What they send is what every known client sends.
What they are answered is held to ``openapi.yaml``, whatever the test is about.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from joserfc.jwk import RSAKey

from catalog.access import ALL, Access
from catalog.organisations import Client, ClientId, Scope
from catalog.store.database import Database
from catalog.store.organisations import OrganisationStore
from catalog.store.signing_keys import SigningKeyStore
from service import assembly
from service.app import application
from service.cli.listening import _LONGEST_LINE
from service.operations.tokens import new_secret, secret_hash
from service.settings import EngineSettings, LookupSettings, Settings
from service.storage.files import Files
from service.surfaces.adobe import (
    export_jobs,
    ingestion,
    merge_policies,
    segment_jobs,
    segments,
)
from service.surfaces.creating import REPLAYED
from service.surfaces.http import REQUEST_ID, Operations
from tests.patience import PATIENCE_SECONDS
from tests.specification import Conformance

HttpClient = TestClient[web.Request, web.Application]

#: Look-ups and previews start a process, and machines that run tests are busy.
PATIENCE = timedelta(seconds=PATIENCE_SECONDS)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return usual_settings().at(tmp_path / "data")


@cache
def usual_settings() -> Settings:
    """Those of every test here: reading the environment takes longer than a call."""
    return Settings(
        lookup=LookupSettings(time_limit=PATIENCE),
        engine=EngineSettings(preview_time_limit=PATIENCE),
    )


@pytest.fixture
async def operations(database: Database, settings: Settings) -> Operations:
    async with database.transaction() as db:
        key = a_signing_key()
        await SigningKeyStore(db).add(key.thumbprint(), dict(key.as_dict(private=True)))
    return assembly.operations(database, Files(settings.data.files_dir), settings)


@pytest.fixture
async def running(operations: Operations, database: Database) -> AsyncIterator[TestServer]:
    app = application(operations)
    conformance, changes = Conformance(app), Changes(app)
    server = TestServer(app)
    await server.start_server(max_line_size=_LONGEST_LINE)  # as the service listens
    async with server as running:
        yield running
    assert not conformance.violations, "\n".join(conformance.violations)
    assert not (missing := await changes.missing_from_the_audit_log(database)), missing


@pytest.fixture
async def adobe(
    running: TestServer, database: Database, operations: Operations, scope: Scope
) -> AsyncIterator[HttpClient]:
    headers = await headers_for(scope, database, operations)
    async with TestClient(running, headers=headers) as client:
        yield client


@pytest.fixture
async def foreign(
    running: TestServer, database: Database, operations: Operations, foreign_scope: Scope
) -> AsyncIterator[HttpClient]:
    headers = await headers_for(foreign_scope, database, operations)
    async with TestClient(running, headers=headers) as client:
        yield client


@pytest.fixture
async def stranger(running: TestServer) -> AsyncIterator[HttpClient]:
    """A client that sends no headers of its own."""
    async with TestClient(running) as client:
        yield client


async def headers_for(
    scope: Scope,
    database: Database,
    operations: Operations,
    *,
    client_id: str | None = None,
    scopes: frozenset[Access] = ALL,
) -> Mapping[str, str]:
    """Enrol a client in an organisation and return the headers it sends."""
    enrolled = await a_client(scope, database, client_id=client_id, scopes=scopes)
    issued = await operations.tokens.sign(enrolled)
    return {
        "Authorization": f"Bearer {issued.token}",
        "x-api-key": enrolled.id,
        "x-gw-ims-org-id": scope.organisation_id,
        "x-sandbox-name": scope.sandbox_name,
    }


async def a_client(
    scope: Scope,
    database: Database,
    *,
    client_id: str | None = None,
    secret: str | None = None,
    scopes: frozenset[Access] = ALL,
) -> Client:
    client = Client(
        id=ClientId(client_id or f"client-of-{scope.organisation_id}"),
        organisation_id=scope.organisation_id,
        name="a client",
        scopes=scopes,
    )
    async with database.transaction() as db:
        await OrganisationStore(db).enrol(client, secret_hash=secret_hash(secret or new_secret()))
    return client


class Changes:
    """Notes every call that changed something, to see that the audit log knows it."""

    #: Bytes that are no file yet; a search; and what, repeated, changes nothing a second time.
    EXEMPT = frozenset(
        {
            ingestion.receive,
            ingestion.act_on_file,
            ingestion.act,
            export_jobs.cancel,
            merge_policies.show_many,
            segment_jobs.cancel,
            segments.show_many,
        }
    )

    def __init__(self, app: web.Application) -> None:
        self._made: dict[str, str] = {}
        app.on_response_prepare.append(self._note)

    async def _note(self, request: web.Request, response: web.StreamResponse) -> None:
        is_trial = "validate-only" in request.headers.get("Pragma", "")
        is_change = request.method not in {"GET", "HEAD"} and request.path.startswith("/data/")
        is_change = is_change and not is_trial and REPLAYED not in response.headers
        if is_change and response.status < 300 and request.match_info.handler not in self.EXEMPT:
            self._made[request[REQUEST_ID]] = f"{request.method} {request.path}"

    async def missing_from_the_audit_log(self, database: Database) -> list[str]:
        if not self._made:
            return []
        async with database.transaction() as db:
            rows = await db.fetch("SELECT request_id FROM audit_entries")
        known = {row["request_id"] for row in rows}
        return [call for id, call in self._made.items() if id not in known]


@cache
def a_signing_key() -> RSAKey:
    """One key for the run: making one takes longer than most tests."""
    return RSAKey.generate_key(2048)


def problem(body: Any) -> tuple[int, str]:
    """What tests ask of an error body: its status and its stable code."""
    assert set(body) >= {"type", "title", "status", "detail", "report", "error_code", "message"}
    assert "error" not in body
    return body["status"], body["report"]["code"]
