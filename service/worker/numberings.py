"""Numberings between the store and the engine: what a plan goes on from, and keeping one."""

from __future__ import annotations

from catalog.jobs import Job
from catalog.numberings import NewNumbering
from catalog.store.database import Connection
from catalog.store.numberings import NumberingStore
from service.engine.orders import Planned, SavedNumbering


class Overtaken(Exception):
    """Another job has given numbers since this one began: it must plan again, on top of them."""


async def numbering_for(job: Job, commit: int, db: Connection) -> SavedNumbering | None:
    """What an order is told of the numbers that profiles have so far."""
    newest = await NumberingStore(db).newest(job.scope, commit)
    if newest is None:
        return None
    return SavedNumbering(
        key=newest.key,
        merged_key=newest.merged_key,
        next_number=newest.next_number,
        is_current=newest.is_current,
        is_newer=newest.commit > commit,
    )


async def keep_numbering(job: Job, commit: int, planned: Planned, db: Connection) -> None:
    """Let the numbers count that the engine gave, if it gave any.

    Raises :class:`Overtaken` when they cannot and the plan goes by them. Numbers that nobody will
    see are let go: whoever gave others meanwhile gave them to the same profiles, or the next does.
    """
    made = planned.numbering
    if made is None:
        return
    new = NewNumbering(
        commit=commit,
        key=made.key,
        size_bytes=made.size_bytes,
        row_count=made.row_count,
        merged_key=made.merged_key,
        merged_count=made.merged_count,
        next_number=made.next_number,
    )
    is_saved = await NumberingStore(db).save(job.scope, new, base_key=made.base_key)
    if not is_saved and planned.numbers is not None:
        raise Overtaken
