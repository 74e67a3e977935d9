"""What has had its time, across all sandboxes: for the sweeper, never for callers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from catalog.batches import BatchId
from catalog.organisations import OrganisationId, SandboxId, Scope
from catalog.store import queries
from catalog.store.database import Connection, Record

SQL = queries.beside(__file__)

#: Any number that nothing else in the database locks.
_SWEEPERS_LOCK = 5_170_433


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One round, as it is kept."""

    actor: str
    #: How many of each kind were removed.
    counts: Mapping[str, int]
    started_at: datetime
    ended_at: datetime


class SweepingStore:
    """Rows that go because of their age. Rows that name files take their files with them: see
    :meth:`discarded`."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def try_lock(self) -> bool:
        """Become the one sweeper until the transaction ends; False when there is one."""
        row = await SQL["try_lock"].row(self._db, lock=_SWEEPERS_LOCK)
        assert row is not None
        return bool(row["is_ours"])

    async def discarded(self, *, most: int) -> list[str]:
        """Files whose row went; remove them, then say so with :meth:`removed`."""
        return [row["key"] for row in await SQL["discarded"].rows(self._db, most=most)]

    async def removed(self, keys: Collection[str]) -> None:
        await SQL["removed"].row(self._db, keys=list(keys))

    async def abandoned_batches(
        self, age: timedelta, *, most: int
    ) -> tuple[tuple[Scope, BatchId], ...]:
        """Batches that nobody has touched for so long and nobody has completed."""
        rows = await SQL["abandoned_batches"].rows(self._db, age=age, most=most)
        return tuple((_scope(row), BatchId(row["id"])) for row in rows)

    async def expired_batches(
        self, age: timedelta | None, *, most: int
    ) -> tuple[tuple[Scope, BatchId], ...]:
        """Active batches older than their data set keeps rows, or than ``age`` if it is silent."""
        rows = await SQL["expired_batches"].rows(self._db, age=age, most=most)
        return tuple((_scope(row), BatchId(row["id"])) for row in rows)

    async def expire_uploads(self, age: timedelta, *, most: int) -> int:
        """Forget uploads of batches that ended so long ago; return how many."""
        uploads = await SQL["expire_uploads"].rows(self._db, age=age, most=most)
        chunks = await SQL["expire_chunks"].rows(self._db, age=age, most=most)
        return len(uploads) + len(chunks)

    async def erase_deleted(self) -> int:
        """Forget every file of deleted batches; return how many."""
        row = await SQL["erase_deleted"].row(self._db)
        assert row is not None
        return int(row["count"])

    async def erase_hidden(self, age: timedelta, *, most: int) -> int:
        """Forget files of batches that were taken back so long ago, or that expired."""
        return len(await SQL["erase_hidden"].rows(self._db, age=age, most=most))

    async def expire_meta_files(self, age: timedelta, *, most: int) -> int:
        """Forget what was told about batches that ended so long ago."""
        return len(await SQL["expire_meta_files"].rows(self._db, age=age, most=most))

    async def expire_answers(self, *, most: int) -> int:
        """Forget answers that are no longer given again."""
        return len(await SQL["expire_answers"].rows(self._db, most=most))

    async def sandboxes_with_superseded(self) -> tuple[SandboxId, ...]:
        rows = await SQL["sandboxes_with_superseded"].rows(self._db)
        return tuple(SandboxId(row["sandbox_id"]) for row in rows)

    async def forget_superseded(self, sandbox_id: SandboxId, *, most: int) -> int:
        """Forget store files and memberships that neither the last snapshot holds nor a pinned one.

        Waits for submissions of the sandbox that are under way, and they for it.
        """
        await SQL["lock_sandbox"].row(self._db, sandbox_id=sandbox_id)
        rows = await SQL["forget_superseded"].rows(self._db, sandbox_id=sandbox_id, most=most)
        sets = await SQL["forget_memberships"].rows(self._db, sandbox_id=sandbox_id, most=most)
        return len(rows) + len(sets)

    async def note_sweep(
        self, actor: str, counts: Mapping[str, int], *, started_at: datetime
    ) -> None:
        await SQL["note_sweep"].row(
            self._db, actor=actor, counts=dict(counts), started_at=started_at
        )

    async def last_sweep(self) -> Sweep | None:
        row = await SQL["last_sweep"].row(self._db)
        return Sweep(**row) if row else None

    async def unswept_for(self) -> timedelta:
        """How long no round has ended; while the server was down none could."""
        row = await SQL["unswept_for"].row(self._db)
        assert row is not None
        age: timedelta = row["age"]
        return age


def _scope(row: Record) -> Scope:
    return Scope(
        organisation_id=OrganisationId(row["organisation_id"]),
        sandbox_id=SandboxId(row["sandbox_id"]),
        sandbox_name=row["sandbox_name"],
    )
