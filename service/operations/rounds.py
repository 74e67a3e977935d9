"""Does together what is asked for at the same time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from catalog.errors import OutcomeUnknown, Unavailable

Key = TypeVar("Key", bound=Hashable)
Wish = TypeVar("Wish")

#: Wishes of one round. A guess: by then a round costs hardly more than its rows do, and whoever
#: comes last still waits for little.
MOST = 32
#: Rounds of one key that are under way at a time: one at work while another waits for the disk.
AT_ONCE = 2


@dataclass(frozen=True, slots=True, eq=False)
class _Guest(Generic[Wish]):
    """Somebody who waits for a wish to be fulfilled."""

    wish: Wish
    answer: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class _Line(Generic[Wish]):
    """Who waits for a round of one key, and the rounds that are under way."""

    waiting: deque[_Guest[Wish]] = field(default_factory=deque)
    going: set[asyncio.Task[None]] = field(default_factory=set)


class Rounds(Generic[Key, Wish]):
    """Fulfils wishes in rounds: those that come while rounds are under way make up the next one.

    A wish that comes alone waits for nobody. Rounds of different keys know nothing of one another.
    A round that fails must leave nothing: each of its wishes is then tried alone, so that nobody is
    told of another's failure.
    """

    def __init__(self, fulfil: Callable[[Key, Sequence[Wish]], Awaitable[Sequence[Any]]]) -> None:
        """``fulfil`` returns, for every wish in its place, the answer or a refusal of it alone."""
        self._fulfil = fulfil
        self._lines: dict[Key, _Line[Wish]] = {}

    async def join(self, key: Key, wish: Wish) -> Any:
        """Return the answer to a wish, or raise what became of it.

        Whoever is cancelled before the round began takes the wish back; after that it may be
        fulfilled all the same, as if the answer had been lost on its way.
        """
        guest = _Guest(wish, asyncio.get_running_loop().create_future())
        line = self._lines.setdefault(key, _Line())
        line.waiting.append(guest)
        if len(line.going) < AT_ONCE:
            # In a context of its own: it is no part of the call that happens to begin it.
            line.going.add(asyncio.create_task(self._go(key, line), context=Context()))
        return await guest.answer

    async def _go(self, key: Key, line: _Line[Wish]) -> None:
        """Go round until nobody waits."""
        task = asyncio.current_task()
        assert task is not None
        try:
            while guests := _next(line):
                await self._go_round(key, guests)
        finally:
            line.going.discard(task)
            if not line.going:
                del self._lines[key]
                for left in line.waiting:
                    left.answer.cancel()

    async def _go_round(self, key: Key, guests: list[_Guest[Wish]]) -> None:
        try:
            answers = await self._fulfil(key, [guest.wish for guest in guests])
        except (Unavailable, OutcomeUnknown) as loss:
            # Of the database, for all alike: trying again is for those who know what they do.
            answers = [loss] * len(guests)
        except Exception as error:  # noqa: BLE001 -- it is the guest's, who raises it
            if len(guests) > 1:
                for guest in guests:
                    await self._go_round(key, [guest])
                return
            _tell(guests[0], error)
            return
        except BaseException:
            for guest in guests:
                guest.answer.cancel()
            raise
        for guest, answer in zip(guests, answers, strict=True):
            _tell(guest, answer)


def _next(line: _Line[Wish]) -> list[_Guest[Wish]]:
    """Take from a line who goes next, but for those who gave up."""
    guests: list[_Guest[Wish]] = []
    while line.waiting and len(guests) < MOST:
        guest = line.waiting.popleft()
        if not guest.answer.done():
            guests.append(guest)
    return guests


def _tell(guest: _Guest[Any], answer: object) -> None:
    if guest.answer.done():
        return  # its caller was cancelled
    if isinstance(answer, Exception):
        guest.answer.set_exception(answer)
    else:
        guest.answer.set_result(answer)
