"""The engine's own process: reads one order, answers until it is done, and ends.

It has no database and no network. It ends as soon as its parent is gone or silent, so that a
worker which lost its lease never leaves an engine behind that keeps writing.
"""

from __future__ import annotations

import service.engine.lean_start  # noqa: F401

# isort: split
import errno
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from catalog.errors import Refusal
from service.engine import channel
from service.engine.compaction import compact
from service.engine.exporting import export
from service.engine.leash import die_with_parent
from service.engine.memory import keep_freed_memory
from service.engine.orders import (
    Answer,
    AnyOrder,
    CompactionOrder,
    ExportOrder,
    Failed,
    Limits,
    PeekOrder,
    Progress,
    PromotionOrder,
    SegmentationOrder,
)
from service.engine.peeking import peek
from service.engine.promotion import promote
from service.engine.segmenting import segment
from service.engine.watching import limit_own_memory, too_much_memory
from service.storage.files import Files

#: Seconds between two progress reports: a person sees no difference below a quarter.
REPORT_EVERY = 0.25

#: The silence after which a child ends is noticed to a tenth.
TICKS_OF_SILENCE = 10


class Answers:
    """The way back to the parent; usable from every thread."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._reported_at = 0.0

    def send(self, answer: Answer) -> None:
        with self._lock:
            self._pipe.write(channel.frame(answer))
            self._pipe.flush()

    def report(self, progress: Progress) -> None:
        """Send progress, unless the last report is too fresh to matter."""
        now = time.monotonic()
        if now - self._reported_at >= REPORT_EVERY or progress.done == progress.total:
            self._reported_at = now
            self.send(progress)


def main(root: str, silence: str) -> None:
    """Do one order from standard input, with the files under ``root``.

    ``silence`` is how many seconds the parent may say nothing before this process ends.
    """
    die_with_parent()
    parent, answers = sys.stdin.buffer, Answers(sys.stdout.buffer)
    sys.stdout = sys.stderr  # whatever a library prints must not reach the frames
    body = channel.receive(parent)
    while body == b"":
        body = channel.receive(parent)
    if body is None:
        return
    threading.Thread(target=_end_when_silent, args=(parent, float(silence)), daemon=True).start()
    order = channel.order_in(body)
    try:
        _do(order, Files(Path(root)), answers)
    except MemoryError:
        limits = order.limits if isinstance(order, PromotionOrder | PeekOrder) else Limits()
        answers.send(too_much_memory(limits))
    except Refusal as refusal:
        answers.send(Failed(code=refusal.code, message=str(refusal), is_final=True))
    except Exception as error:  # noqa: BLE001  # the last resort: the trace is ours, the parent needs a word
        traceback.print_exc()
        answers.send(broken_off(error))


def _do(order: AnyOrder, files: Files, answers: Answers) -> None:
    keep_freed_memory()
    pa.set_cpu_count(order.threads)
    pa.set_io_thread_count(max(2, order.threads))
    match order:
        case ExportOrder():
            export(order, files, answers.send, answers.report)
        case SegmentationOrder():
            segment(order, files, answers.send, answers.report)
        case CompactionOrder():
            answers.send(compact(order, files, answers.report))
        case PromotionOrder():
            limit_own_memory(order.limits)
            answers.send(promote(order, files, answers.report))
        case PeekOrder():
            limit_own_memory(order.limits)
            answers.send(peek(order, files))


def broken_off(error: Exception) -> Failed:
    """What is said of an error that nobody foresaw, or that another attempt may not meet."""
    number = error.errno if isinstance(error, OSError) else None
    if number in {errno.ENOSPC, errno.EDQUOT}:
        code, message = "storage_full", "there is no room left for the files"
    elif number is not None:
        code, message = "storage_failed", f"files cannot be reached: {os.strerror(number)}"
    else:
        code, message = "engine_failed", "the engine failed; its log has the details"
    return Failed(code=code, message=message, is_final=False)


def _end_when_silent(parent: BinaryIO, silence: float) -> None:
    """End the process when the parent is gone, or has said nothing for too long."""
    silent_ticks = 0

    def watch() -> None:
        # Ticks, not time: a library may hold the interpreter longer than the silence allowed,
        # and then this thread wakes before the one that would have heard the parent.
        nonlocal silent_ticks
        while silent_ticks < TICKS_OF_SILENCE:
            time.sleep(silence / TICKS_OF_SILENCE)
            silent_ticks += 1
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    while channel.receive(parent) is not None:
        silent_ticks = 0
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
    # Not by way of the interpreter's end: the thread that listens holds the lock of standard input,
    # and taking that away from it would abort the process.
    sys.stderr.flush()
    os._exit(0)
