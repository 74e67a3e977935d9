"""Runs orders on this machine, each in a child process that ends with it.

A child of its own means that heartbeats never wait for a kernel, memory is given back, and a
cancelled job's engine is killed at once. One spare child stands ready with its imports done.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from service.engine import channel
from service.engine.orders import (
    Answer,
    AnyOrder,
    Compacted,
    Done,
    Failed,
    Limits,
    Peeked,
    PeekOrder,
    Promoted,
    PromotionOrder,
)
from service.engine.watching import Watch

#: Signals a process brings upon itself: what it was doing is the cause, and will be again. Others
#: come from outside, such as SIGKILL from who is short of memory.
_OWN_FAULT = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE, signal.SIGSYS}
)


class EngineDied(Exception):
    """The child ended without saying how its order went."""

    def __init__(self, exit_code: int) -> None:
        ended = f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with {exit_code}"
        super().__init__(f"the engine {ended}")
        #: The signal that its own doing brought upon it, if one did.
        self.crash = next((each.name for each in _OWN_FAULT if each == -exit_code), None)


class LocalRunner:
    """Hands orders to child processes, one order to a child."""

    def __init__(self, root: Path, *, silence_seconds: float, has_spare: bool = True) -> None:
        """Use the files under ``root``; a child ends when it hears nothing for so long.

        Without a spare child each order waits for the better part of a second.
        """
        self._root = root
        self._has_spare = has_spare
        self._silence_seconds = silence_seconds
        self._spare: asyncio.Task[Process] | None = None

    def stand_ready(self) -> None:
        """Start the spare child, unless there is one."""
        if self._spare is None and self._has_spare:
            self._spare = asyncio.create_task(self._start())

    async def close(self) -> None:
        """End the spare child. Orders under way end with their own blocks."""
        if self._spare is not None:
            child = await self._spare
            self._spare = None
            await _kill(child)

    @asynccontextmanager
    async def run(self, order: AnyOrder) -> AsyncIterator[AsyncIterator[Answer]]:
        """Give an order and lend its answers; the child is dead when the block ends.

        The answers end with :class:`Promoted`, :class:`Peeked`, :class:`Compacted`, :class:`Done`
        or :class:`Failed`, which also tells of a child that took more than its order allows; or
        they raise :class:`EngineDied`.
        """
        child = await self._take()
        limits = order.limits if isinstance(order, PromotionOrder | PeekOrder) else Limits()
        watch = Watch(child.pid, limits, partial(_end, child))
        helpers = [
            asyncio.create_task(self._say_alive(child)),
            asyncio.create_task(watch.keep()),
        ]
        try:
            assert child.stdin is not None
            with suppress(ConnectionError):  # a child that died says so by ending its answers
                child.stdin.write(channel.frame(order))
                await child.stdin.drain()
            yield _answers(child, watch)
        finally:
            for helper in helpers:
                helper.cancel()
            await _kill(child)

    async def _take(self) -> Process:
        spare, self._spare = self._spare, None
        child = await spare if spare is not None else await self._start()
        if child.returncode is not None:
            child = await self._start()
        self.stand_ready()
        return child

    async def _start(self) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "service.engine.child",
            str(self._root),
            str(self._silence_seconds),
            stdin=PIPE,
            stdout=PIPE,
        )

    async def _say_alive(self, child: Process) -> None:
        assert child.stdin is not None
        with suppress(ConnectionError):
            while True:
                await asyncio.sleep(self._silence_seconds / 4)
                child.stdin.write(channel.ALIVE)
                await child.stdin.drain()


async def _answers(child: Process, watch: Watch) -> AsyncIterator[Answer]:
    assert child.stdout is not None
    while True:
        try:
            head = await child.stdout.readexactly(channel.HEAD_BYTES)
            body = await child.stdout.readexactly(channel.body_size(head))
        except asyncio.IncompleteReadError:
            if watch.breach is None:
                raise EngineDied(await child.wait()) from None
            yield watch.breach
            return
        answer = channel.answer_in(body)
        watch.heard(answer)
        yield answer
        if isinstance(answer, Promoted | Peeked | Compacted | Done | Failed):
            return


def _end(child: Process) -> None:
    if child.returncode is None:
        with suppress(ProcessLookupError):
            child.kill()


async def _kill(child: Process) -> None:
    _end(child)
    await child.wait()
    transport = child._transport  # type: ignore[attr-defined]  # noqa: SLF001
    transport.close()  # else the pipes stay open until the collector finds them
