"""Ends a child that takes more memory or time than its order allows.

Memory is watched from outside, by what the child holds of its own. A limit inside cannot say
"the batch is too much": Arrow's allocator reserves address space by the gigabyte, so RLIMIT_AS
would stop honest work, and below RLIMIT_DATA libraries end the process wherever they cannot
allocate. The child still gets such a limit, of more than twice as much: it only matters when
memory is asked for faster than anybody looks.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from service.engine.orders import Answer, Failed, Limits, Progress

#: A child fills a few hundred megabytes in this time; looking costs some twenty microseconds.
LOOK_EVERY_SECONDS: Final = 0.05
#: A child's data segment may have this many times its memory, and what an idle one reserves for
#: stacks and arenas besides.
SLACK: Final = 2
RESERVED_BYTES: Final = 2 << 30

TOO_MUCH_MEMORY: Final = "too_much_memory"
TOO_SLOW: Final = "too_slow"

_MIB = 1 << 20
_PAGE_BYTES = resource.getpagesize()


def own_memory(pid: int) -> int:
    """Bytes a process holds that are no pages of files. 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_bytes().split()
    except OSError:
        return 0
    _, resident, shared, *_ = (int(field) for field in fields)
    return (resident - shared) * _PAGE_BYTES


def limit_growth(most_bytes: int) -> None:
    """Keep this process from taking more than so much on top of what it has; where the system can.

    What imports have reserved for stacks and arenas differs by machine and is used by nobody.
    """
    if sys.platform == "linux":
        *_, data_pages, _ = Path("/proc/self/statm").read_bytes().split()
        most = int(data_pages) * _PAGE_BYTES + most_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def limit_own_memory(limits: Limits) -> None:
    """Keep this process from taking far more than its order allows; where the system can."""
    if limits.memory_bytes and sys.platform == "linux":
        most = SLACK * limits.memory_bytes + RESERVED_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


class Watch:
    """Watches one child from its order to its last answer."""

    def __init__(self, pid: int, limits: Limits, end: Callable[[], None]) -> None:
        self._pid = pid
        self._limits = limits
        self._end = end
        self._started_at = self._moved_at = time.monotonic()
        self._last: Progress | None = None
        #: Why the child was ended, once it was.
        self.breach: Failed | None = None

    def heard(self, answer: Answer) -> None:
        """Note an answer: progress counts when it tells of something new."""
        if answer != self._last:
            self._moved_at = time.monotonic()
        self._last = answer if isinstance(answer, Progress) else None

    async def keep(self) -> None:
        """Look now and then, until there is a breach."""
        while self.breach is None:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            self.breach = self._look()
        self._end()

    def _look(self) -> Failed | None:
        limits, now = self._limits, time.monotonic()
        if limits.memory_bytes and own_memory(self._pid) > limits.memory_bytes:
            return too_much_memory(limits)
        if limits.seconds and now - self._started_at > limits.seconds:
            return _failed(TOO_SLOW, f"reading the files takes more than {limits.seconds:,.0f} s")
        if limits.still_seconds and now - self._moved_at > limits.still_seconds:
            where = f" after {self._last.done:,} bytes" if self._last else ""
            return _failed(
                TOO_SLOW,
                f"reading the files came no further for {limits.still_seconds:,.0f} s{where}",
            )
        return None


def too_much_memory(limits: Limits) -> Failed:
    """Say that an order needs more memory than it may have."""
    most = limits.memory_bytes // _MIB
    return _failed(TOO_MUCH_MEMORY, f"reading the files takes more than {most:,} MiB of memory")


def _failed(code: str, message: str) -> Failed:
    """Another attempt would read the same bytes, and end the same way."""
    return Failed(code=code, message=message, is_final=True)
