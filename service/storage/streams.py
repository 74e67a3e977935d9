"""Bytes into and out of stored files piece by piece, never keeping the event loop waiting.

Disks block: every touch of a file happens in a thread. What is in memory at any moment is one
piece for each stream, however large the file.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import ParamSpec, TypeVar

import structlog

from catalog.errors import TooLarge, Unavailable
from service.storage.files import Files, Written

Asked = ParamSpec("Asked")
Found = TypeVar("Found")

log = structlog.get_logger()

#: What is read or written at once. A guess between the cost of a hop to a thread (about 50 µs)
#: and memory when hundreds of clients stream together.
PIECE_BYTES = 512 * 1024


async def store(files: Files, key: str, chunks: AsyncIterable[bytes], *, at_most: int) -> Written:
    """Write what arrives under a new key; it appears when all of it has come, or never.

    Refuses with TooLarge as soon as there is more than ``at_most``. Whatever ends the stream
    early, a refusal, a lost client or a cancelled task, leaves nothing behind. So does a disk that
    is full or broken, which is refused with Unavailable.
    """
    block = files.create(key)
    try:
        writing = await _in_thread(block.__enter__)
        async for piece in _gathered(chunks, at_most=at_most):
            await _in_thread(writing.write, piece)
    except BaseException as error:
        await _in_thread(block.__exit__, type(error), error, error.__traceback__)
        raise
    await _in_thread(block.__exit__, None, None, None)
    return writing.written()


async def stream(files: Files, key: str, start: int, length: int) -> AsyncIterator[bytes]:
    """Yield ``length`` bytes of a stored file from ``start``, piece by piece.

    A file that is missing or shorter than the catalog says is a defect, raised as such: a
    reader must notice rather than take what there is for the whole. Refuses with Unavailable
    when the disk does not give it.
    """
    end = start + length
    while start < end:
        piece = await _in_thread(files.read, key, start, min(PIECE_BYTES, end - start))
        if not piece:
            raise EOFError(f"stored file {key} ends {end - start} bytes early")
        yield piece
        start += len(piece)


async def _gathered(chunks: AsyncIterable[bytes], *, at_most: int) -> AsyncIterator[bytes]:
    """The same bytes in pieces worth a hop to a thread, until there are too many."""
    gathered, come = bytearray(), 0
    async for chunk in chunks:
        gathered += chunk
        come += len(chunk)
        if come > at_most:
            raise TooLarge(f"more than {at_most} bytes were sent in one file")
        if len(gathered) >= PIECE_BYTES:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)


async def _in_thread(
    work: Callable[Asked, Found], *args: Asked.args, **named: Asked.kwargs
) -> Found:
    """Do blocking work in a thread, and be done with it even when cancelled meanwhile.

    A thread cannot be stopped: to go on at once would close a file another thread still
    writes to. What the disk refuses is refused with Unavailable.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work, *args, **named))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError as error:
        log.exception("the disk refuses")
        raise Unavailable(f"stored files cannot be reached now: {error.strerror}") from error
