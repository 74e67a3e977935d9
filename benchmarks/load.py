"""How many calls the service answers, beside a bare handler on its PostgreSQL: ``make bench-load``.

The real ``serve`` runs as it always does, with the limits raised by its settings. Export jobs
are created and read; no worker runs, so that the jobs stay and nothing else wants the processor.
See ``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import asyncpg
import load_driver
import uvloop
from load_driver import Line, Measured, as_fast_as_it_goes, at_a_rate
from rich.console import Console
from rich.table import Table

from catalog.store.embedded import EmbeddedPostgres

#: What must be reached; see issue 5.
LEAST_SHARE, LONGEST_P99_SECONDS, MOST_SLOWDOWN = 0.4, 0.1, 2.0
#: Of the rate that was reached, at which latencies are measured.
CALM = 0.7

LINES = 16
CONNECTIONS = 10
UNLIMITED = {
    "PROFILE_EXPORTS_LIMIT_CALLS": "0",
    "PROFILE_EXPORTS_LIMIT_QUEUED_JOBS": "1000000000",
    "PROFILE_EXPORTS_DATABASE_CONNECTIONS": str(CONNECTIONS),
    "PROFILE_EXPORTS_LOG_FORMAT": "json",
}
COMMAND = [sys.executable, "-m", "service.cli"]
RESULTS = Path(__file__).parent / "results" / "load.json"
JOBS = "/data/core/ups/export/jobs"
UNION = "https://ns.adobe.com/xdm/context/profile__union"
LISTED_JOBS = (1_000, 1_000_000)
LISTINGS = 100
#: Pages of a list, by what is said of them. Of the last status there is one job among all.
PAGES = {
    "a page of 100": "",
    "a page of 100, of one status": "?status=CANCELLED",
    "a page by the last change": "?sort=updateTime:desc",
    "the one job of a status": "?status=NEW",
}

console = Console()


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table."""

    what: str
    ours: str
    floor: str
    aim: str
    is_reached: bool


