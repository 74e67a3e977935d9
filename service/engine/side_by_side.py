"""Runs the tasks of an order side by side, each in a copy of this process.

Threads would take turns: a task is many small steps, and between any two of them it needs the
interpreter's one lock. Copies share what was read before they were made, and answer in a pipe.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, NoReturn, TypeAlias, TypeVar

from service.engine.leash import die_with_parent

T = TypeVar("T")

_Pipe: TypeAlias = "Connection[Any, Any]"
#: Is told, after every slice, the profiles in it and the bytes written since the slice before.
Note = Callable[[int, int], None]
#: Does the task with a number.
Run = Callable[[int, Note], T]


class Died(RuntimeError):
    """A copy ended before its task did."""


def side_by_side(run: Run[T], numbers: Sequence[int], most: int, note: Note) -> Iterator[T]:
    """Run tasks by their numbers, so many at a time; yield what each gives as soon as it ends.

    What a task notes is noted here, in the calling thread, which must be the process's main one.
    What it raises is raised here, and ends the others.
    """
    count = min(most, len(numbers))
    if count <= 1 or sys.platform != "linux":
        for number in numbers:
            yield run(number, note)
        return
    waiting = deque(numbers)
    copies: dict[_Pipe, int] = {}
    try:
        for _ in range(count):
            pipe, pid = _copy(run)
            copies[pipe] = pid
            pipe.send(waiting.popleft())
        for pipe, said, told in _heard(copies):
            if said == "noted":
                note(*told)
            elif said == "raised":
                raise _error(*told)
            else:
                pipe.send(waiting.popleft() if waiting else None)
                yield told
    finally:
        for pid in copies.values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _copy(run: Run[T]) -> tuple[_Pipe, int]:
    """Copy this process; the copy runs tasks as it is told to."""
    parent, (ours, theirs) = os.getpid(), Pipe()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _serve(run, theirs, parent)
    theirs.close()
    return ours, pid


def _serve(run: Run[T], pipe: _Pipe, parent: int) -> NoReturn:
    """Run one task after another, until there is none or one fails."""
    status = 1
    try:
        die_with_parent()
        while os.getppid() == parent:
            number = pipe.recv()
            if number is None:
                status = 0
                break
            pipe.send(("done", run(number, lambda *told: pipe.send(("noted", told)))))
    except Exception as error:  # noqa: BLE001  # whoever waits for the task decides what to do
        traceback.print_exc()
        pipe.send(("raised", (type(error), error.args, error.__dict__)))
    finally:
        sys.stderr.flush()
        os._exit(status)  # what else is to be done at the end of a process is not the copy's


def _heard(copies: dict[_Pipe, int]) -> Iterator[tuple[_Pipe, str, Any]]:
    """Yield what copies say until all have ended, as each does when no task is left for it.

    Those that ended are taken out.
    """
    while copies:
        for pipe in wait(list(copies)):
            assert isinstance(pipe, Connection)
            try:
                said, told = pipe.recv()
            except (EOFError, ConnectionError):
                _, status = os.waitpid(copies.pop(pipe), 0)
                if status:
                    raise Died(f"the process of a task ended with status {status}") from None
            else:
                yield pipe, said, told


def _error(kind: type[Exception], arguments: tuple[Any, ...], told: dict[str, Any]) -> Exception:
    """Make an error again. Not every class can be called with the arguments that it keeps."""
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    error.__dict__.update(told)
    return error
