"""Hands look-ups to children that stay: few of them, each busy with one look-up at a time."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import TypeAdapter

from catalog.errors import Unavailable
from service.engine import channel
from service.engine.lookup_orders import Found, LookupOrder, Reply
from service.engine.orders import Failed

_REPLY: TypeAdapter[Reply] = TypeAdapter(Reply)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupLimits:
    """What look-ups may take together."""

    #: Children, each started when it is first needed.
    children: int
    #: What one child may hold of its own; mapped files do not count.
    memory_bytes: int
    #: From the moment a look-up is asked for, waiting included.
    time: timedelta
    #: After so long without a look-up a child ends, and its memory is given back.
    idle: timedelta


class LookupFailed(Exception):
    """A child gave up on an order: a defect, since what callers may do wrong is checked before."""


class FilesGone(Exception):
    """A file of the order's snapshot was swept meanwhile: ask again with a fresh snapshot."""


class Lookups:
    """Looks up profiles in children of this process."""

    def __init__(self, root: Path, limits: LookupLimits) -> None:
        self._root = root
        self._limits = limits
        self._free = asyncio.Semaphore(limits.children)
        self._idle: list[Process] = []
        self._ending: dict[Process, asyncio.TimerHandle] = {}
        self._starting: list[asyncio.Task[Process]] = []

    async def ask(self, order: LookupOrder) -> Found:
        """Do a look-up; refuses with Unavailable when it takes too long or too much."""
        try:
            async with asyncio.timeout(self._limits.time.total_seconds()), self._child() as child:
                reply = await _asked(child, order)
        except TimeoutError:
            raise Unavailable(
                f"the look-up took more than {self._limits.time.total_seconds():g} s"
            ) from None
        match reply:
            case Found():
                return reply
            case Failed(code="not_found"):
                raise FilesGone(reply.message)
            case Failed(code="too_much_memory") | None:
                raise Unavailable("the look-up takes more memory than it may")
            case Failed():
                raise LookupFailed(reply.message)

    async def close(self) -> None:
        """End all children that are not busy; those that are end with their look-ups."""
        for handle in self._ending.values():
            handle.cancel()
        self._ending.clear()
        while self._starting:
            await _end(await self._starting.pop())
        while self._idle:
            await _end(self._idle.pop())

    @asynccontextmanager
    async def _child(self) -> AsyncIterator[Process]:
        """Lend a child; one that did not come to the end of its answer is ended."""
        async with self._free:
            child = await self._taken()
            is_whole = False
            try:
                yield child
                is_whole = child.returncode is None
            finally:
                if is_whole:
                    self._keep(child)
                else:
                    await _end(child)

    async def _taken(self) -> Process:
        while self._idle:
            child = self._idle.pop()
            self._ending.pop(child).cancel()
            if child.returncode is None:
                return child
            await _end(child)
        starting = self._starting.pop() if self._starting else asyncio.create_task(self._start())
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # On a busy machine a start may outlast a look-up: the next one finds it further on.
            self._starting.append(starting)
            raise

    async def _start(self) -> Process:
        """Start a child and wait until it has done its imports."""
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "service.engine.lookup_child",
            str(self._root),
            str(self._limits.memory_bytes),
            stdin=PIPE,
            stdout=PIPE,
        )
        assert child.stdout is not None
        await child.stdout.read(channel.HEAD_BYTES)  # an empty frame; of a dead child, nothing
        return child

    def _keep(self, child: Process) -> None:
        self._idle.append(child)
        loop = asyncio.get_running_loop()
        self._ending[child] = loop.call_later(
            self._limits.idle.total_seconds(), self._forget, child
        )

    def _forget(self, child: Process) -> None:
        self._idle.remove(child)
        del self._ending[child]
        if child.stdin is not None:
            child.stdin.close()  # a child whose parent has no more to say ends


async def _asked(child: Process, order: LookupOrder) -> Reply | None:
    """Send an order and wait for the reply; None when the child died of it."""
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(channel.frame(order))
        await child.stdin.drain()
        head = await child.stdout.readexactly(channel.HEAD_BYTES)
        body = await child.stdout.readexactly(channel.body_size(head))
    except (asyncio.IncompleteReadError, ConnectionError):
        await child.wait()
        return None
    return _REPLY.validate_json(body)


async def _end(child: Process) -> None:
    if child.returncode is None:
        with suppress(ProcessLookupError):
            child.kill()
    await child.wait()
    transport = child._transport  # type: ignore[attr-defined]  # noqa: SLF001
    transport.close()  # else the pipes stay open until the collector finds them
