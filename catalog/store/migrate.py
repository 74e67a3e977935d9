"""Brings a database to the schema this release knows, one numbered file at a time.

The files lie in ``migrations/``, to which a link beside this module leads so that they are
packaged with it. They are plain SQL, ``NNNN_what.sql``, numbered without gaps, forward only.
Each is applied in a transaction of its own together with the row that says so, under a lock
that lets one process migrate at a time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from catalog.store.database import Connection
from catalog.store.obstacles import Obstacle

#: Any number that nothing else in the database locks.
_LOCK = 0x70726F66
_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")

_HISTORY = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number     integer     PRIMARY KEY,
    name       text        NOT NULL,
    sha256     text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One file, as this release has it."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


async def migrate(connection: Connection) -> list[str]:
    """Apply what is missing and return its names, oldest first; none when all was there.

    Raises :class:`Obstacle`, having changed nothing, when the database was made by a newer
    release or an applied file has been edited since. It needs a connection of its own: the
    lock belongs to the session.
    """
    known = list(migrations())
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        await connection.execute(_HISTORY)
        applied = await _applied(connection)
        _compare(known, applied)
        missing = [migration for migration in known if migration.number not in applied]
        for migration in missing:
            await _apply(connection, migration)
        return [migration.name for migration in missing]
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


def migrations() -> Iterator[Migration]:
    """Every migration of this release, in order."""
    folder = resources.files("catalog.store") / "migrations"
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    for number, file in enumerate((file for file in files if file.name.endswith(".sql")), 1):
        named = _FILE_NAME.fullmatch(file.name)
        if named is None or int(named[1]) != number:
            raise ValueError(f"migration {number:04d} is missing or misnamed: found {file.name}")
        name = file.name.removesuffix(".sql")
        yield Migration(number=number, name=name, sql=file.read_text(encoding="utf-8"))


async def _applied(connection: Connection) -> dict[int, str]:
    rows = await connection.fetch("SELECT number, sha256 FROM schema_migrations")
    return {row["number"]: row["sha256"] for row in rows}


def _compare(known: list[Migration], applied: dict[int, str]) -> None:
    newest = max(applied, default=0)
    if newest > len(known):
        raise Obstacle(
            f"the database is at migration {newest} and this release knows {len(known)}: it was "
            "made by a newer release, so run that one or restore an older backup"
        )
    for migration in known:
        if applied.get(migration.number, migration.sha256) != migration.sha256:
            raise Obstacle(
                f"migration {migration.name} was edited after this database applied it: "
                "put the file back and write what has to change as a new one"
            )


async def _apply(connection: Connection, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO schema_migrations (number, name, sha256) VALUES ($1, $2, $3)",
            migration.number,
            migration.name,
            migration.sha256,
        )
