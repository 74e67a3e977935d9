"""What every contender's process does: read its order, do the work, say what it took.

Interpreter start and imports are not counted, for nobody: the service keeps a child ready, and
a user of the peers has a session open. Peak memory is the process's own high-water mark.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import workload
from scenarios import Request
from workload import Workload


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What one run took."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    #: Parts of ``seconds`` by name, and whatever else is worth keeping.
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a contender is told, as JSON in its first argument."""

    workload: Workload
    request: Request
    #: An empty folder for the Parquet files; what lies deeper is not part of the result.
    output: Path
    #: The output of another contender, for the floor to write once more.
    reference: Path | None
    #: How to do it, where a contender knows several ways; null takes its best.
    form: str | None


def read_order() -> Order:
    document = json.loads(sys.argv[1])
    return Order(
        workload=workload.load(Path(document["workload"])),
        request=Request.of(document["request"]),
        output=Path(document["output"]),
        reference=Path(document["reference"]) if document["reference"] else None,
        form=document["form"],
    )


def compete(export: Callable[[Order], dict[str, Any] | None]) -> None:
    """Run one export in this process and print what it took, as the last line of output."""
    order = read_order()
    started, cpu_started = time.perf_counter(), time.process_time()
    details = export(order) or {}
    taken = Taken(
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu_started,
        peak_bytes=high_water(),
        details=details,
    )
    tell(taken)


def tell(taken: Taken) -> None:
    """Print what a run took."""
    print(json.dumps(asdict(taken)))


def high_water(process: int | str = "self") -> int:
    """Give the most memory a process has held so far, in bytes (VmHWM)."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {process} has no memory any more")
