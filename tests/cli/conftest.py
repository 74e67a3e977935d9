"""Gives the tests of this folder the service, as one of its commands calls it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestServer

from catalog.organisations import Scope
from catalog.store.database import Database
from service.cli.access import Access
from service.cli.api import Service
from service.operations.tokens import new_secret
from tests.surfaces.client import a_client, operations, running, settings

__all__ = ["access", "api", "operations", "running", "settings"]


@pytest.fixture
async def access(running: TestServer, database: Database, scope: Scope) -> Access:
    secret = new_secret()
    client = await a_client(scope, database, secret=secret)
    return Access(
        base_url=str(running.make_url("/")),
        org_id=scope.organisation_id,
        client_id=client.id,
        client_secret=secret,
        sandbox=scope.sandbox_name,
    )


@pytest.fixture
async def api(access: Access) -> AsyncIterator[Service]:
    """The client of the commands, connected to the real application. No worker runs."""
    async with Service.connect(access) as service:
        yield service
