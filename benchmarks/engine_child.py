"""Runs one order in the service's own engine process, as a worker does, and measures it.

The child is the real one, ``python -m service.engine.child``, spoken to in its own frames; it
stands ready, with its imports done, before the clock starts.
"""

from __future__ import annotations

import array
import fcntl
import os
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path

from service.engine import channel
from service.engine.orders import (
    Answer,
    Compacted,
    CompactionOrder,
    Done,
    ExportOrder,
    Failed,
    Promoted,
    PromotionOrder,
    SegmentationOrder,
)

#: Seconds the child may hear nothing: longer than any order takes.
SILENCE = "7200"
#: Behind these nothing more is answered.
_LAST = Promoted | Done | Failed | Compacted


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What an order led to, and what the child took for it."""

    #: With the seconds since the order was sent.
    answers: tuple[tuple[float, Answer], ...]
    seconds: float
    cpu_seconds: float
    peak_bytes: int


def run(
    order: PromotionOrder | ExportOrder | CompactionOrder | SegmentationOrder, root: Path
) -> Ran:
    """Have a fresh child do an order, with the files under ``root``."""
    child = subprocess.Popen(
        [sys.executable, "-m", "service.engine.child", str(root), SILENCE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(channel.ALIVE)
    child.stdin.flush()
    _wait_until_read(child, child.stdin.fileno())
    cpu_before = _cpu_seconds(child.pid)
    answers: list[tuple[float, Answer]] = []
    started = time.perf_counter()
    child.stdin.write(channel.frame(order))
    child.stdin.flush()
    while not answers or not isinstance(answers[-1][1], _LAST):
        body = channel.receive(child.stdout)
        if body is None:
            raise SystemExit("the engine child died")
        answers.append((time.perf_counter() - started, channel.answer_in(body)))
    child.kill()  # as the service does: the child has nothing more to say
    _, _, usage = os.wait4(child.pid, 0)
    last = answers[-1][1]
    if isinstance(last, Failed) or (isinstance(last, Promoted) and last.is_refused):
        raise SystemExit(f"the engine refused: {last}")
    return Ran(
        answers=tuple(answers),
        seconds=answers[-1][0],
        cpu_seconds=usage.ru_utime + usage.ru_stime - cpu_before,
        peak_bytes=usage.ru_maxrss * 1024,
    )


def _wait_until_read(child: subprocess.Popen[bytes], pipe: int) -> None:
    """Wait until the child has taken what was written: it reads when its imports are done."""
    waiting = array.array("i", [1])
    while waiting[0]:
        time.sleep(0.01)
        if child.poll() is not None:
            raise SystemExit("the engine child did not start")
        fcntl.ioctl(pipe, termios.FIONREAD, waiting)


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
