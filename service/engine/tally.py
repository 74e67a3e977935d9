"""Counts what was seen of a batch, and decides from that what becomes of it."""

from __future__ import annotations

from collections import Counter
from heapq import nsmallest

from service.engine.orders import (
    NewFile,
    NewMetaFile,
    NewStoreFile,
    Promoted,
    Reason,
    RowError,
)
from service.engine.rows import EMPTY_FILE, Flaw, Rows

#: Rows, reasons and ignored fields that are named; the others are only counted, or not even that.
NAMED = 100
#: Characters of the path of an ignored field that are told.
TOLD_LENGTH = 1000


class Tally:
    """What has been seen of a batch. Rows are noted in their order, file by file."""

    def __init__(self, tolerated_percentage: float) -> None:
        self._tolerated_percentage = tolerated_percentage
        self._errors: list[RowError] = []
        self._skipped: list[RowError] = []
        self._reasons: Counter[tuple[str, str]] = Counter()
        self._ignored: set[str] = set()
        self._row_count = 0
        self._failed_count = 0
        self._skipped_count = 0
        self._is_cut_off = False
        self._path: str | None = None
        self._first = 0

    @property
    def is_lost(self) -> bool:
        """The batch fails, whatever else is in it: nothing of it need be written any more."""
        return self._is_cut_off or (self._failed_count > 0 and not self._tolerated_percentage)

    @property
    def is_refused(self) -> bool:
        """More rows were refused than may be, if there are no others."""
        most = self._row_count * self._tolerated_percentage / 100
        return self.is_lost or self._failed_count > most

    def note(self, path: str, rows: Rows, skipped: tuple[Flaw, ...]) -> int:
        """Count rows; gives the running number in the batch of the first row of their file."""
        if path != self._path:
            self._path, self._first = path, self._row_count
        self._row_count += rows.table.num_rows + len(rows.flaws)
        self._failed_count += len(rows.flaws)
        self._skipped_count += len(skipped)
        _name(self._errors, path, rows.flaws)
        _name(self._skipped, path, skipped)
        for flaw in rows.flaws:
            reason = (flaw.code, flaw.message)
            if reason in self._reasons or len(self._reasons) < NAMED:
                self._reasons[reason] += 1
            # Nobody knows how many rows the rest of such a file would have had.
            self._is_cut_off |= flaw.ends_file and flaw.code != EMPTY_FILE
        # Those first in the alphabet, so that it does not matter in which order they were met.
        self._ignored = set(nsmallest(NAMED, self._ignored | rows.ignored))
        return self._first

    def refused(self, meta_files: tuple[NewMetaFile, ...]) -> Promoted:
        """Answer for a batch that fails."""
        return self._answer(Promoted(is_refused=True, meta_files=meta_files))

    def promoted(
        self,
        dataset_files: tuple[NewFile, ...],
        store_files: tuple[NewStoreFile, ...],
        namespaces: list[str],
        meta_files: tuple[NewMetaFile, ...],
    ) -> Promoted:
        """Answer for a batch whose rows were accepted, but for as many as may be refused."""
        return self._answer(
            Promoted(
                dataset_files=dataset_files,
                store_files=store_files,
                namespaces=tuple(namespaces),
                meta_files=meta_files,
                output_row_count=self._row_count - self._failed_count,
            )
        )

    def _answer(self, promoted: Promoted) -> Promoted:
        return promoted.model_copy(
            update={
                "input_row_count": self._row_count,
                "failed_row_count": self._failed_count,
                "skipped_row_count": self._skipped_count,
                "errors": tuple(self._errors),
                "skipped": tuple(self._skipped),
                "reasons": tuple(
                    Reason(code=code, message=message, row_count=count)
                    for (code, message), count in self._reasons.items()
                ),
                "ignored_fields": tuple(sorted(map(_told, self._ignored))),
            }
        )


def _name(named: list[RowError], path: str, flaws: tuple[Flaw, ...]) -> None:
    room = NAMED - len(named)
    named += [
        RowError(path=path, row=flaw.row, code=flaw.code, message=flaw.message)
        for flaw in flaws[:room]
    ]


def _told(path: str) -> str:
    """What can be kept of a path whose names rows chose."""
    return path.replace("\0", "\N{REPLACEMENT CHARACTER}")[:TOLD_LENGTH]
