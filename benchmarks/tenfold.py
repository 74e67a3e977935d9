"""Measures an export of ten times as many profiles: ``python benchmarks/tenfold.py SCRATCH``.

To make and promote a hundred million events takes half an hour, so the store of the main workload
is multiplied instead: every profile becomes ten, whose keys lie a tenth of the space of keys
apart, with the same rows. What the engine reads, merges and writes is ten times as much; only the
values repeat. Prints seconds and peak memory of both exports. Nothing stays behind.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import making
import numpy as np
import pyarrow as pa
from measuring import Limits, Measured, run
from ours_promotion import SECRET, store_of
from scenarios import Scenario, scenarios
from workload import Workload, load

from service.engine.store_files import (
    KEY_HI,
    StoreFile,
    StoreFileWriter,
    depth_for,
)

TIMES = 10
#: Rows that are moved at once.
PORTION = 1 << 18
#: As asked for.
MOST_SECONDS, MOST_BYTES = 12.0, 1_500_000_000
#: Every half of a key that says whose a row is, or whom it names.
_KEYS = (KEY_HI, "id_hi", "other_hi")


def multiply(workload: Workload, folder: Path) -> Workload:
    """Write the store of a workload, many times over, beside a description of it."""
    store = json.loads(store_of(workload).read_text())
    files = folder.name, "store"
    store_of(load_into(workload, folder)).parent.mkdir()
    for number, file in enumerate(store["files"]):
        key = "/".join((*files, f"{number:04}-{file['kind']}.arrow"))
        size_bytes = _multiplied(workload.folder.parent / file["key"], folder.parent / key)
        file |= {"key": key, "size_bytes": size_bytes, "row_count": TIMES * file["row_count"]}
    multiplied = load(folder)
    store_of(multiplied).write_text(json.dumps(store))
    return multiplied


def load_into(workload: Workload, folder: Path) -> Workload:
    """Describe a workload of the same batches in another folder."""
    folder.mkdir(parents=True)
    shutil.copyfile(workload.folder / "workload.json", folder / "workload.json")
    return load(folder)


def _multiplied(old: Path, new: Path) -> int:
    """Write one store file many times over; return its bytes."""
    with pa.memory_map(str(old)) as source, new.open("wb") as sink:
        file = StoreFile(source)
        size_bytes = TIMES * sum(file.layout.column_bytes.values())
        words = {name: found for name in file.layout.worded if (found := file.words(name))}
        with StoreFileWriter(
            sink, file.schema, depth=depth_for(size_bytes), secret=SECRET, words=words
        ) as writer:
            rows = file.worded_slice(0, 0, file.schema.names)
            for copy in range(TIMES):
                for start in range(0, rows.num_rows, PORTION):
                    writer.write_sorted(_moved(rows.slice(start, PORTION), copy))
    return new.stat().st_size


def _moved(rows: pa.Table, copy: int) -> pa.Table:
    """Move keys into their tenth of the space; their order stays."""
    for place, name in enumerate(rows.column_names):
        if name in _KEYS:
            keys = rows.column(place).to_numpy() // np.uint64(TIMES)
            keys += np.uint64(copy * ((1 << 64) // TIMES))
            rows = rows.set_column(place, name, pa.array(keys))
    return rows


def export(scenario: Scenario, workload: Workload, folder: Path, number: int) -> Measured:
    output = folder / "runs" / f"{workload.folder.name}-{number}"
    limits = Limits(seconds=1800, memory_bytes=1 << 40)
    measured = run("ours.py", workload, scenario.request, output, limits)
    shutil.rmtree(output)
    taken = measured.taken
    profiles = taken.details["counters"]["profiles"]
    print(
        f"{profiles:>12,} profiles: {taken.seconds:7.1f} s, {taken.cpu_seconds:7.1f} CPU,"
        f" {taken.peak_bytes / 1e6:,.0f} MB, {taken.details['parts']} parts,"
        f" {taken.details['part_bytes'] / 1e9:.2f} GB",
        flush=True,
    )
    return measured


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profiles", type=int, default=1_000_000)
    folder = Path(tempfile.gettempdir()) / "profile-exports-bench"
    parser.add_argument("--scratch", type=Path, default=folder, help="where the data is kept")
    parser.add_argument("--make", action="store_true", help="only make the store, and leave it")
    asked = parser.parse_args()
    scenario = scenarios(asked.profiles)[0]
    workload = making.make(scenario.parameters, asked.scratch)
    if not store_of(workload).exists():
        raise SystemExit("promote the workload first: bench.py --variants none --contenders ours")
    large = asked.scratch / f"tenfold-{scenario.parameters.name}"
    if not store_of_is_whole(large):
        shutil.rmtree(large, ignore_errors=True)
        multiply(workload, large)
    if asked.make:
        return 0
    try:
        return _measure(scenario, workload, load(large), asked.scratch)
    finally:
        shutil.rmtree(large)


def store_of_is_whole(folder: Path) -> bool:
    return (folder / "store" / "store.json").exists()


def _measure(scenario: Scenario, workload: Workload, large: Workload, scratch: Path) -> int:
    small = [export(scenario, workload, scratch, number) for number in range(3)]
    seconds = statistics.median(each.taken.seconds for each in small)
    taken = export(scenario, large, scratch, 0).taken
    times = taken.seconds / seconds
    print(f"{times:.1f} times as long, at most {MOST_SECONDS:g} were asked for")
    return 0 if times <= MOST_SECONDS and taken.peak_bytes <= MOST_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
