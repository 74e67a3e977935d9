"""One PostgreSQL for the run, one migrated template, one copied database for each test.

The server is the product's own embedded one; ``TEST_DATABASE_URL`` names another instead, in
which the run makes databases of its own and drops them again.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from catalog.organisations import OrganisationId, SandboxId, Scope
from catalog.store.database import Connection, Database, prepare
from catalog.store.embedded import EmbeddedPostgres
from catalog.store.migrate import migrate

#: Tests need no crash safety of their server, and a copied database takes a third of the time.
QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

RUN = uuid4().hex[:8]
SERIAL = count(1)


@pytest.fixture(scope="session", autouse=True)
def no_database_stays_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Remove what services of tests kept elsewhere: pytest's folders let only their owner in."""
    yield
    folders = os.walk(tmp_path_factory.getbasetemp())  # passes over what vanishes meanwhile
    for folder in [folder for folder, _, names in folders if "data.location" in names]:
        EmbeddedPostgres(Path(folder)).remove()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server() -> AsyncIterator[dict[str, Any]]:
    """How to reach the PostgreSQL of the run, as :func:`asyncpg.connect` takes it."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield {"dsn": url}
        return
    postgres = EmbeddedPostgres(Path(tempfile.mkdtemp(prefix="postgres-")), settings=QUICK)
    await postgres.start()
    yield postgres.connection
    postgres.remove()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def template(server: dict[str, Any]) -> AsyncIterator[str]:
    """A freshly migrated database that every test copies and none may touch."""
    name = f"template_{RUN}"
    admin = await asyncpg.connect(**server)
    await admin.execute(f"CREATE DATABASE {name}")
    connection = await asyncpg.connect(**{**server, "database": name})
    await migrate(connection)
    await connection.close()
    yield name
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def where(server: dict[str, Any], template: str) -> AsyncIterator[dict[str, Any]]:
    """How to reach this test's own copy of the template."""
    name = f"test_{RUN}_{next(SERIAL)}"
    admin = await asyncpg.connect(**server)
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield {**server, "database": name}
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def database(where: dict[str, Any]) -> AsyncIterator[Database]:
    """A pool on this test's database, as operations and workers are given one."""
    database = await Database.connect(**where)
    yield database
    await database.close()


@pytest.fixture
async def db(where: dict[str, Any]) -> AsyncIterator[Connection]:
    """One connection to this test's database, in no transaction."""
    connection = await asyncpg.connect(**where)
    await prepare(connection)
    yield connection
    await connection.close()


@pytest.fixture
async def scope(db: Connection) -> Scope:
    return await a_scope(db, "OURS@AdobeOrg")


@pytest.fixture
async def foreign_scope(db: Connection) -> Scope:
    """Another organisation's sandbox, under the same name as ours."""
    return await a_scope(db, "THEIRS@AdobeOrg")


async def a_scope(db: Connection, organisation_id: str) -> Scope:
    await db.execute("INSERT INTO organisations (id, name) VALUES ($1, $1)", organisation_id)
    sandbox_id = await db.fetchval(
        "INSERT INTO sandboxes (organisation_id, name, title, is_default)"
        " VALUES ($1, 'prod', 'Production', true) RETURNING id",
        organisation_id,
    )
    return Scope(
        organisation_id=OrganisationId(organisation_id),
        sandbox_id=SandboxId(sandbox_id),
        sandbox_name="prod",
    )
