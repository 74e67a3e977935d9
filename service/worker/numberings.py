"""Numberings between the store and the engine: what an export goes on from, and keeping one."""

from __future__ import annotations

from catalog.jobs import Job
from catalog.numberings import NewNumbering
from catalog.store.database import Connection
from catalog.store.numberings import NumberingStore
from service.engine import orders
from service.engine.orders import SavedNumbering


class Overtaken(Exception):
    """Another job has given numbers since this one began: it must plan again, on top of them."""


async def numbering_for(job: Job, commit: int, db: Connection) -> SavedNumbering | None:
    """What an order is told of the numbers that profiles have so far."""
    if not job.order["selection"].get("table"):
        return None
    newest = await NumberingStore(db).newest(job.scope, commit)
    if newest is None:
        return None
    return SavedNumbering(
        key=newest.key,
        merged_key=newest.merged_key,
        next_number=newest.next_number,
        is_current=newest.is_current,
    )


async def keep_numbering(job: Job, commit: int, made: orders.NewNumbering, db: Connection) -> None:
    """Let the numbers count that the engine gave; raises :class:`Overtaken` when they cannot."""
    new = NewNumbering(
        commit=commit,
        key=made.key,
        size_bytes=made.size_bytes,
        row_count=made.row_count,
        merged_key=made.merged_key,
        merged_count=made.merged_count,
        next_number=made.next_number,
    )
    if not await NumberingStore(db).save(job.scope, new, base_key=made.base_key):
        raise Overtaken
