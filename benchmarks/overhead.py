"""Measures what the service adds to an export: from the call to the engine, and from it to the end.

A real ``serve`` takes the calls; a worker in this process, with a clock around its engine, does
the jobs. See ``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvloop
from load import COMMAND, JOBS, RESULTS, UNION, Service, running

from catalog.jobs import WorkerId
from catalog.store.embedded import EmbeddedPostgres
from catalog.store.notices import Notices
from service import assembly
from service.engine.local import LocalRunner
from service.engine.orders import Answer, AnyOrder, Done, ExportOrder, Part
from service.settings import Settings

#: Seconds, as asked for.
MOST_BEFORE, MOST_AFTER = 0.15, 0.5
#: The share of a job of a million profiles, as asked for.
MOST_SHARE = 0.05
#: Seconds between two looks at a job's state: the error of what is measured with it.
LOOK_EVERY = 0.002
FIELDS, WORDS = 20, 20_000


@dataclass(slots=True)
class Times:
    """When the stages of one export came, on one clock, and what the worker's process took."""

    called_at: float = 0.0
    answered_at: float = 0.0
    ordered_at: float = 0.0
    last_part_at: float = 0.0
    done_at: float = 0.0
    seen_at: float = 0.0
    worker_cpu_seconds: float = 0.0

    @property
    def before(self) -> float:
        return self.ordered_at - self.called_at

    @property
    def after(self) -> float:
        return self.seen_at - self.last_part_at

    @property
    def outside(self) -> float:
        """Seconds that no engine was at work."""
        return self.before + self.seen_at - self.done_at


class TimedRunner(LocalRunner):
    """Notes when the engine has an export's order, and when it answers."""

    times = Times()

    @asynccontextmanager
    async def run(self, order: AnyOrder) -> AsyncIterator[AsyncIterator[Answer]]:
        async with super().run(order) as answers:
            if isinstance(order, ExportOrder):
                self.times.ordered_at = time.perf_counter()
            yield self._noted(answers)

    async def _noted(self, answers: AsyncIterator[Answer]) -> AsyncIterator[Answer]:
        async for answer in answers:
            if isinstance(answer, Part):
                self.times.last_part_at = time.perf_counter()
            elif isinstance(answer, Done):
                self.times.done_at = time.perf_counter()
            yield answer


async def main() -> int:
    asked = _arguments()
    assembly.LocalRunner = TimedRunner  # type: ignore[misc]  # the worker's engine, with a clock
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        data_dir = Path(folder) / "data"
        serve = [*COMMAND, "serve", "--port", "0", "--workers", "0", "--data-dir", str(data_dir)]
        with (Path(folder) / "log").open("wb") as log, running(serve, stderr=log) as port:
            service = Service(data_dir, port)
            settings = Settings().at(data_dir)
            async with (
                assembly.deployment(settings) as deployed,
                assembly.worker(deployed, WorkerId("overhead")) as worker,
                Notices(**deployed.where) as notices,
            ):
                working = asyncio.create_task(worker.run(notices))
                await _ingest(service, Path(folder), asked.profiles)
                order = await _an_order(service)
                runs = [await _export(service, order) for _ in range(asked.runs + 1)][1:]
                worker.stop()
                await working
        EmbeddedPostgres(data_dir / "postgres").remove()
    return _show(runs, asked.engine_seconds)


async def _ingest(service: Service, folder: Path, profiles: int) -> None:
    """Put records into a data set, as a caller does, and wait until they are in the store."""
    rows = folder / "people.jsonl"
    with rows.open("w") as file:
        for number in range(profiles):
            fields = {f"field{n}": f"word {number * (n + 7) % WORDS}" for n in range(FIELDS)}
            file.write(json.dumps({"id": f"person-{number}", **fields}) + "\n")
    command = [*COMMAND, "ingest", str(rows), "--name", "people", "--record", "--json"]
    command += ["--identity", "id=CRM:primary", "--data-dir", str(service.data_dir)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
    if await process.wait():
        raise SystemExit("the rows were not taken")


async def _an_order(service: Service) -> dict[str, Any]:
    datasets = "/data/foundation/catalog/dataSets"
    (made,) = await service.call("POST", datasets, {"name": "Out", "schemaRef": {"id": UNION}})
    return {
        "destination": {"datasetId": made.rpartition("/")[2]},
        "schema": {"name": "_xdm.context.profile"},
    }


async def _export(service: Service, order: dict[str, Any]) -> Times:
    """Export once, and look at the job until it succeeded."""
    await asyncio.sleep(2)  # the spare child of the run before has its imports done
    times = TimedRunner.times = Times()
    cpu_before = time.process_time()
    times.called_at = time.perf_counter()
    job = await service.call("POST", JOBS, order)
    times.answered_at = time.perf_counter()
    while job["status"] not in {"SUCCEEDED", "FAILED", "CANCELED"}:
        await asyncio.sleep(LOOK_EVERY)
        job = await service.call("GET", f"{JOBS}/{job['id']}")
    times.seen_at = time.perf_counter()
    times.worker_cpu_seconds = time.process_time() - cpu_before
    if job["status"] != "SUCCEEDED":
        raise SystemExit(f"the export ended {job['status']}")
    return times


def _show(runs: list[Times], engine_seconds: float) -> int:
    """Print medians, and keep all; the answer is the exit status."""
    before, after, outside = (
        statistics.median(getattr(run, name) for run in runs)
        for name in ("before", "after", "outside")
    )
    share = outside / (engine_seconds + outside)
    lines = [
        ("from the call to the engine's start, ms", before * 1000, MOST_BEFORE * 1000),
        ("from the last part to SUCCEEDED, ms", after * 1000, MOST_AFTER * 1000),
        (f"outside an engine of {engine_seconds:g} s, %", share * 100, MOST_SHARE * 100),
    ]
    for what, measured, most in lines:
        print(f"{what:45} {measured:8.1f}  at most {most:.0f}  {measured <= most}")
    document = [asdict(run) for run in runs]
    RESULTS.with_name("overhead.json").write_text(json.dumps(document, indent=1) + "\n")
    return 0 if all(measured <= most for _, measured, most in lines) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profiles", type=int, default=100_000, help="rows of the data set")
    parser.add_argument("--runs", type=int, default=10, help="exports, whose median counts")
    parser.add_argument(
        "--engine-seconds", type=float, default=7.0, help="what an engine takes for a million"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
