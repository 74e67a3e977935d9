"""Promotes a batch: reads its uploads, checks every row, and writes what becomes of them.

Reading goes file by file in the order of their paths, so that the running numbers of rows, and
with them all results, are the same however often and on however many threads it is done. Once it
is certain that nothing of a batch will be published, rows are only counted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np

from catalog.batches import FileFormat
from catalog.schemas import Field
from service.engine import row_errors
from service.engine.arrow_types import arrow_schema
from service.engine.csv_rows import CsvReader
from service.engine.dataset_files import DatasetFiles
from service.engine.json_rows import JsonReader
from service.engine.lanes import Lane, in_order
from service.engine.nesting import Misfit
from service.engine.orders import NewFile, Progress, Promoted, PromotionOrder
from service.engine.parquet_rows import ParquetReader
from service.engine.profile_rows import ProfileRows
from service.engine.row_checks import missing
from service.engine.row_errors import RowErrors
from service.engine.row_identities import Brought, Identified, identify
from service.engine.rows import MISSING_FIELD, SKIPPED_ROW, FileRefused, Flaw, Rows, Step, Work
from service.engine.store_rows import Shape, StoreRows
from service.engine.tally import Tally
from service.engine.uploads import Upload
from service.storage.files import Files

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
    tally = Tally(order.tolerated_percentage)
    with (
        files.scratch(order.folder) as scratch,
        ThreadPoolExecutor(order.threads) as pool,
        Lane() as publishing,
        Lane() as sorting,
        RowErrors(files, order.folder) as errors,
        DatasetFiles(files, order.folder, checks.schema) as dataset,
    ):
        profile = ProfileRows(
            checks.shape, scratch, is_event=order.is_event, is_upsert=order.is_upsert
        )
        uploads = _uploads(order, files, checks, _Pace(report, "reading", _size(order)))
        for each in in_order(pool, checks.check, uploads, ahead=order.threads):
            checked = checks.together(each)
            first = tally.note(checked.path, checked.rows, checked.skipped)
            errors.add(checked.told)
            checks.is_telling = order.with_diagnostics and not errors.is_full
            if tally.is_lost:
                continue
            if order.for_dataset:
                publishing.run(dataset.add, checked.rows.table)
            if checked.store is not None:
                sorting.run(profile.add, checked.store, first)
        about = errors.close(order.uploads) if order.with_diagnostics else ()
        if tally.is_refused:
            return tally.refused(about)
        publishing.settle()
        sorting.settle()
        closing = pool.submit(dataset.close if order.for_dataset else tuple[NewFile, ...])
        pace = _Pace(report, "sorting", profile.size_bytes)
        store_files = (
            profile.write(files, order.folder, order.secret, pool, pace.advance)
            if order.for_profile
            else ()
        )
        return tally.promoted(closing.result(), store_files, profile.codes, about)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """Rows of one upload after all checks; what those bring to the profile store that passed."""

    path: str
    rows: Rows
    store: StoreRows | None = None
    #: Rows that are in ``rows`` and not in ``store``.
    skipped: tuple[Flaw, ...] = ()
    #: The refused rows and the skipped ones, as lines for those who must mend them.
    told: tuple[bytes, ...] = ()


class _Checks:
    """What a row must be, by the order. May be used by several threads at once."""

    def __init__(self, order: PromotionOrder) -> None:
        self._order = order
        self._brought = Brought(order.identity_rules)
        #: Refused rows are still to be told.
        self.is_telling = order.with_diagnostics
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

    def nothing(self, refused: FileRefused) -> Rows:
        """Give no rows, for the reason that a file was refused for."""
        empty = self.schema.empty_table()
        return Rows(table=empty, numbers=np.empty(0, np.int64), flaws=(refused.flaw,))

    def check(self, piece: tuple[str, Work]) -> _Checked:
        """Convert rows and refuse those that lack something."""
        path, work = piece
        try:
            return self._checked(path, work())
        except FileRefused as refused:
            return self.refused(path, refused)

    def together(self, checked: _Checked) -> _Checked:
        """Refuse what only all rows so far are too much for. To be asked in their order."""
        try:
            self._brought.add(checked.store.codes if checked.store is not None else ())
        except FileRefused as refused:
            return self.refused(checked.path, refused)
        return checked

    def refused(self, path: str, refused: FileRefused) -> _Checked:
        """Give no rows, for the reason that a file was refused for."""
        rows = self.nothing(refused)
        return _Checked(path=path, rows=rows, told=self._told(path, rows, ()))

    def _checked(self, path: str, rows: Rows) -> _Checked:
        absent = missing(rows.table, self.fields, is_event=self._order.is_event)
        rows = rows.without(absent, MISSING_FIELD)
        store, skipped = None, tuple[Flaw, ...]()
        if self._order.for_profile:
            rows, store, skipped = self._identified(rows)
        told = self._told(path, rows, skipped)
        rows = replace(rows, original=None)  # it holds the block the rows were read from
        return _Checked(path=path, rows=rows, store=store, skipped=skipped, told=told)

    def _told(self, path: str, rows: Rows, skipped: tuple[Flaw, ...]) -> tuple[bytes, ...]:
        if not self.is_telling or not (rows.flaws or skipped):
            return ()
        return tuple(row_errors.told(path, rows, skipped))

    def _identified(self, rows: Rows) -> tuple[Rows, StoreRows | None, tuple[Flaw, ...]]:
        """Refuse rows without a primary identity; give what the others bring, and who does not.

        Nothing is brought when any was refused and none may be: then the batch fails.
        """
        identified, misfits = self._identify(rows)
        if misfits:
            rows = rows.without(misfits, MISSING_FIELD)
            if self._order.tolerated_percentage:
                identified, _ = self._identify(rows)
        if identified is None or (rows.flaws and not self._order.tolerated_percentage):
            return rows, None, ()
        stored, skipped = rows, identified.skipped
        if len(skipped):
            stored = rows.but(skipped)
            identified, _ = self._identify(stored)
            assert identified is not None
        store = self.shape.store_rows(stored.table, stored.numbers, identified)
        message = f"an ECID that has not {self._order.identity_rules.ecid_digits} digits"
        numbers = rows.numbers[skipped].tolist()
        return rows, store, tuple(Flaw(number, SKIPPED_ROW, message) for number in numbers)

    def _identify(self, rows: Rows) -> tuple[Identified | None, list[Misfit]]:
        order = self._order
        return identify(rows.table, order.identities, order.secret, order.identity_rules)


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
            yield upload.path, partial(_given, checks.nothing(refused))


def _given(rows: Rows) -> Rows:
    return rows


def _size(order: PromotionOrder) -> int:
    return sum(upload.size_bytes for upload in order.uploads)


class _Pace:
    """Reports how far one phase is, as often as it gets on: whoever listens leaves some out."""

    def __init__(self, report: Report, phase: str, total: int) -> None:
        self._report = report
        self._phase = phase
        self._total = total
        self._done = 0
        self._lock = threading.Lock()

    def advance(self, done: int) -> None:
        with self._lock:
            self._done = min(self._total, self._done + done)
            self._report(Progress(phase=self._phase, done=self._done, total=self._total))
