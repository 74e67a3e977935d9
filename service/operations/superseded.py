"""Stored bytes that no row names any more, or never will: deleted when that is certain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from catalog.errors import OutcomeUnknown, Refusal
from service.storage.files import Files


@asynccontextmanager
async def naming(files: Files, key: str | None) -> AsyncIterator[list[str]]:
    """Delete what rows cease to name in the block, which is to name the bytes at ``key``.

    The block puts the keys that its rows replaced on the list; they go when it has ended. When it
    is refused the bytes at ``key`` go instead. When it ends in any other way nothing does: a
    commit whose answer is lost may stand, and a row without its file is worse than a file without.
    """
    superseded: list[str] = []
    try:
        yield superseded
    except OutcomeUnknown:
        raise
    except Refusal:
        await delete(files, [key] if key else [])
        raise
    await delete(files, superseded)


async def delete(files: Files, stored: Iterable[str]) -> None:
    """Delete files that no row names."""
    for key in stored:
        await asyncio.to_thread(files.delete, key)
