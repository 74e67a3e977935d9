"""Exports the same users as Parquet, as CSV and as lines of JSON, each in a process of its own.

    python benchmarks/table_exports.py [--rows 1000000]

The aim: CSV of a million users with 20 properties in at most twice the time of the Parquet export
and in memory that does not grow with users. The store is one batch of records with identities;
their keys are random, as those of promotion are. Every table numbers its users anew.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from catalog.merge_policies import AttributeMerge, IdentityGraph
from catalog.schemas import Field, Kind
from catalog.store_files import StoreFileKind
from catalog.user_lists import ListFormat
from service.engine.exporting import export
from service.engine.memory import keep_freed_memory
from service.engine.orders import ExportOrder, Fragments, Planned, Table, TableColumn
from service.engine.orders.tables import Source
from service.engine.store_files import StoreFileWriter, depth_for
from service.storage.files import Files

SECRET = b"a secret of exactly 32 bytes ..."
PROPERTIES = 20
AIM = 2.0
KINDS = (Kind.STRING, Kind.LONG, Kind.STRING, Kind.DOUBLE)


def fields() -> tuple[Field, ...]:
    return tuple(Field(f"property_{n}", KINDS[n % len(KINDS)]) for n in range(PROPERTIES))


def put(files: Files, row_count: int) -> tuple[Fragments, ...]:
    """Write the store files of a batch of so many users."""
    random = np.random.default_rng(7)
    hi = np.sort(random.integers(0, 1 << 63, row_count, dtype=np.uint64) << np.uint64(1))
    keys = {"_key_hi": pa.array(hi), "_key_lo": pa.array(np.arange(row_count, dtype=np.uint64))}
    words = pa.array([f"word {n}" for n in range(200)])
    leaves = {}
    for field in fields():
        if field.kind is Kind.LONG:
            leaves[field.name] = pa.array(random.integers(0, 1 << 40, row_count))
        elif field.kind is Kind.DOUBLE:
            leaves[field.name] = pa.array(random.random(row_count))
        else:
            leaves[field.name] = words.take(pa.array(random.integers(0, 200, row_count)))
    records = pa.table({**keys, "_seq": pa.array(np.arange(row_count)), **leaves})
    codes = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(row_count, np.int32)), pa.array(["crm"])
    )
    named = pa.table(
        {
            **keys,
            "id_hi": keys["_key_hi"],
            "id_lo": keys["_key_lo"],
            "namespace": codes,
            "value": pa.array(np.char.add("C", np.arange(row_count).astype(str))),
            "state": pa.array(np.zeros(row_count, np.int8)),
        }
    )
    worded = {field.name: words for field in fields() if field.kind is Kind.STRING}
    return (
        _put(files, StoreFileKind.RECORDS, records, worded),
        _put(files, StoreFileKind.IDENTITIES, named, {}),
    )


def _put(
    files: Files, kind: StoreFileKind, table: pa.Table, words: dict[str, pa.Array]
) -> Fragments:
    key, depth = f"store/{kind.value}", depth_for(table.nbytes)
    with (
        files.create(key) as sink,
        StoreFileWriter(sink, table.schema, depth=depth, secret=SECRET, words=words) as writer,
    ):
        writer.write_sorted(table)
    return Fragments(
        dataset_id="users",
        kind=kind,
        key=key,
        size_bytes=sink.size_bytes,
        row_count=table.num_rows,
        ingest_number=1,
        ingested_at=datetime(2024, 1, 1, tzinfo=UTC),
        is_upsert=False,
        added=1,
    )


def an_order(stored: tuple[Fragments, ...], how: str) -> ExportOrder:
    table = None
    if how != "parquet":
        number = TableColumn(key="gio_id", header="gio_id", source=Source.GIO_ID)
        leaves = (
            TableColumn(key=one.name, header=one.name, source=Source.LEAF, path=(one.name,))
            for one in fields()
        )
        table = Table(columns=(number, *leaves), format=ListFormat(how))
    return ExportOrder(
        folder=f"exports/{how}-{time.time_ns()}",
        files=stored,
        profile_fields=tuple(field.to_json() for field in fields()),
        event_fields=(),
        fields=tuple((field.name,) for field in fields()),
        identity_graph=IdentityGraph.PRIVATE,
        attribute_merge=AttributeMerge.TIMESTAMP_ORDERED,
        table=table,
    )


def run(root: Path, order: ExportOrder) -> None:
    """Export in this process as an engine's child does; tell how long planning and all took."""
    keep_freed_memory()
    pa.set_cpu_count(order.threads)
    pa.set_io_thread_count(order.threads)
    started, planned_at = time.perf_counter(), 0.0

    def sent(answer: object) -> None:
        nonlocal planned_at
        if isinstance(answer, Planned):
            planned_at = time.perf_counter()

    export(order, Files(root), sent, lambda _: None)
    print(f"{planned_at - started:.2f} {time.perf_counter() - started:.2f}")


def measured(root: Path, order: ExportOrder) -> tuple[float, float, float, int]:
    """Export in a process of its own: seconds to plan and in all, CPU seconds, peak bytes."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--root", str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(order.model_dump_json())
    process.stdin.close()
    told = process.stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    plan, whole = map(float, told.split())
    return plan, whole, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--root", type=Path, help="of the files, where an order is to be read")
    asked = parser.parse_args()
    if asked.root is not None:
        run(asked.root, ExportOrder.model_validate_json(sys.stdin.read()))
        return
    with tempfile.TemporaryDirectory() as scratch:
        stored = put(Files(Path(scratch)), asked.rows)
        of_parquet = 0.0
        for how in ("parquet", "csv", "json"):
            plan, whole, cpu, peak = measured(Path(scratch), an_order(stored, how))
            of_parquet = of_parquet or whole
            share = whole / of_parquet
            told = "" if share <= AIM else "  (above the aim)"
            print(
                f"{how:<8} planned in {plan:6.2f} s, all in {whole:6.2f} s, {cpu:6.2f} s of CPU, "
                f"{peak / 1e6:5.0f} MB at most, {share:.2f} of Parquet's time{told}"
            )


if __name__ == "__main__":
    main()
