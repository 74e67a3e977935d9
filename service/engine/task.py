"""Runs one task of a plan: slice by slice, fragments and events become rows of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack

from service.engine.merging import Merge
from service.engine.orders import ExportOrder, Part
from service.engine.plan import Plan
from service.engine.side_by_side import Note
from service.engine.slices import Opening
from service.engine.table_files import TableWriter, writing_table_part
from service.engine.tallies import Tally
from service.engine.writer import PartWriter, writing_part
from service.storage.files import Files, Writing


def run_task(
    order: ExportOrder,
    plan: Plan,
    number: int,
    files: Files,
    note: Note,
    opening: Opening | None = None,
) -> list[Part]:
    """Write the parts of one task. The same bytes come of it whenever and wherever it is run.

    Tasks of one plan that are run in one process should be given one ``opening`` of it.
    """
    plan.check_is_of(order)
    task = plan.tasks[number]
    merge = Merge(order, plan, files, opening)
    tallies = {batch: Tally() for batch in task.batches()}
    if number == 0:
        tallies[0].counters["excluded"] = plan.excluded_count
    keys = {batch: _key(order, number, batch) for batch in task.batches()}
    with ExitStack() as stack:
        writing = {
            batch: stack.enter_context(_writing(order, merge, number, key, files))
            for batch, key in keys.items()
        }
        writers = {batch: writer for batch, (writer, _) in writing.items()}
        written_bytes = 0
        for prefix in task.prefixes():
            profiles = 0
            for batch, rows in merge.slice(prefix, tallies):
                writers[batch].write(rows)
                profiles += rows.num_rows
                del rows  # or they would stay in memory while the next slice is merged
            _bound(writers, order.slice_size_bytes)
            before = written_bytes
            written_bytes = sum(map(_size, *zip(*writing.values(), strict=True)))
            note(profiles, written_bytes - before)
    return [
        Part(
            number=number,
            batch=batch,
            key=keys[batch],
            size_bytes=sink.written().size_bytes,
            row_count=writer.row_count,
            sha256=sink.written().sha256,
            counters=dict(tallies[batch].counters),
            exclusions=_list(merge, tallies[batch], keys[batch], files),
        )
        for batch, (writer, sink) in writing.items()
    ]


def _writing(
    order: ExportOrder, merge: Merge, number: int, key: str, files: Files
) -> AbstractContextManager[tuple[PartWriter | TableWriter, Writing]]:
    if order.table is None:
        return writing_part(files, key, merge.schema)
    return writing_table_part(files, key, order.table, is_first=number == 0)


def _size(writer: PartWriter | TableWriter, sink: Writing) -> int:
    """Count what was written so far, with what is still on its way to the file."""
    return writer.size_bytes if isinstance(writer, PartWriter) else sink.tell()


def _list(merge: Merge, tally: Tally, part_key: str, files: Files) -> str | None:
    """List the profiles of a part that are not whole, beside it; None when all are."""
    if not tally.shortened.count:
        return None
    key = part_key.replace("/part-", "/shortened-")
    tally.shortened.write(merge.snapshot, key, files)
    return key


def _key(order: ExportOrder, number: int, batch: int) -> str:
    suffix = "parquet" if order.table is None else order.table.format
    return f"{order.folder}/part-{number:05d}-{batch:05d}.{suffix}"


def _bound(writers: Mapping[int, PartWriter | TableWriter], most_bytes: int) -> None:
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
