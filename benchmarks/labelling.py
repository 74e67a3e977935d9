"""Measures the labelling of many links: ``python benchmarks/labelling.py 10000000``.

Makes link files of people with two to four identities each, labels them in a process of its own,
then labels a hundredth more links on top of that, and prints seconds, peak memory and bytes per
identity. Nothing stays behind.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from catalog.merge_policies import AttributeMerge, IdentityGraph
from catalog.store_files import StoreFileKind
from service.engine.labelling import Labeller
from service.engine.orders import ExportOrder, Fragments, SavedLabelling
from service.engine.snapshot import Snapshot
from service.engine.store_files import StoreFileWriter, depth_for
from service.storage.files import Files

FILES = 20
ROW_BYTES = 32


def link_file(files: Files, number: int, link_count: int, seed: int) -> Fragments:
    """Write links of people, each a star of one to three links around its smallest key."""
    random = np.random.default_rng([seed, number])
    people = np.repeat(np.arange(link_count), random.integers(1, 4, link_count))[:link_count]
    centre = random.integers(0, 1 << 63, (people[-1] + 1, 2), np.uint64)[people]
    other = random.integers(0, 1 << 63, (link_count, 2), np.uint64) | np.uint64(1 << 63)
    order = np.argsort(centre[:, 0], kind="stable")
    columns = [centre[order, 0], centre[order, 1], other[order, 0], other[order, 1]]
    names = ["_key_hi", "_key_lo", "other_hi", "other_lo"]
    rows = pa.table({name: pa.array(column) for name, column in zip(names, columns, strict=True)})
    key = f"links-{number}"
    with files.create(key) as sink:
        depth = depth_for(link_count * ROW_BYTES)
        writer = StoreFileWriter(sink, rows.schema, depth=depth, secret=None)
        writer.write_sorted(rows)
        writer.close()
    return Fragments(
        dataset_id="events",
        kind=StoreFileKind.LINKS,
        key=key,
        size_bytes=sink.written().size_bytes,
        row_count=link_count,
        ingest_number=number,
        ingested_at=datetime(2024, 1, 1, tzinfo=UTC),
        is_upsert=False,
        added=number,
    )


def measure(name: str, order: ExportOrder, files: Files) -> SavedLabelling:
    """Label a snapshot and print what it took."""
    started, started_cpu = time.perf_counter(), time.process_time()
    made = Labeller(Snapshot(order), files).write(f"{name}.labels")
    seconds, cpu = time.perf_counter() - started, time.process_time() - started_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        f"{name}: {made.row_count:,} identities, {seconds:.1f} s ({cpu:.1f} s CPU), file"
        f" {made.size_bytes / made.row_count:.1f} bytes an identity, peak {peak / 1e6:,.0f} MB"
        f" ({(peak - BASE) / made.row_count:.0f} bytes an identity above {BASE / 1e6:,.0f} MB)",
        flush=True,
    )
    return SavedLabelling(key=made.key, commit=FILES, main_dataset_id=made.main_dataset_id)


def main(link_count: int, budget_mib: int) -> None:
    """Label ``link_count`` links, then a hundredth more."""
    with tempfile.TemporaryDirectory() as folder:
        files = Files(Path(folder))
        links = [link_file(files, n, link_count // FILES, 1) for n in range(1, FILES + 1)]
        order = ExportOrder(
            folder="export",
            files=tuple(links),
            profile_fields=(),
            event_fields=(),
            identity_graph=IdentityGraph.PRIVATE,
            attribute_merge=AttributeMerge.TIMESTAMP_ORDERED,
            labelling_size_bytes=budget_mib << 20,
        )
        saved = measure("all links at once", order, files)
        newer = link_file(files, FILES + 1, link_count // 100, 2)
        order = order.model_copy(update={"files": (*links, newer), "labelling": saved})
        measure("a hundredth more", order, files)


if __name__ == "__main__":
    BASE = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    budget_mib = [int(each) for each in sys.argv[2:]] or [512]
    main(int(sys.argv[1]), *budget_mib)
