"""Makes workloads: raw Parquet files as a user would have them.

The same files are read by the peers and uploaded to the service. All is drawn from seeded
generators, chunk by chunk, so that memory stays flat however many profiles are asked for; a
workload that was made once is found again by its parameters.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from drawing import EventRows, RecordRows, words_of
from workload import (
    COVERAGE,
    EVENTS,
    EVENTS_PER_PROFILE,
    ROW_GROUP,
    Batch,
    Parameters,
    Workload,
    load,
)

START = datetime(2024, 3, 1, tzinfo=UTC)
SPAN = timedelta(days=96)


def make(parameters: Parameters, scratch: Path) -> Workload:
    """Make a workload below ``scratch``, or find the one that was made from these parameters."""
    folder = scratch / parameters.name
    if not (folder / "workload.json").exists():
        partial = scratch / f".{parameters.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        batches = [asdict(batch) for batch in _write(parameters, partial)]
        document = {"parameters": asdict(parameters), "batches": batches}
        text = json.dumps(document, indent=1, default=datetime.isoformat)
        (partial / "workload.json").write_text(text)
        partial.rename(folder)
    return load(folder)


def _write(parameters: Parameters, folder: Path) -> Iterator[Batch]:
    """Write all batches; yield them in the order in which the service is to ingest them."""
    planned = sorted(
        (*_record_batches(parameters), *_event_batches(parameters)),
        key=lambda batch: batch.ingested_at,
    )
    words = words_of(parameters.seed)
    records = {source: RecordRows(parameters, source) for source in COVERAGE}
    events = EventRows(parameters)
    for number, batch in enumerate(planned, start=1):
        numbered = replace(batch, ingest_number=number)
        (folder / numbered.path).parent.mkdir(parents=True, exist_ok=True)
        if numbered.source == EVENTS:
            chunks = events.chunks(numbered)
        else:
            chunks = records[numbered.source].chunks(numbered, words)
        _write_file(folder / numbered.path, chunks)
        yield numbered


def _write_file(path: Path, chunks: Iterator[pa.Table]) -> None:
    first = next(chunks)
    with pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
        writer.write_table(first, row_group_size=ROW_GROUP)
        for chunk in chunks:
            writer.write_table(chunk, row_group_size=ROW_GROUP)


def _record_batches(parameters: Parameters) -> Iterator[Batch]:
    """Cut the time into slots that the record data sets take in turns."""
    slots = parameters.record_batches * len(COVERAGE)
    for slot in range(slots):
        source = list(COVERAGE)[slot % len(COVERAGE)]
        number = slot // len(COVERAGE)
        total = round(parameters.profiles * COVERAGE[source])
        yield Batch(
            source=source,
            path=f"raw/{source}/{number:04}.parquet",
            ingest_number=0,
            ingested_at=START + SPAN * (slot + 1) / slots,
            since=START + SPAN * slot / slots,
            until=START + SPAN * (slot + 1) / slots,
            rows=_share(total, number, parameters.record_batches),
        )


def _event_batches(parameters: Parameters) -> Iterator[Batch]:
    total = parameters.profiles * EVENTS_PER_PROFILE
    count = parameters.event_batches
    for number in range(count):
        until = START + SPAN * (number + 1) / count
        yield Batch(
            source=EVENTS,
            path=f"raw/{EVENTS}/{number:04}.parquet",
            ingest_number=0,
            # A moment after the record batch that ends at the same time: no two agree.
            ingested_at=until + timedelta(seconds=1),
            since=START + SPAN * number / count,
            until=until,
            rows=_share(total, number, count),
        )


def _share(total: int, number: int, count: int) -> int:
    return total * (number + 1) // count - total * number // count
