"""Migrations: applied once, in order, by one process at a time, and never behind one's back."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from catalog.store import migrate as migrating
from catalog.store.database import Connection
from catalog.store.migrate import Migration, migrate, migrations
from catalog.store.obstacles import Obstacle

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def fresh(empty: dict[str, Any]) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(**empty)
    yield connection
    await connection.close()


@pytest.fixture
def releases(monkeypatch):
    """Have the code know these migrations and no others."""

    def know(*statements: str) -> None:
        known = [
            Migration(number=number, name=f"{number:04d}_step", sql=sql)
            for number, sql in enumerate(statements, 1)
        ]
        monkeypatch.setattr(migrating, "migrations", lambda: known)

    return know


async def tables(connection: Connection) -> set[str]:
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {row["tablename"] for row in rows}


async def test_every_migration_is_applied_once_and_in_order(fresh: Connection):
    names = [path.stem for path in sorted((ROOT / "migrations").glob("*.sql"))]
    assert await migrate(fresh) == names
    assert await migrate(fresh) == []


async def test_of_two_processes_that_migrate_at_once_one_does_it(empty: dict[str, Any]):
    connections = [await asyncpg.connect(**empty) for _ in range(2)]
    applied = await asyncio.gather(*map(migrate, connections))
    assert sorted(map(len, applied)) == [0, len(list(migrations()))]
    for connection in connections:
        await connection.close()


async def test_a_newer_release_applies_only_what_is_new(fresh: Connection, releases):
    releases("CREATE TABLE first ()")
    await migrate(fresh)
    releases("CREATE TABLE first ()", "CREATE TABLE second ()")
    assert await migrate(fresh) == ["0002_step"]


async def test_a_migration_that_fails_leaves_what_came_before_and_nothing_of_itself(
    fresh: Connection, releases
):
    releases("CREATE TABLE first ()", "CREATE TABLE second (); SELECT nonsense")
    with pytest.raises(asyncpg.UndefinedColumnError):
        await migrate(fresh)
    assert await tables(fresh) == {"schema_migrations", "first"}
    releases("CREATE TABLE first ()", "CREATE TABLE second ()")
    assert await migrate(fresh) == ["0002_step"]


async def test_a_schema_of_a_newer_release_is_refused(fresh: Connection, releases):
    releases("CREATE TABLE first ()", "CREATE TABLE second ()")
    await migrate(fresh)
    releases("CREATE TABLE first ()")
    with pytest.raises(Obstacle, match="at migration 2 and this release knows 1"):
        await migrate(fresh)


async def test_a_migration_edited_after_it_was_applied_is_refused(fresh: Connection, releases):
    releases("CREATE TABLE first ()")
    await migrate(fresh)
    releases("CREATE TABLE first (added text)", "CREATE TABLE second ()")
    with pytest.raises(Obstacle, match="0001_step was edited after this database applied it"):
        await migrate(fresh)
    assert "second" not in await tables(fresh)


@pytest.mark.parametrize(
    "names", [["0001_a.sql", "0003_c.sql"], ["0001_a.sql", "0001_b.sql"], ["first.sql"]]
)
def test_numbers_with_a_gap_or_twice_are_a_defect(names: list[str], tmp_path: Path, monkeypatch):
    (tmp_path / "migrations").mkdir()
    for name in names:
        (tmp_path / "migrations" / name).write_text("SELECT 1")
    monkeypatch.setattr(migrating.resources, "files", lambda _: tmp_path)
    with pytest.raises(ValueError, match="is missing or misnamed"):
        list(migrations())


def test_a_built_wheel_carries_every_sql_file_and_the_specification(tmp_path: Path):
    for name in ("catalog", "service", "migrations"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True)
    for name in ("pyproject.toml", "openapi.yaml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", "dist", "."], cwd=tmp_path, check=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    for folder, files in (("migrations/", ROOT / "migrations"), ("", ROOT / "catalog" / "store")):
        named = {f"catalog/store/{folder}{path.name}" for path in files.glob("*.sql")}
        assert named
        assert named <= packed
    assert "service/surfaces/openapi.yaml" in packed
