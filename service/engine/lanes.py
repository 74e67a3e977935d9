"""Runs work beside the thread that hands it out, without changing the order of results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

#: Calls that may wait in a lane: enough to even out, few enough to hold little memory.
BACKLOG = 1


def in_order(
    pool: ThreadPoolExecutor, convert: Callable[[T], R], items: Iterable[T], ahead: int
) -> Iterator[R]:
    """Yield what the pool makes of each item, in order, working on at most ``ahead`` at a time."""
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(convert, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


class Lane:
    """One thread that runs calls in the order they are made; what one raises ends the lane."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._waiting: deque[Future[object]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        type_: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def run(self, call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Run a call after all earlier ones; waits while too many do."""
        self._waiting.append(self._pool.submit(call, *args, **kwargs))
        self.settle(BACKLOG)

    def settle(self, backlog: int = 0) -> None:
        """Wait until at most so many calls remain; raises what a call raised."""
        while len(self._waiting) > backlog:
            self._waiting.popleft().result()
