"""Measures promotion by the format of what is sent: ``python benchmarks/promotion.py``.

Events with identity maps and records with an identity field, as Parquet, as lines of JSON, and as
lines of which one in a thousand is refused; each as one batch in an engine child of its own, on
two threads, identities, checks and all files included. Once more with twice the rows, to see
whether memory grows. Nothing stays behind.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import engine_child
import pyarrow as pa
import pyarrow.parquet as pq
from drawing import EventRows, RecordRows, words_of
from making import SPAN, START
from ours_promotion import EVENT_SCHEMA, RECORD_SCHEMA, SECRET
from workload import EVENTS, ROW_GROUP, Batch, Parameters

from catalog.batches import FileFormat
from service.engine.orders import Identity, Promoted, PromotionOrder, Reading, UploadedFile

ROWS = 1_000_000
BAD_EVERY = 1_000
#: Rows per second, as asked for.
LEAST = {"Parquet": 200_000, "JSON": 80_000, "JSON, bad rows": 50_000}
#: The share of each kind in the rows of the main workload.
MIXTURE = {"events": 10 / 12.7, "records": 2.7 / 12.7}
#: How much more memory twice the rows may take.
MOST_GROWTH = 1.15


@dataclass(frozen=True)
class Kind:
    """What is sent: events or records."""

    name: str
    fields: tuple[Any, ...]
    identities: tuple[Identity, ...]
    rows: Callable[[int], Iterator[pa.Table]]


def _events(count: int) -> Iterator[pa.Table]:
    """Draw events whose identity stands in a map."""
    batch = _batch(EVENTS, count)
    for chunk in EventRows(Parameters(profiles=max(1, count // 10))).chunks(batch):
        entry = pa.struct([("id", pa.string()), ("primary", pa.bool_())])
        named = pa.StructArray.from_arrays(
            [chunk.column("id").combine_chunks(), pa.repeat(pa.scalar(True), chunk.num_rows)],  # noqa: FBT003
            fields=list(entry),
        )
        offsets = pa.array(range(chunk.num_rows + 1), pa.int32())
        lists = pa.ListArray.from_arrays(offsets, named)
        maps = pa.MapArray.from_arrays(
            offsets, pa.repeat(pa.scalar("CRMID"), chunk.num_rows), lists
        )
        yield chunk.drop_columns(["id", "ingestedAt"]).append_column("identityMap", maps)


def _records(count: int) -> Iterator[pa.Table]:
    rows = RecordRows(Parameters(profiles=count), "records_a")
    for chunk in rows.chunks(_batch("records_a", count), words_of(1)):
        yield chunk.drop_columns(["ingestedAt"])


def _batch(source: str, count: int) -> Batch:
    until = START + SPAN
    return Batch(
        source=source,
        path="",
        ingest_number=1,
        ingested_at=until + timedelta(seconds=1),
        since=START,
        until=until,
        rows=count,
    )


CRM = (Identity(path=("id",), namespace="CRMID", is_primary=True),)
KINDS = (
    Kind("events", EVENT_SCHEMA, (), _events),
    Kind("records", RECORD_SCHEMA, CRM, _records),
)


def write(kind: Kind, count: int, root: Path) -> None:
    """Write the same rows in all three forms."""
    chunks = kind.rows(count)
    first = next(chunks)
    with (
        pq.ParquetWriter(root / "Parquet", first.schema, compression="zstd") as parquet,
        (root / "JSON").open("w") as clean,
        (root / "JSON, bad rows").open("w") as bad,
    ):
        number = 0
        for chunk in (first, *chunks):
            parquet.write_table(chunk, row_group_size=ROW_GROUP)
            for row in chunk.to_pylist(maps_as_pydicts="strict"):
                number += 1
                line = json.dumps(_told(row)) + "\n"
                clean.write(line)
                bad.write('{"amount": "much", "n0": "much"}\n' if number % BAD_EVERY == 0 else line)


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """Give a row as callers spell it, without what it lacks."""
    instants = ("timestamp", "time")
    return {
        name: value.isoformat() if name in instants else value
        for name, value in row.items()
        if value is not None
    }


def promote(kind: Kind, form: str, root: Path) -> tuple[engine_child.Ran, Promoted]:
    path = root / form
    file_format = FileFormat.PARQUET if form == "Parquet" else FileFormat.JSON
    order = PromotionOrder(
        folder=f"out-{kind.name}-{form}",
        uploads=(UploadedFile(path=form, key=form, size_bytes=path.stat().st_size),),
        reading=Reading(format=file_format),
        is_event=kind.name == "events",
        fields=tuple(field.to_json() for field in kind.fields),
        identities=kind.identities,
        unlinked_namespaces=(),
        for_profile=True,
        is_upsert=False,
        secret=SECRET,
        tolerated_percentage=1.0,
        threads=2,
    )
    ran = engine_child.run(order, root)
    promoted = ran.answers[-1][1]
    assert isinstance(promoted, Promoted)
    return ran, promoted


def measure(kind: Kind, count: int) -> dict[str, engine_child.Ran]:
    """Promote one kind in all forms and print what it took."""
    took: dict[str, engine_child.Ran] = {}
    with tempfile.TemporaryDirectory(prefix="promotion-") as folder:
        root = Path(folder)
        # In a process of its own: what it holds would count as the child's high-water mark.
        writing = multiprocessing.Process(target=write, args=(kind, count, root))
        writing.start()
        writing.join()
        for form in LEAST:
            ran, promoted = promote(kind, form, root)
            print(
                f"{kind.name:8} {form:15} {count:>10,} rows {count / ran.seconds:>9,.0f} rows/s"
                f" ({count / ran.cpu_seconds:>9,.0f} for each core-second)"
                f" {ran.peak_bytes / 1e6:>7,.0f} MB, {promoted.failed_row_count:,} refused",
                flush=True,
            )
            took[form] = replace(ran, answers=())
    return took


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    asked = parser.parse_args()
    once = {kind.name: measure(kind, asked.rows) for kind in KINDS}
    twice = {kind.name: measure(kind, 2 * asked.rows) for kind in KINDS}
    is_reached = True
    for form, least in LEAST.items():
        seconds = sum(share * twice[name][form].seconds for name, share in MIXTURE.items())
        speed = 2 * asked.rows / seconds
        growth = max(twice[name][form].peak_bytes / once[name][form].peak_bytes for name in once)
        is_reached &= speed >= least and growth <= MOST_GROWTH
        print(
            f"{form:15} as the main workload mixes them {speed:>9,.0f} rows/s, at least {least:,}"
            f" {speed >= least}; memory for twice the rows {growth:.2f} times"
        )
    return 0 if is_reached else 1


if __name__ == "__main__":
    sys.exit(main())
