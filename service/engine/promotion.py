"""Promotes a batch: reads its uploads, checks every row, and writes what becomes of them.

Reading goes file by file in the order of their paths, so that the running numbers of rows, and
with them all results, are the same however often and on however many threads it is done. Of a
batch in which any row is refused nothing is published, so from the first flaw on rows are only
counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from heapq import nsmallest
from typing import Protocol

import numpy as np

from catalog.batches import FileFormat
from catalog.schemas import Field
from service.engine.arrow_types import arrow_schema
from service.engine.csv_rows import CsvReader
from service.engine.dataset_files import DatasetFiles
from service.engine.json_rows import JsonReader
from service.engine.lanes import Lane, in_order
from service.engine.orders import (
    NewFile,
    NewStoreFile,
    Progress,
    Promoted,
    PromotionOrder,
    RowError,
)
from service.engine.parquet_rows import ParquetReader
from service.engine.profile_rows import ProfileRows
from service.engine.row_checks import missing
from service.engine.row_identities import identify
from service.engine.rows import MISSING_FIELD, FileRefused, Rows, Step, Work
from service.engine.store_rows import Shape, StoreRows
from service.engine.uploads import Upload
from service.storage.files import Files

#: Errors and ignored fields that are named; the others are only counted, or not even that.
NAMED = 100
#: Seconds between two reports of progress.
REPORT_EVERY = 0.25

Report = Callable[[Progress], None]


class Reader(Protocol):
    """Turns uploads of one format into rows."""

    def work(self, source: Upload, /) -> Iterator[Step]: ...


def promote(order: PromotionOrder, files: Files, report: Report) -> Promoted:
    """Turn the uploads of a batch into data set files and, if asked, store files.

    The answer names the files, or the rows for whose sake there are none; what was written
    until then is left behind, under keys that nobody knows. Refuses with Invalid when the order
    says to read uploads in a way that cannot be.
    """
    checks = _Checks(order)
    tally = _Tally()
    with (
        files.scratch() as scratch,
        ThreadPoolExecutor(order.threads) as pool,
        Lane() as publishing,
        Lane() as sorting,
        DatasetFiles(files, order.folder, checks.schema) as dataset,
    ):
        profile = ProfileRows(
            checks.shape, scratch, is_event=order.is_event, is_upsert=order.is_upsert
        )
        uploads = _uploads(order, files, checks, _Pace(report, "reading", _size(order)))
        for checked in in_order(pool, checks.check, uploads, ahead=order.threads):
            first = tally.note(checked.path, checked.rows)
            if tally.errors:
                continue
            publishing.run(dataset.add, checked.rows.table)
            if checked.store is not None:
                sorting.run(profile.add, checked.store, first)
        if tally.errors:
            return tally.refused()
        publishing.settle()
        sorting.settle()
        closing = pool.submit(dataset.close)
        pace = _Pace(report, "sorting", profile.size_bytes)
        store_files = (
            profile.write(files, order.folder, order.secret, pool, pace.advance)
            if order.for_profile
            else ()
        )
        return tally.promoted(closing.result(), store_files, profile.codes)


@dataclass(frozen=True, slots=True)
class _Checked:
    """Rows of one upload after all checks; what they bring to the profile store if all passed."""

    path: str
    rows: Rows
    store: StoreRows | None = None


class _Checks:
    """What a row must be, by the order. May be used by several threads at once."""

    def __init__(self, order: PromotionOrder) -> None:
        self._order = order
        self.fields = tuple(Field.from_json(document) for document in order.fields)
        self.schema = arrow_schema(self.fields)
        self.shape = Shape(self.fields, is_event=order.is_event, unlinked=order.unlinked_namespaces)

    def reader(self) -> Reader:
        match self._order.reading.format:
            case FileFormat.JSON:
                return JsonReader(self.fields)
            case FileFormat.CSV:
                return CsvReader(self.fields, self._order.reading)
            case FileFormat.PARQUET:
                return ParquetReader(self.fields)

    def check(self, piece: tuple[str, Work]) -> _Checked:
        """Convert rows and refuse those that lack something."""
        path, work = piece
        rows = work()
        absent = missing(rows.table, self.fields, is_event=self._order.is_event)
        rows = rows.without(absent, MISSING_FIELD)
        if not self._order.for_profile:
            return _Checked(path, rows)
        identified, misfits = identify(rows.table, self._order.identities, self._order.secret)
        rows = rows.without(misfits, MISSING_FIELD)
        if identified is None or rows.flaws:
            return _Checked(path, rows)
        return _Checked(path, rows, self.shape.store_rows(rows.table, rows.numbers, identified))


def _uploads(
    order: PromotionOrder, files: Files, checks: _Checks, pace: _Pace
) -> Iterator[tuple[str, Work]]:
    """Yield what is to be converted, upload by upload; a file that is refused ends with a flaw."""
    reader = checks.reader()
    for upload in sorted(order.uploads, key=lambda upload: upload.path.encode()):
        position = 0
        try:
            for step in reader.work(Upload(files, upload.key, upload.size_bytes)):
                pace.advance(step.position_bytes - position)
                position = step.position_bytes
                yield upload.path, step.work
        except FileRefused as refused:
            rows = Rows(
                table=checks.schema.empty_table(),
                numbers=np.empty(0, np.int64),
                flaws=(refused.flaw,),
            )
            yield upload.path, partial(_given, rows)


def _given(rows: Rows) -> Rows:
    return rows


def _size(order: PromotionOrder) -> int:
    return sum(upload.size_bytes for upload in order.uploads)


class _Tally:
    """What has been seen of a batch."""

    def __init__(self) -> None:
        self.errors: list[RowError] = []
        self._ignored: set[str] = set()
        self._row_count = 0
        self._failed_count = 0
        self._path: str | None = None
        self._first = 0

    def note(self, path: str, rows: Rows) -> int:
        """Count rows; gives the running number in the batch of the first row of their file."""
        if path != self._path:
            self._path, self._first = path, self._row_count
        self._row_count += rows.table.num_rows + len(rows.flaws)
        self._failed_count += len(rows.flaws)
        room = NAMED - len(self.errors)
        self.errors += [
            RowError(path=path, row=flaw.row, code=flaw.code, message=flaw.message)
            for flaw in rows.flaws[:room]
        ]
        # Those first in the alphabet, so that it does not matter in which order they were met.
        self._ignored = set(nsmallest(NAMED, self._ignored | rows.ignored))
        return self._first

    def refused(self) -> Promoted:
        """Answer for a batch that fails."""
        return self._answer(Promoted())

    def promoted(
        self,
        dataset_files: tuple[NewFile, ...],
        store_files: tuple[NewStoreFile, ...],
        namespaces: list[str],
    ) -> Promoted:
        """Answer for a batch whose rows were all accepted."""
        return self._answer(
            Promoted(
                dataset_files=dataset_files,
                store_files=store_files,
                namespaces=tuple(namespaces),
                output_row_count=self._row_count,
            )
        )

    def _answer(self, promoted: Promoted) -> Promoted:
        return promoted.model_copy(
            update={
                "input_row_count": self._row_count,
                "failed_row_count": self._failed_count,
                "errors": tuple(self.errors),
                "ignored_fields": tuple(sorted(self._ignored)),
            }
        )


class _Pace:
    """Reports how far one phase is, not more often than anybody wants to know."""

    def __init__(self, report: Report, phase: str, total: int) -> None:
        self._report = report
        self._phase = phase
        self._total = total
        self._done = 0
        self._next_at = time.monotonic() + REPORT_EVERY
        self._lock = threading.Lock()

    def advance(self, done: int) -> None:
        with self._lock:
            self._done = min(self._total, self._done + done)
            if time.monotonic() < self._next_at:
                return
            self._next_at = time.monotonic() + REPORT_EVERY
            self._report(Progress(phase=self._phase, done=self._done, total=self._total))
