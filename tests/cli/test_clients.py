"""``clients``: who gets credentials, what is shown of them, and what is written down of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner, Result

from catalog.errors import InvalidKey
from catalog.organisations import ClientId
from catalog.store.database import Connection, Database
from service.cli import main
from service.cli.data_dir import DataDir
from service.operations.tokens import Tokens
from service.settings import TokenSettings

Call = Callable[..., Awaitable[Result]]


@pytest.fixture
def folder(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path / "data")


@pytest.fixture
def call(where: dict[str, Any], folder: DataDir, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Calls ``clients`` as an operator does, on the database of the test."""
    if "host" not in where:
        pytest.skip("the address is made of its parts")
    user, password = quote(where["user"]), quote(where["password"])
    monkeypatch.setenv(
        "DATABASE_URL",
        f"postgresql://{user}:{password}@/{where['database']}"
        f"?host={quote(str(where['host']))}&port={where['port']}",
    )

    async def invoke(*arguments: str) -> Result:
        named = ["clients", *arguments, "--data-dir", str(folder.path)]
        return await asyncio.to_thread(CliRunner().invoke, main, named)

    return invoke


async def added(call: Call, *arguments: str) -> dict[str, Any]:
    result = await call("add", *arguments, "--json")
    assert result.exit_code == 0, result.output
    shown: dict[str, Any] = json.loads(result.stdout)
    return shown


async def entries(db: Connection) -> list[dict[str, Any]]:
    rows = await db.fetch(
        "SELECT actor, action, object_kind, object_id, details, sandboxes.name AS sandbox"
        " FROM audit_entries JOIN sandboxes ON sandboxes.id = audit_entries.sandbox_id"
        " ORDER BY audit_entries.id"
    )
    return [dict(row) for row in rows]


async def test_a_client_that_was_added_gets_tokens_for_what_it_may_do(
    call: Call, database: Database
):
    shown = await added(call, "warehouse", "--scope", "exports:read", "--scope", "data:read")
    assert shown["scopes"] == ["data:read", "exports:read"]
    tokens = Tokens(database, lasts=TokenSettings().lifetime)
    issued = await tokens.issue(ClientId(shown["client_id"]), shown["client_secret"])
    assert issued.token


async def test_a_client_may_do_everything_unless_scopes_are_named(call: Call):
    shown = await added(call, "everything")
    assert {"exports:write", "datasets:write", "audit:read"} <= set(shown["scopes"])


async def test_an_unknown_scope_is_refused_and_makes_no_client(call: Call, db: Connection):
    result = await call("add", "warehouse", "--scope", "exports:everything")
    assert result.exit_code == 2
    assert "exports:everything" in result.output
    assert await db.fetchval("SELECT count(*) FROM clients") == 0


async def test_clients_are_listed_without_their_secrets(call: Call):
    shown = await added(call, "warehouse", "--scope", "data:read")
    result = await call("list", "--json")
    operator, warehouse = json.loads(result.stdout)
    assert (operator["name"], warehouse["name"]) == ("operator", "warehouse")
    assert warehouse["client_id"] == shown["client_id"]
    assert warehouse["disabled_at"] is None
    assert shown["client_secret"] not in result.output
    for_people = await call("list")
    assert "warehouse" in for_people.output
    assert shown["client_secret"] not in for_people.output


async def test_a_client_that_is_shut_out_gets_no_tokens(call: Call, database: Database):
    shown = await added(call, "warehouse")
    result = await call("disable", shown["client_id"])
    assert (result.exit_code, result.output) == (0, f"client {shown['client_id']} is disabled\n")
    tokens = Tokens(database, lasts=TokenSettings().lifetime)
    with pytest.raises(InvalidKey):
        await tokens.issue(ClientId(shown["client_id"]), shown["client_secret"])
    (_, warehouse) = json.loads((await call("list", "--json")).stdout)
    assert warehouse["disabled_at"] is not None


async def test_who_made_and_shut_out_a_client_is_written_down_and_its_secret_is_not(
    call: Call, folder: DataDir, db: Connection
):
    shown = await added(call, "warehouse", "--scope", "data:read")
    await call("disable", shown["client_id"])
    operator = folder.client()
    assert operator is not None
    common = {
        "actor": operator.client_id,
        "object_kind": "client",
        "object_id": shown["client_id"],
        "sandbox": operator.sandbox,
    }
    assert await entries(db) == [
        {
            **common,
            "action": "create",
            "details": {"name": "warehouse", "scopes": ["data:read"]},
        },
        {**common, "action": "remove", "details": None},
    ]


@pytest.mark.parametrize("which", ["unknown", "operator"])
async def test_who_cannot_be_shut_out_is_told_with_the_reason(
    call: Call, folder: DataDir, db: Connection, which: str
):
    await call("list")
    operator = folder.client()
    assert operator is not None
    id, reason = {
        "unknown": ("nobody", "client nobody"),
        "operator": (operator.client_id, "which the commands need"),
    }[which]
    result = await call("disable", id)
    assert result.exit_code == 1
    assert reason in str(result.exception) + result.output
    assert await entries(db) == []
