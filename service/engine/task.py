"""Runs one task of a plan: slice by slice, fragments and events become rows of its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack

from service.engine.merging import Merge
from service.engine.orders import ExportOrder, Part
from service.engine.plan import Plan
from service.engine.writer import PartWriter, writing_part
from service.storage.files import Files


def run_task(order: ExportOrder, plan: Plan, number: int, files: Files) -> list[Part]:
    """Write the parts of one task. The same bytes come of it whenever and wherever it is run."""
    plan.check_is_of(order)
    task = plan.tasks[number]
    merge = Merge(order, plan, files)
    counters = {batch: Counter({"profiles": 0, "events": 0}) for batch in task.batches()}
    if number == 0:
        counters[0]["excluded"] = plan.excluded_count
    keys = {batch: _key(order, number, batch) for batch in task.batches()}
    with ExitStack() as stack:
        writing = {
            batch: stack.enter_context(writing_part(files, key, merge.schema))
            for batch, key in keys.items()
        }
        writers = {batch: writer for batch, (writer, _) in writing.items()}
        for prefix in task.prefixes():
            for batch, rows in merge.slice(prefix, counters):
                writers[batch].write(rows)
            _bound(writers, order.slice_size_bytes)
    return [
        Part(
            number=number,
            batch=batch,
            key=keys[batch],
            size_bytes=sink.written().size_bytes,
            row_count=writer.row_count,
            sha256=sink.written().sha256,
            counters=dict(counters[batch]),
        )
        for batch, (writer, sink) in writing.items()
    ]


def _key(order: ExportOrder, number: int, batch: int) -> str:
    return f"{order.folder}/part-{number:05d}-{batch:05d}.parquet"


def _bound(writers: Mapping[int, PartWriter], most_bytes: int) -> None:
    """Write the rows that wait, the most first, until no more than some bytes of all wait.

    One batch alone waits until it fills a row group, as its readers like it.
    """
    if len(writers) == 1:
        return
    waiting = sorted(writers.values(), key=lambda writer: -writer.waiting_bytes)
    total = sum(writer.waiting_bytes for writer in waiting)
    for writer in waiting:
        if total <= most_bytes:
            return
        total -= writer.waiting_bytes
        writer.flush()
