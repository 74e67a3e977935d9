"""Ctrl-C in a command that has asked for something: it tells what goes on without it, then ends.

The first Ctrl-C cancels the command's task and is what is dealt with here. A second one ends the
command at once; what nobody knows then is said to be unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from service.cli.api import Refused, Service

#: Says one thing to whoever sits before the terminal.
Say = Callable[[str], None]

Answer = TypeVar("Answer")


async def seen_through(
    asking: Coroutine[Any, Any, Answer],
    what: str,
    *,
    say: Say,
    on_interrupt: Callable[[Answer], Awaitable[None]],
) -> Answer:
    """Ask for something that the service makes, and wait for its answer even when interrupted.

    To stop listening would not stop the service: the thing might be there and nobody would know.
    Interrupted, this says what became of ``what``, or has ``on_interrupt`` say it, and goes on
    being cancelled.
    """
    asked = asyncio.ensure_future(asking)
    try:
        return await asyncio.shield(asked)
    except asyncio.CancelledError:
        say(f"interrupted: waiting for the answer about {what}; a second time ends at once")
        try:
            answer = await asked
        except Refused as refused:
            say(f"{what} was refused: {refused.message}")
        except (click.ClickException, asyncio.CancelledError) as problem:
            reason = f": {problem.message}" if isinstance(problem, click.ClickException) else ""
            say(f"nobody knows what became of {what}{reason}")
        else:
            await on_interrupt(answer)
        raise


@contextmanager
def told_if_interrupted(say: Say, words: str) -> Iterator[None]:
    """Say how things stand when what is done meanwhile is interrupted."""
    try:
        yield
    except asyncio.CancelledError:
        say(words)
        raise


async def leave(
    service: Service, job: str, path: str, *, say: Say, is_cancelled: bool, hint: str
) -> None:
    """Cancel a job that its follower was interrupted at, or say that it goes on."""
    if is_cancelled:
        await end(service.delete(path), job, "cancelled", say=say, hint=hint)
    else:
        say(f"{job} goes on. {hint}")


async def end(
    asking: Awaitable[object], what: str, ended: str, *, say: Say, hint: str, then: str = ""
) -> None:
    """Ask for the end of something, and say whether it came; if not, ``hint`` tells how to go on.

    Why it is to end matters more to the caller: a refusal is said, not raised.
    """
    try:
        await asking
    except click.ClickException as problem:
        say(f"{what} could not be {ended}: {problem.message}. {hint}")
    except asyncio.CancelledError:
        say(f"nobody knows whether {what} is {ended}. {hint}")
        raise
    else:
        say(f"{what} is {ended}{then}")
