"""Runs one contender in a fresh process and watches all the memory it takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from contender import Taken
from scenarios import Request
from workload import Workload

HERE = Path(__file__).parent
#: Seconds between two looks at the memory. The contenders' own high-water marks miss nothing;
#: this is for the whole tree of processes.
LOOK_EVERY = 0.05


class Failed(Exception):
    """The contender did not come to an end; the message says why, for the table."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run: what the contender says, and what was seen from outside."""

    taken: Taken
    #: Most memory that all its processes together held at one moment, shared pages counted twice.
    tree_bytes: int


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a contender is given up."""

    seconds: float
    memory_bytes: int


def run(
    script: str,
    workload: Workload,
    request: Request,
    output: Path,
    limits: Limits,
    *,
    form: str | None = None,
    reference: Path | None = None,
) -> Measured:
    """Run a contender's script on an order; raises :class:`Failed`."""
    output.mkdir(parents=True)
    order = {
        "workload": str(workload.folder),
        "request": asdict(request),
        "output": str(output),
        "reference": str(reference) if reference else None,
        "form": form,
    }
    with (output.parent / f"{output.name}.log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, str(HERE / script), json.dumps(order)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | {"PYTHONPATH": str(HERE.parent)},
            process_group=0,  # in the session, and so the scheduling group, of whoever measures
        )
        watch = _Watch(process.pid, limits.memory_bytes)
        try:
            printed, _ = process.communicate(timeout=limits.seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"not done after {limits.seconds:.0f} s") from None
        finally:
            watch.stop()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()
        if watch.exceeded:
            raise Failed(f"took more than {limits.memory_bytes / 2**30:.0f} GiB")
        if process.returncode:
            log.seek(0)
            reason = (log.read().strip().splitlines() or ["no reason given"])[-1]
            raise Failed(f"ended with {process.returncode}: {reason[:200]}")
    taken = Taken(**json.loads(printed.strip().splitlines()[-1]))
    return Measured(taken=taken, tree_bytes=watch.peak_bytes)


class _Watch:
    """Looks at the memory of a process and its descendants until told to stop."""

    def __init__(self, process: int, limit_bytes: int) -> None:
        self.peak_bytes = 0
        self.exceeded = False
        self._process = process
        self._limit_bytes = limit_bytes
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stopped.wait(LOOK_EVERY):
            self.peak_bytes = max(self.peak_bytes, _tree_bytes(self._process))
            if self.peak_bytes > self._limit_bytes:
                self.exceeded = True
                with suppress(ProcessLookupError):
                    os.killpg(self._process, 9)
                return


def _tree_bytes(root: int) -> int:
    parents: dict[int, int] = {}
    resident: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            parents[int(stat.parent.name)] = int(fields[1])
            resident[int(stat.parent.name)] = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    tree = {root}
    while more := {child for child, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return sum(resident.get(process, 0) for process in tree)
