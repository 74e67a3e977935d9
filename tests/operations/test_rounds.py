"""Rounds: what is asked for at the same time is done together, and answered one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextvars import ContextVar

import pytest

from catalog.errors import Conflict, OutcomeUnknown, Refusal, Unavailable
from service.operations import rounds
from service.operations.rounds import Rounds
from tests.patience import PATIENCE_SECONDS

CALL: ContextVar[str] = ContextVar("call", default="none")


@pytest.fixture(autouse=True)
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "AT_ONCE", 1)


class Kitchen:
    """Fulfils wishes when it is let, and remembers in which rounds."""

    def __init__(self, *, is_open: bool = False) -> None:
        self.rounds: list[tuple[str, list[str]]] = []
        self.calls: list[str] = []
        self.begun = asyncio.Event()
        self.open = asyncio.Event()
        if is_open:
            self.open.set()

    async def fulfil(self, key: str, wishes: Sequence[str]) -> list[str | Refusal]:
        self.rounds.append((key, list(wishes)))
        self.calls.append(CALL.get())
        self.begun.set()
        await self.open.wait()
        if "poison" in wishes:
            raise ZeroDivisionError
        if "lost" in wishes:
            raise Unavailable("the database went away")
        if "unknown" in wishes:
            raise OutcomeUnknown("the database went away at the end")
        return [Conflict(wish) if wish == "refused" else wish.upper() for wish in wishes]


async def joined(kitchen: Kitchen, *wishes: str, first: str = "first") -> list[str | BaseException]:
    """Let some join while the first wish is under way; return what all were told."""
    some: Rounds[str, str] = Rounds(kitchen.fulfil)
    async with asyncio.timeout(PATIENCE_SECONDS):
        told = [asyncio.create_task(some.join("here", first))]
        await kitchen.begun.wait()
        told += [asyncio.create_task(some.join("here", wish)) for wish in wishes]
        await asyncio.sleep(0)
        kitchen.open.set()
        return await asyncio.gather(*told, return_exceptions=True)


async def test_a_wish_that_comes_alone_waits_for_nobody():
    kitchen = Kitchen(is_open=True)
    assert await joined(kitchen) == ["FIRST"]
    assert kitchen.rounds == [("here", ["first"])]


async def test_wishes_that_come_during_a_round_make_up_the_next_one():
    kitchen = Kitchen()
    assert await joined(kitchen, "a", "b", "c") == ["FIRST", "A", "B", "C"]
    assert kitchen.rounds == [("here", ["first"]), ("here", ["a", "b", "c"])]


async def test_no_round_has_more_wishes_than_it_may(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rounds, "MOST", 2)
    kitchen = Kitchen()
    assert await joined(kitchen, "a", "b", "c") == ["FIRST", "A", "B", "C"]
    assert [wishes for _, wishes in kitchen.rounds] == [["first"], ["a", "b"], ["c"]]


async def test_another_round_begins_while_one_is_under_way_and_no_third(
    monkeypatch: pytest.MonkeyPatch,
):
    """While one waits for the disk another can be at work."""
    monkeypatch.setattr(rounds, "AT_ONCE", 2)
    kitchen = Kitchen()
    some: Rounds[str, str] = Rounds(kitchen.fulfil)
    told = []
    for wish in "abcd":
        told.append(asyncio.create_task(some.join("here", wish)))
        kitchen.begun.clear()
        if wish in "ab":
            await kitchen.begun.wait()
    await asyncio.sleep(0)
    assert [wishes for _, wishes in kitchen.rounds] == [["a"], ["b"]]
    kitchen.open.set()
    assert await asyncio.gather(*told) == list("ABCD")
    assert [wishes for _, wishes in kitchen.rounds] == [["a"], ["b"], ["c", "d"]]


async def test_a_refusal_is_told_to_the_one_whose_it_is():
    kitchen = Kitchen()
    first, a, refused, b = await joined(kitchen, "a", "refused", "b")
    assert (first, a, b) == ("FIRST", "A", "B")
    assert isinstance(refused, Conflict)
    assert len(kitchen.rounds) == 2


async def test_a_round_that_fails_is_gone_again_with_each_alone():
    kitchen = Kitchen()
    first, a, failed, b = await joined(kitchen, "a", "poison", "b")
    assert (first, a, b) == ("FIRST", "A", "B")
    assert isinstance(failed, ZeroDivisionError)
    assert [wishes for _, wishes in kitchen.rounds[2:]] == [["a"], ["poison"], ["b"]]


@pytest.mark.parametrize(("wish", "loss"), [("lost", Unavailable), ("unknown", OutcomeUnknown)])
async def test_a_lost_database_is_told_to_all_and_nothing_is_tried_again(
    wish: str, loss: type[Refusal]
):
    kitchen = Kitchen()
    first, *others = await joined(kitchen, "a", wish, "b")
    assert first == "FIRST"
    assert [type(told) for told in others] == [loss] * 3
    assert len(kitchen.rounds) == 2


async def test_whoever_gives_up_before_the_round_takes_the_wish_back():
    kitchen = Kitchen()
    some: Rounds[str, str] = Rounds(kitchen.fulfil)
    first = asyncio.create_task(some.join("here", "first"))
    await kitchen.begun.wait()
    others = [asyncio.create_task(some.join("here", wish)) for wish in "ab"]
    await asyncio.sleep(0)
    others[0].cancel()
    await asyncio.sleep(0)
    kitchen.open.set()
    assert (await first, await others[1]) == ("FIRST", "B")
    assert [wishes for _, wishes in kitchen.rounds] == [["first"], ["b"]]


async def test_whoever_gives_up_during_the_round_disturbs_nobody():
    kitchen = Kitchen()
    some: Rounds[str, str] = Rounds(kitchen.fulfil)
    first = asyncio.create_task(some.join("here", "first"))
    await kitchen.begun.wait()
    second = asyncio.create_task(some.join("here", "second"))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    kitchen.open.set()
    assert await second == "SECOND"
    assert [wishes for _, wishes in kitchen.rounds] == [["first"], ["second"]]


async def test_rounds_of_one_key_do_not_wait_for_those_of_another():
    kitchen = Kitchen()
    quick = asyncio.Event()

    async def fulfil(key: str, wishes: Sequence[str]) -> list[str | Refusal]:
        if key == "there":
            quick.set()
            return list(wishes)
        return await kitchen.fulfil(key, wishes)

    some: Rounds[str, str] = Rounds(fulfil)
    slow = asyncio.create_task(some.join("here", "slow"))
    await kitchen.begun.wait()
    assert await some.join("there", "quick") == "quick"
    assert quick.is_set()
    assert not slow.done()
    kitchen.open.set()
    assert await slow == "SLOW"


async def test_a_round_is_no_part_of_the_call_that_begins_it():
    """Else its log lines would bear the id of a call, and its transactions be another's."""
    kitchen = Kitchen(is_open=True)
    CALL.set("amy's")
    await joined(kitchen)
    assert kitchen.calls == ["none"]


async def test_whoever_waits_when_a_round_is_broken_off_is_let_go():
    kitchen = Kitchen()
    some: Rounds[str, str] = Rounds(kitchen.fulfil)
    before = asyncio.all_tasks()
    told = [asyncio.create_task(some.join("here", "first"))]
    await kitchen.begun.wait()
    told.append(asyncio.create_task(some.join("here", "second")))
    await asyncio.sleep(0)
    (going,) = asyncio.all_tasks() - before - set(told)
    going.cancel()
    waited: Awaitable[list[BaseException | str]] = asyncio.gather(*told, return_exceptions=True)
    assert [type(each) for each in await waited] == [asyncio.CancelledError] * 2
