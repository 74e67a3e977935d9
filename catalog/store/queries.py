"""Named SQL, kept in a ``.sql`` file beside the module that runs it.

A file is a list of blocks. Each opens with its name and a sentence on what it does::

    -- name: release_expired
    -- Returns jobs whose worker went silent to the queue.
    UPDATE jobs SET state = 'queued' WHERE lease_expires_at < now()

Parameters are written ``:like_this`` and bound by keyword, so neither file counts ``$3``.
A test prepares every block against a freshly migrated database: a misspelt column fails
there, not in production.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catalog.store.database import Connection, Record

_HEADING = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*$\n?", re.MULTILINE)
_PARAMETER = re.compile(r"(?<!:):([a-z]\w*)")


@dataclass(frozen=True, slots=True)
class Query:
    """One statement in PostgreSQL's ``$n`` form, and the names behind the numbers."""

    name: str
    text: str
    parameters: tuple[str, ...]

    async def row(self, db: Connection, /, **values: Any) -> Record | None:
        return await db.fetchrow(self.text, *self.bound(values))

    async def rows(self, db: Connection, /, **values: Any) -> list[Record]:
        return await db.fetch(self.text, *self.bound(values))

    async def run_many(self, db: Connection, values: list[dict[str, Any]], /) -> None:
        """Run the statement once for each set of values, in one round trip."""
        await db.executemany(self.text, [self.bound(each) for each in values])

    def bound(self, values: dict[str, Any]) -> list[Any]:
        """The values in the order of the statement's numbers."""
        if values.keys() != set(self.parameters):
            raise TypeError(f"{self.name} takes {self.parameters}, got {tuple(values)}")
        return [values[name] for name in self.parameters]


def beside(module_file: str) -> dict[str, Query]:
    """Read the ``.sql`` file that shares a module's name."""
    source = Path(module_file).with_suffix(".sql").read_text(encoding="utf-8")
    _, *blocks = _HEADING.split(source)
    queries: dict[str, Query] = {}
    for name, text in zip(blocks[::2], blocks[1::2], strict=True):
        if name in queries:
            raise ValueError(f"{name} is there twice")  # the first would silently be lost
        queries[name] = _parse(name, text)
    return queries


def _parse(name: str, text: str) -> Query:
    text = _COMMENT.sub("", text).strip()
    names = tuple(dict.fromkeys(_PARAMETER.findall(text)))
    numbered = _PARAMETER.sub(lambda match: f"${names.index(match[1]) + 1}", text)
    return Query(name, numbered, names)
