"""Sends files as they come, and no status before there is something to send."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web


async def stream(
    request: web.Request, response: web.StreamResponse, chunks: AsyncIterator[bytes]
) -> web.StreamResponse:
    """Send what comes. The status is only sent once there is something to send after it.

    When the bytes stop early after that, the error breaks the connection off: the reader has
    been told the length and sees that it is not the whole.
    """
    first = await anext(chunks, b"")
    await response.prepare(request)
    if first:
        await response.write(first)
    async for piece in chunks:
        await response.write(piece)
    await response.write_eof()
    return response
