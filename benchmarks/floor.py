"""The least anybody could do: read the columns that are needed, write those that come out.

Nothing is merged. The input is read with pyarrow on two threads and thrown away; the output is
another contender's, loaded into memory while the clock stands and written again while it runs.
Both ways use what pyarrow does fastest: dictionaries stay dictionaries from file to file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from contender import Order, Taken, high_water, read_order, tell
from workload import COVERAGE, EVENTS, ROW_GROUP, STRINGS

THREADS = 2
DICTIONARIES = [
    *STRINGS,
    "browser",
    "version",
    "timeSeriesEvents.list.element.browser",
    "timeSeriesEvents.list.element.version",
]


class Clock:
    """Adds up the time of what is counted, and leaves out the rest."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu_seconds = 0.0

    def count(self, name: str, work: Callable[[], object]) -> None:
        started, cpu_started = time.perf_counter(), time.process_time()
        work()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
        self.cpu_seconds += time.process_time() - cpu_started


def floor(order: Order) -> Taken:
    pa.set_cpu_count(THREADS)
    clock = Clock()
    with ThreadPoolExecutor(THREADS) as pool:
        clock.count(
            "read_seconds", lambda: list(pool.map(_read, *zip(*_needed(order), strict=True)))
        )
        _write(order, pool, clock)
    return Taken(
        seconds=sum(clock.seconds.values()),
        cpu_seconds=clock.cpu_seconds,
        peak_bytes=high_water(),
        details=dict(clock.seconds),
    )


def _needed(order: Order) -> Iterator[tuple[str, int, list[str]]]:
    """Name the row groups that must be read, with the columns that must be read of them."""
    request = order.request
    needed = {source: ["time", *request.fields] for source in COVERAGE}
    if request.event_fields:
        needed[EVENTS] = ["_id", *request.event_fields]
    for batch in order.workload.batches:
        identities = [identity.column for identity in order.workload.identities(batch.source)]
        if not request.is_stitched:
            identities = identities[:1]
        columns = [*identities, *needed.get(batch.source, [])]
        if batch.source == EVENTS and batch.ingested_at <= order.workload.events_after:
            if not request.is_stitched:
                continue
            columns = identities  # events outside the window still say who is who
        path = str(order.workload.folder / batch.path)
        if batch.source in needed:
            for number in range(pq.read_metadata(path).num_row_groups):
                yield path, number, columns


def _read(path: str, number: int, columns: list[str]) -> None:
    _open(path).read_row_group(number, columns=columns, use_threads=False)


def _open(path: str | Path) -> pq.ParquetFile:
    columns = pq.read_metadata(path).schema
    present = {columns.column(number).path for number in range(len(columns))}
    dictionaries = [name for name in DICTIONARIES if name in present]
    return pq.ParquetFile(path, read_dictionary=dictionaries)


def _write(order: Order, pool: ThreadPoolExecutor, clock: Clock) -> None:
    """Write the reference again, a piece on each thread at a time."""
    assert order.reference is not None
    pieces = _pieces(sorted(order.reference.glob("*.parquet")))
    first = list(islice(pieces, THREADS))
    with ExitStack() as stack:
        writers: list[pq.ParquetWriter] = []

        def open_writers() -> None:
            for number in range(THREADS):
                path = order.output / f"floor-{number}.parquet"
                writer = pq.ParquetWriter(
                    path,
                    first[0].schema,
                    compression="zstd",
                    # Numbers hardly repeat: to try costs more than all else about them.
                    use_dictionary=DICTIONARIES,
                )
                writers.append(stack.enter_context(writer))

        clock.count("write_seconds", open_writers)
        tables = first
        while tables:
            writing = zip(writers[: len(tables)], tables, strict=True)
            clock.count("write_seconds", lambda w=writing: list(pool.map(_write_piece, w)))
            tables = list(islice(pieces, THREADS))
        clock.count("write_seconds", lambda: [writer.close() for writer in writers])


def _write_piece(piece: tuple[pq.ParquetWriter, pa.Table]) -> None:
    writer, table = piece
    writer.write_table(table, row_group_size=ROW_GROUP)


def _pieces(paths: Iterable[Path]) -> Iterator[pa.Table]:
    for path in paths:
        file = _open(path)
        for number in range(file.num_row_groups):
            rows = file.read_row_group(number)
            for start in range(0, rows.num_rows, ROW_GROUP):
                yield rows.slice(start, ROW_GROUP)


if __name__ == "__main__":
    tell(floor(read_order()))
