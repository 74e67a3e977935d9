"""Reads what is left of a run, all at once: the database's rows and the files on disk."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncpg
import pyarrow.parquet as pq

from catalog.store import queries
from catalog.store.database import Connection, Record

SQL = queries.beside(__file__)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The database as it stands; asked for once, when nothing changes any more."""

    jobs: dict[int, Record]
    job_events: dict[int, list[Record]]
    batches: dict[str, Record]
    batch_events: dict[str, list[Record]]
    #: Files that readers may find, by batch.
    files: dict[str, list[Record]]
    #: By job.
    parts: dict[int, list[Record]]
    store_files: list[Record]
    #: Which batch is read from which commit on and up to which.
    contributions: list[Record]
    meta_files: list[Record]
    uploads: list[Record]

    def batches_of(self, job_id: int) -> list[Record]:
        return [batch for batch in self.batches.values() if batch["job_id"] == job_id]

    def in_snapshot(self, commit: int) -> set[str]:
        """The batches an export at this commit reads."""
        return {batch_id for batch_id, _ in self.counted(commit)}

    def counted(self, commit: int) -> Counter[tuple[str, str]]:
        """How often an export at this commit reads each kind of rows of each batch."""
        return Counter(
            (row["batch_id"], row["kind"])
            for row in self.contributions
            if row["added"] <= commit and (row["removed"] is None or commit < row["removed"])
        )


async def gather(db: Connection) -> Evidence:
    async with db.transaction(isolation="repeatable_read", readonly=True):
        return Evidence(
            jobs=_by(await SQL["jobs"].rows(db), "id"),
            job_events=_grouped(await SQL["job_events"].rows(db), "id"),
            batches=_by(await SQL["batches"].rows(db), "id"),
            batch_events=_grouped(await SQL["batch_events"].rows(db), "id"),
            files=_grouped(await SQL["files"].rows(db), "batch_id"),
            parts=_grouped(await SQL["parts"].rows(db), "job_id"),
            store_files=list(await SQL["store_files"].rows(db)),
            contributions=list(await SQL["contributions"].rows(db)),
            meta_files=list(await SQL["meta_files"].rows(db)),
            uploads=list(await SQL["uploads"].rows(db)),
        )


async def unfinished(db: Connection) -> list[Record]:
    """What has yet to end: jobs, and data sets that wait for a rebuild which failed."""
    return [*await SQL["unfinished"].rows(db), *await SQL["lacking"].rows(db)]


def _by(rows: Iterable[asyncpg.Record], column: str) -> dict[Any, Record]:
    return {row[column]: row for row in rows}


def _grouped(rows: Iterable[asyncpg.Record], column: str) -> dict[Any, list[Record]]:
    found: dict[Any, list[Record]] = defaultdict(list)
    for row in rows:
        found[row[column]].append(row)
    return found


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def row_count(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def exported_nicknames(path: Path) -> dict[str, str]:
    """Who is called what in a file of an export: nicknames by the person's address."""
    rows = pq.read_table(path, columns=["identityMap", "nickname"]).to_pylist()
    return {
        identity["id"]: row["nickname"]
        for row in rows
        for code, identities in row["identityMap"]
        for identity in identities
        if code.lower() == "email"
    }
