"""Exports the same users as Parquet, as CSV and as lines of JSON, each in a process of its own.

    python benchmarks/table_exports.py [--rows 300000 1000000 3000000] [--runs 5]

The aim: CSV of a million users with 20 properties in at most twice the time of the Parquet export
and in memory that does not grow with users. The store is one batch of records with identities;
their keys are random, as those of promotion are. Every table numbers its users anew.

The formats take turns; the time of one is the median of its runs. Memory is watched in one more
run of each, which is not timed: ``own`` is what all processes of the export together hold that is
no page of a file, each page once, and ``with the store`` has the pages of the mapped store too,
which the system takes back when it needs them.
"""

from __future__ import annotations

import service.engine.lean_start  # noqa: F401

# isort: split
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

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
FORMATS = ("parquet", "csv", "json")
AIM = 2.0
#: Seconds between two looks at memory.
LOOK_EVERY = 0.01
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one export took, from its order to its end, in a process that was started for it."""

    plan_seconds: float
    seconds: float
    #: Of all its processes, with what their imports took.
    cpu_seconds: float


def measured(root: Path, order: ExportOrder) -> Run:
    """Export in a process of its own."""
    process = _started(root, order)
    assert process.stdout is not None
    told = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"an export ended with status {status}")
    shutil.rmtree(root / "exports")
    plan, whole = map(float, told.split())
    return Run(plan_seconds=plan, seconds=whole, cpu_seconds=usage.ru_utime + usage.ru_stime)


def watched(root: Path, order: ExportOrder) -> tuple[int, int]:
    """Export in a process of its own; give the most bytes held: its own, and with the store."""
    process = _started(root, order)
    own = with_store = 0
    while process.poll() is None:
        held = [_held(pid) for pid in _family(process.pid)]
        own = max(own, sum(anonymous for anonymous, _ in held))
        with_store = max(with_store, sum(everything for _, everything in held))
        time.sleep(LOOK_EVERY)
    shutil.rmtree(root / "exports")
    return own, with_store


def _started(root: Path, order: ExportOrder) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, __file__, "--root", str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(order.model_dump_json())
    process.stdin.close()
    return process


def _family(pid: int) -> list[int]:
    """Name a process and those that it has forked."""
    with suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *(int(child) for child in children)]
    return [pid]


def _held(pid: int) -> tuple[int, int]:
    """Bytes of memory that is no file's, and of all; what processes share is shared out to them."""
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        sizes = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines}
        return sizes["Pss_Anon"], sizes["Pss"]
    return 0, 0


def compare(root: Path, row_count: int, formats: list[str], run_count: int) -> None:
    """Print a line for each format."""
    stored = put(Files(root), row_count)
    runs: dict[str, list[Run]] = {how: [] for how in formats}
    for _ in range(run_count):
        for how in formats:
            runs[how].append(measured(root, an_order(stored, how)))
    of_first = median(run.seconds for run in runs[formats[0]])
    for how, taken in runs.items():
        own, with_store = watched(root, an_order(stored, how))
        seconds = [run.seconds for run in taken]
        share = median(seconds) / of_first
        print(
            f"{row_count:>9,}  {how:<8} {median(seconds):7.2f} {min(seconds):7.2f} "
            f"{median(run.plan_seconds for run in taken):8.2f} "
            f"{median(run.cpu_seconds for run in taken):8.2f} {share:11.2f} "
            f"{own / 1e6:8.0f} {with_store / 1e6:11.0f}"
            f"{'' if share <= AIM or how == 'json' else '  (above the aim)'}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--root", type=Path, help="of the files, where an order is to be read")
    asked = parser.parse_args()
    if asked.root is not None:
        run(asked.root, ExportOrder.model_validate_json(sys.stdin.read()))
        return
    print("    users  format   seconds   least  planned  CPU sec. times first   own MB with store")
    for row_count in asked.rows:
        with tempfile.TemporaryDirectory() as scratch:
            compare(Path(scratch), row_count, asked.formats, asked.runs)


if __name__ == "__main__":
    main()
