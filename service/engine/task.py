"""Runs one task of a plan: slice by slice, fragments and events become rows of one part."""

from __future__ import annotations

from collections import Counter

from service.engine.merging import Merge
from service.engine.orders import ExportOrder, Part
from service.engine.plan import Plan
from service.engine.writer import writing_part
from service.storage.files import Files


def run_task(order: ExportOrder, plan: Plan, number: int, files: Files) -> Part:
    """Write the part of one task. The same bytes come of it whenever and wherever it is run."""
    plan.check_is_of(order)
    merge = Merge(order, plan, files)
    key = f"{order.folder}/part-{number:05d}.parquet"
    counters: Counter[str] = Counter({"profiles": 0, "events": 0})
    counters["excluded"] = plan.excluded_count if number == 0 else 0
    with writing_part(files, key, merge.schema) as (writer, sink):
        for prefix in plan.tasks[number].prefixes():
            rows = merge.slice(prefix, counters)
            if rows is not None:
                writer.write(rows)
    written = sink.written()
    return Part(
        number=number,
        key=key,
        size_bytes=written.size_bytes,
        row_count=writer.row_count,
        sha256=written.sha256,
        counters=dict(counters),
    )
