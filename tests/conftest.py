"""One PostgreSQL for the run, one migrated database, emptied after each test.

The server is the product's own embedded one; ``TEST_DATABASE_URL`` names another instead, in
which the run makes databases of its own and drops them again.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from joserfc.jwk import RSAKey

from catalog.organisations import OrganisationId, SandboxId, Scope
from catalog.schemas import PROFILE_UNION
from catalog.store import filters
from catalog.store.database import Connection, Database, prepare
from catalog.store.embedded import EmbeddedPostgres
from catalog.store.migrate import migrate
from service.operations import monitoring, readiness
from tests.builders import a_dataset
from tests.chaos.proxy import Proxy
from tests.patience import PATIENCE_SECONDS

# What is slow on a busy machine is not wrong. The same tests have the same examples every time;
# with FUZZ_INPUTS set they look for others.
settings.register_profile(
    "suite",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="FUZZ_INPUTS" not in os.environ,
)
settings.load_profile("suite")

#: Tests need no crash safety of their server.
QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

RUN = uuid4().hex[:8]

#: Ends every other connection, deletes every row and starts every sequence anew. A tenth of the
#: time of a database of its own for each test: PostgreSQL writes all its buffers for a DROP.
#: Rows are deleted as a replica deletes them, past the triggers; much is quicker to truncate.
AS_MIGRATED = """
DO $$
DECLARE
    each record;
BEGIN
    PERFORM pg_terminate_backend(pid, 60000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
    SET LOCAL session_replication_role = replica;
    FOR each IN SELECT oid::regclass AS relation, pg_relation_size(oid) AS bytes FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
            AND relname <> 'schema_migrations'
    LOOP
        IF each.bytes > 1000000 THEN
            EXECUTE format('TRUNCATE %s CASCADE', each.relation);
        ELSIF each.bytes > 0 THEN
            EXECUTE format('DELETE FROM %s', each.relation);
        END IF;
    END LOOP;
    FOR each IN SELECT seqrelid::regclass AS relation, seqstart FROM pg_sequence
    LOOP
        PERFORM setval(each.relation, each.seqstart, false);
    END LOOP;
END $$
"""


@pytest.fixture(scope="session", autouse=True)
def patient() -> Iterator[None]:
    """Let the service wait for a database that is busy besides: what is slow is not wrong."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filters, "MOST_SECONDS", PATIENCE_SECONDS)
        patch.setattr(monitoring, "_PATIENCE_SECONDS", PATIENCE_SECONDS)
        patch.setattr(readiness, "_PATIENCE_SECONDS", PATIENCE_SECONDS)
        yield


@pytest.fixture(scope="session", autouse=True)
def private_keys_are_read_once() -> Iterator[None]:
    """Reading one proves its primes, which takes longer than most tests."""
    read, known = RSAKey.import_key, {}

    def remembered(value: Any, *more: Any) -> RSAKey:
        is_private = isinstance(value, dict) and "d" in value
        if not is_private:
            return read(value, *more)
        mark = json.dumps([value, *more], sort_keys=True, default=str)
        if mark not in known:
            known[mark] = read(value, *more)
        return known[mark]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RSAKey, "import_key", staticmethod(remembered))
        yield


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
async def migrated(server: dict[str, Any]) -> AsyncIterator[str]:
    """The freshly migrated database that the tests of the run use one after the other."""
    name = f"test_{RUN}"
    admin = await asyncpg.connect(**server)
    await admin.execute(f"CREATE DATABASE {name}")
    connection = await asyncpg.connect(**{**server, "database": name})
    await migrate(connection)
    await connection.close()
    yield name
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def where(server: dict[str, Any], migrated: str) -> AsyncIterator[dict[str, Any]]:
    """How to reach a database without rows, this test's alone while it runs."""
    where = {**server, "database": migrated}
    yield where
    connection = await asyncpg.connect(**where)
    await connection.execute(AS_MIGRATED)
    await connection.close()


@pytest.fixture
async def empty(server: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """How to reach a database in which nothing is."""
    name = f"empty_{uuid4().hex[:8]}"
    admin = await asyncpg.connect(**server)
    await admin.execute(f"CREATE DATABASE {name}")
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
async def proxy(where: dict[str, Any]) -> AsyncIterator[Proxy]:
    """What stands between a service and this test's database, and can lose what passes."""
    if "host" not in where:
        pytest.skip("the proxy leads to a socket")
    proxy = Proxy(Path(where["host"]) / f".s.PGSQL.{where['port']}")
    await proxy.open()
    yield proxy
    await proxy.close()


@pytest.fixture
async def scope(db: Connection) -> Scope:
    return await a_scope(db, "OURS@AdobeOrg")


@pytest.fixture
async def foreign_scope(db: Connection) -> Scope:
    """Another organisation's sandbox, under the same name as ours."""
    return await a_scope(db, "THEIRS@AdobeOrg")


@pytest.fixture
async def destination(db: Connection, scope: Scope) -> str:
    """A data set that exports may go to."""
    return await a_dataset(db, scope, schema_id=PROFILE_UNION)


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
