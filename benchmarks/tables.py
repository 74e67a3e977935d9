"""Writes one table of users as CSV and as lines of JSON, beside ``pyarrow.csv.write_csv`` alone.

    python benchmarks/tables.py [--rows 1000000] [--runs 3]

The aim: tables in UTF-8 at 0.7 of the speed of ``write_csv`` alone on the same table in the same
run, in turns. What is ours is the hash, the file, and what a column needs first: lists as text, and
the guard against formulas. The table has 20 columns: numbers, texts that repeat and texts that do
not; where one is of lists, ``write_csv`` is given their texts. CPU seconds are of all threads.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from catalog.user_lists import Charset, ListFormat
from service.engine.cells import json_lists
from service.engine.orders import Table, TableColumn
from service.engine.orders.tables import Source
from service.engine.table_files import writing_table_part
from service.storage.files import Files

#: Rows of a slice, about as exports merge them.
SLICE_ROWS = 1 << 16
AIM = 0.7
#: The share of values that are.
MISSING = 0.1


def a_table(row_count: int, *, with_lists: bool) -> pa.Table:
    """Make users: a number, then columns of several types, with a tenth of the values missing."""
    random = np.random.default_rng(7)

    def missing() -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return random.random(row_count) < MISSING

    columns: dict[str, pa.Array] = {"gio_id": pa.array(np.arange(1, row_count + 1))}
    words = pa.array([f"word {n}" for n in range(200)])
    for place in range(1, 20):
        kind = ("number", "word", "text", "share")[place % 4]
        if kind == "number":
            values = pa.array(random.integers(0, 1 << 40, row_count), mask=missing())
        elif kind == "word":
            codes = pa.array(random.integers(0, 200, row_count), pa.int32(), mask=missing())
            values = pa.DictionaryArray.from_arrays(codes, words)
        elif kind == "text":
            numbers = random.integers(0, 1 << 50, row_count).astype(str)
            values = pa.array(np.char.add("value ", numbers), mask=missing())
        else:
            values = pa.array(random.random(row_count), mask=missing())
        columns[f"column_{place}"] = values
    if with_lists:
        sizes = random.integers(0, 4, row_count)
        ends = pa.array(np.append(0, np.cumsum(sizes)), pa.int32())
        columns["column_19"] = pa.ListArray.from_arrays(
            ends, words.take(pa.array(random.integers(0, 200, int(sizes.sum()))))
        )
    return pa.table(columns)


def slices(table: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, table.num_rows, SLICE_ROWS):
        yield table.slice(start, SLICE_ROWS)


def written_alone(table: pa.Table, folder: Path) -> int:
    path = folder / "alone.csv"
    options = pa.csv.WriteOptions(batch_size=1 << 15, quoting_style="all_valid")
    pa.csv.write_csv(table, path, options)
    size_bytes = path.stat().st_size
    path.unlink()
    return size_bytes


def written_by_us(table: pa.Table, folder: Path, **how: object) -> int:
    columns = tuple(
        TableColumn(key=name, header=name, source=Source.LEAF if place else Source.GIO_ID)
        for place, name in enumerate(table.column_names)
    )
    files = Files(folder)
    told = Table(columns=columns, **how)
    with writing_table_part(files, "ours", told, is_first=True) as (writer, sink):
        for rows in slices(table):
            writer.write(rows)
    files.delete("ours")
    return sink.size_bytes


@dataclass(slots=True)
class Best:
    """The shortest of some runs."""

    seconds: float = float("inf")
    cpu: float = float("inf")
    size_bytes: int = 0

    def run(self, work: Callable[[], int]) -> None:
        started, before = time.perf_counter(), time.process_time()
        self.size_bytes = work()
        self.seconds = min(self.seconds, time.perf_counter() - started)
        self.cpu = min(self.cpu, time.process_time() - before)


def in_turns(one: Callable[[], int], other: Callable[[], int], runs: int) -> tuple[Best, Best]:
    first, second = Best(), Best()
    for _ in range(runs):
        first.run(one)
        second.run(other)
    return first, second


def with_texts(table: pa.Table) -> pa.Table:
    """Spell the lists of a table, as ``write_csv`` cannot."""
    return pa.table(
        {
            name: json_lists(column.combine_chunks()) if pa.types.is_list(column.type) else column
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        plain = a_table(asked.rows, with_lists=False)
        listed = a_table(asked.rows, with_lists=True)
        cases: dict[str, tuple[pa.Table, dict[str, object]]] = {
            "ours, UTF-8": (plain, {}),
            "ours, UTF-8, guarded": (plain, {"is_guarded": True}),
            "ours, UTF-8, with a column of lists": (listed, {}),
            "ours, UTF-16LE": (plain, {"charset": Charset.UTF_16LE}),
            "ours, GBK": (plain, {"charset": Charset.GBK}),
            "ours, lines of JSON": (plain, {"format": ListFormat.JSON}),
        }
        for name, (table, how) in cases.items():
            spelt = with_texts(table)
            alone, own = in_turns(
                lambda t=spelt: written_alone(t, folder),
                lambda t=table, h=how: written_by_us(t, folder, **h),
                asked.runs,
            )
            share, of_cpu = alone.seconds / own.seconds, alone.cpu / own.cpu
            print(
                f"{name:<34} alone {alone.seconds:6.2f} s {alone.cpu:6.2f} CPU, ours "
                f"{own.seconds:6.2f} s {own.cpu:6.2f} CPU: {share:.2f} of its speed, {of_cpu:.2f} "
                f"by CPU{'' if share >= AIM else '  (below the aim)'}"
            )


if __name__ == "__main__":
    main()