class Service:
    """The service under test, and what a caller of it needs."""

    def __init__(self, data_dir: Path, port: int) -> None:
        self.data_dir = data_dir
        self.port = port
        shown = subprocess.run(
            [*COMMAND, "credentials", "--json", "--data-dir", str(data_dir)],
            check=True,
            capture_output=True,
        )
        given = json.loads(shown.stdout)
        self.headers = {
            "Authorization": f"Bearer {given['access_token']}",
            "x-api-key": given["client_id"],
            "x-gw-ims-org-id": given["org_id"],
            "x-sandbox-name": given["sandbox"],
        }

    def request(self, method: str, path: str, body: object = None) -> bytes:
        content = b"" if body is None else json.dumps(body).encode()
        return load_driver.request(method, path, self.headers, content)

    async def call(self, method: str, path: str, body: object = None) -> Any:
        line = await Line.to("127.0.0.1", self.port)
        status, answer = await line.call(self.request(method, path, body))
        line.close()
        assert status in {200, 201}, answer
        return json.loads(answer)


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[int]:
    """Run a server for as long as the block lasts; give its port."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    )
    try:
        assert process.stdout is not None
        said = next((line for line in process.stdout if line.startswith("listening on ")), None)
        assert said is not None, f"{command} ended with {process.wait()}"
        yield int(said.rpartition(":")[2])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


async def main() -> int:
    asked = _arguments()
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        data_dir = Path(folder) / "data"
        serve = [*COMMAND, "serve", "--port", "0", "--workers", "0", "--data-dir", str(data_dir)]
        log = (Path(folder) / "log").open("wb")
        with running(serve, env={**os.environ, **UNLIMITED}, stderr=log) as port:
            service = Service(data_dir, port)
            postgres = EmbeddedPostgres(data_dir / "postgres")
            await postgres.start()
            try:
                lines = await _measure(service, dict(postgres.connection), asked)
            finally:
                postgres.stop()
        EmbeddedPostgres(data_dir / "postgres").remove()
    _show(lines)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([asdict(line) for line in lines], indent=2) + "\n")
    return 0 if all(line.is_reached for line in lines) else 1


async def _measure(
    service: Service, where: dict[str, Any], asked: argparse.Namespace
) -> list[Finding]:
    order = await _an_order(service)
    lines: list[Finding] = []
    if not asked.no_listing:
        lines += await _listings(service, where, order, asked.jobs)
    floor_command = [sys.executable, str(Path(__file__).with_name("load_floor.py"))]
    with running([*floor_command, json.dumps(where), str(CONNECTIONS)]) as floor_port:
        body = json.dumps(order).encode()
        floor_create = load_driver.request("POST", "/things", {}, body)
        floor_creates = await _run(floor_port, lambda _: floor_create, asked.seconds)
        create = service.request("POST", JOBS, order)
        creates = await _run(service.port, lambda _: create, asked.seconds)
        lines.append(_rates("creates", creates, floor_creates))

        floor_reads = [load_driver.request("GET", f"/things/{id}", {}) for id in range(1, 1001)]
        reads = [service.request("GET", f"{JOBS}/{id}") for id in await _some_ids(service)]
        floor = await _run(floor_port, lambda n: floor_reads[n % 1000], asked.seconds)
        ours = await _run(service.port, lambda n: reads[n % len(reads)], asked.seconds)
        lines.append(_rates("reads", ours, floor))
    calm = await at_a_rate(
        service.port,
        lambda n: reads[n % len(reads)],
        rate=CALM * ours.rate,
        seconds=asked.seconds,
        lines=LINES,
    )
    lines.append(_calm(calm))
    return lines


async def _run(port: int, make: load_driver.Make, seconds: float) -> Measured:
    return await as_fast_as_it_goes(port, make, seconds=seconds, lines=LINES)


async def _an_order(service: Service) -> dict[str, Any]:
    """What an export job is asked for with: a schema, and a data set to write to."""
    datasets = "/data/foundation/catalog/dataSets"
    await service.call(
        "POST",
        "/data/foundation/schemaregistry/tenant/schemas",
        {
            "title": "Customers",
            "type": "object",
            "allOf": [
                {"$ref": "https://ns.adobe.com/xdm/context/profile"},
                {
                    "type": "object",
                    "properties": {f"field{n}": {"type": "string"} for n in range(20)},
                },
            ],
            "meta:immutableTags": ["union"],
        },
    )
    (made,) = await service.call("POST", datasets, {"name": "Out", "schemaRef": {"id": UNION}})
    return {
        "fields": "identityMap,field0,field1,field2",
        "destination": {"datasetId": made.rpartition("/")[2]},
        "schema": {"name": "_xdm.context.profile"},
    }


async def _some_ids(service: Service) -> list[int]:
    page = await service.call("GET", f"{JOBS}?limit=1000")
    return [record["id"] for record in page["records"]]


async def _listings(
    service: Service, where: dict[str, Any], order: dict[str, Any], most: int
) -> list[Finding]:
    """How long pages take when few jobs are stored, and when very many are."""
    template = (await service.call("POST", JOBS, order))["id"]
    took: dict[str, list[float]] = {what: [] for what in PAGES}
    for count in (LISTED_JOBS[0], most):
        await _store(where, template, count)
        for what, query in PAGES.items():
            took[what].append(await _page_seconds(service, JOBS + query))
    return [
        Finding(
            what=f"{what}, of {most:,} jobs beside {LISTED_JOBS[0]:,}",
            ours=f"{many * 1000:.1f} ms",
            floor=f"{few * 1000:.1f} ms",
            aim=f"at most {MOST_SLOWDOWN:g} times: {many / few:.2f}",
            is_reached=many <= MOST_SLOWDOWN * few,
        )
        for what, (few, many) in took.items()
    ]


async def _page_seconds(service: Service, address: str) -> float:
    """The median time of one page of a list."""
    listing = service.request("GET", address)
    line = await Line.to("127.0.0.1", service.port)
    times = []
    for _ in range(LISTINGS):
        started = time.perf_counter()  # uvloop's own clock counts milliseconds
        status, answer = await line.call(listing)
        assert status == HTTPStatus.OK, answer
        times.append(time.perf_counter() - started)
    line.close()
    return statistics.median(times)


async def _store(where: dict[str, Any], template: int, count: int) -> None:
    """Copy a job and its batch, as ended ones, until there are so many."""
    connection = await asyncpg.connect(**where)
    await connection.execute("SET synchronous_commit = off")
    there = await connection.fetchval("SELECT count(*) FROM jobs")
    columns = await connection.fetchval(
        "SELECT string_agg(format('%I', column_name), ',') FROM information_schema.columns"
        " WHERE table_name = 'jobs' AND is_identity = 'NO'"
        " AND column_name NOT IN ('state', 'created_at', 'finished_at')"
    )
    batch_columns = await connection.fetchval(
        "SELECT string_agg(format('%I', column_name), ',') FROM information_schema.columns"
        " WHERE table_name = 'batches' AND is_generated = 'NEVER'"
        " AND column_name NOT IN ('id', 'state', 'job_id', 'finished_at')"
    )
    await connection.execute("ALTER TABLE jobs DISABLE TRIGGER USER")
    await connection.execute(
        f"WITH made AS (INSERT INTO jobs ({columns}, state, created_at, finished_at)"
        f" SELECT {columns}, 'cancelled', now() - n * interval '1 second', now()"
        " FROM jobs, generate_series(1, $2) AS n WHERE id = $1 RETURNING id)"
        f" INSERT INTO batches ({batch_columns}, id, state, job_id, finished_at)"
        f" SELECT {batch_columns}, made.id::text, 'aborted', made.id, now()"
        " FROM batches, made WHERE job_id = $1",
        template,
        count - there,
    )
    await connection.execute("ALTER TABLE jobs ENABLE TRIGGER USER")
    await connection.execute("VACUUM ANALYZE jobs, batches")
    await connection.close()


def _rates(what: str, ours: Measured, floor: Measured) -> Finding:
    for failure in (*ours.failures, *floor.failures):
        console.print(f"[red]{what}: {failure}")
    share = ours.rate / floor.rate
    return Finding(
        what=what,
        ours=f"{ours.rate:,.0f}/s, p99 {ours.percentile(0.99) * 1000:.1f} ms",
        floor=f"{floor.rate:,.0f}/s, p99 {floor.percentile(0.99) * 1000:.1f} ms",
        aim=f"at least {LEAST_SHARE:g} of it: {share:.2f}",
        is_reached=share >= LEAST_SHARE and not ours.failures,
    )


def _calm(calm: Measured) -> Finding:
    p99 = calm.percentile(0.99)
    return Finding(
        what=f"reads at {CALM:.0%} of that rate",
        ours=f"{calm.rate:,.0f}/s, median {calm.percentile(0.5) * 1000:.1f} ms",
        floor="",
        aim=f"p99 under {LONGEST_P99_SECONDS * 1000:.0f} ms: {p99 * 1000:.1f} ms",
        is_reached=p99 < LONGEST_P99_SECONDS and not calm.failures,
    )


def _show(lines: list[Finding]) -> None:
    table = Table("", "service", "floor", "aim", "")
    for line in lines:
        verdict = "[green]reached" if line.is_reached else "[red]missed"
        table.add_row(line.what, line.ours, line.floor, line.aim, verdict)
    console.print(table)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of each run")
    parser.add_argument("--jobs", type=int, default=LISTED_JOBS[1], help="that are listed")
    parser.add_argument("--no-listing", action="store_true", help="leave the listing out")
    return parser.parse_args()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main()))
