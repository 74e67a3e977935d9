"""Rows as readers hand them on: columns of the schema, and the rows that were refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from service.engine.nesting import Misfit, Positions, taken

#: Codes of the contract sheet, section 3.
EMPTY_FILE = "106"
EMPTY_HEADER = "118"
UNREADABLE_ROW = "INGEST-1401-400"
MISSING_FIELD = "INGEST-1555-400"
#: Of a whole batch with refused rows: with diagnostics, and without.
REFUSED_ROWS = "INGEST-1212-400"
NO_DIAGNOSTICS = "INGEST-1211-400"
#: Ours: of rows that are in the data set and not in the profile store.
SKIPPED_ROW = "skipped_row"

#: Ours: of a batch whose rows name more namespaces than they may bring.
TOO_MANY_NAMESPACES = "too_many_namespaces"

#: A row number that means the file as a whole.
WHOLE_FILE = 0


class Flaw(NamedTuple):
    """Why one row was refused."""

    #: Counted from 1 in its file; :data:`WHOLE_FILE` when nothing more can be read of it.
    row: int
    code: str
    message: str
    #: Nothing behind it could be read.
    ends_file: bool = False


#: Gives a refused row as its file has it, by its number: a text, or values by name.
Original: TypeAlias = "Callable[[int], bytes | Mapping[str, object]]"


class FileRefused(Exception):
    """Nothing, or nothing more, can be read of a file."""

    def __init__(self, message: str, *, code: str = UNREADABLE_ROW, row: int = WHOLE_FILE) -> None:
        super().__init__(message)
        self.flaw = Flaw(row, code, message, ends_file=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A run of rows of one file."""

    #: The rows that were accepted, nested as the schema is.
    table: pa.Table
    #: Their numbers, counted from 1 in the file.
    numbers: Positions
    #: The rows that were not, one flaw each, in the file's order.
    flaws: tuple[Flaw, ...] = ()
    #: Paths that occurred and are not in the schema.
    ignored: frozenset[str] = frozenset()
    #: For people who must mend what was refused; what :func:`together` joins has none.
    original: Original | None = None

    def without(self, misfits: Sequence[Misfit], code: str) -> Rows:
        """Refuse more rows; of a row with several misfits the first stands."""
        if not misfits:
            return self
        messages: dict[int, str] = {}
        for misfit in misfits:
            for position in np.unique(misfit.rows).tolist():
                messages.setdefault(position, misfit.message)
        flaws = [Flaw(int(self.numbers[at]), code, text) for at, text in messages.items()]
        flaws = sorted((*self.flaws, *flaws))
        return replace(self.but(np.array(list(messages))), flaws=tuple(flaws))

    def but(self, positions: Positions) -> Rows:
        """Leave out some rows."""
        kept = np.ones(len(self.numbers), bool)
        kept[positions] = False
        return replace(self, table=self.table.filter(pa.array(kept)), numbers=self.numbers[kept])

    def in_order(self) -> Rows:
        """Bring rows and flaws into the order of the file."""
        order = np.argsort(self.numbers)
        return replace(
            self,
            table=taken(self.table, order),
            numbers=self.numbers[order],
            flaws=tuple(sorted(self.flaws)),
        )


#: Rows yet to be converted: reading a file is one thing after another, this may be done beside it.
Work: TypeAlias = "Callable[[], Rows]"


class Step(NamedTuple):
    """One run of rows to be converted, and how far the file is read by then."""

    work: Work
    position_bytes: int


def together(parts: Iterable[Rows]) -> Rows:
    """Join consecutive runs of rows into one."""
    parts = list(parts)
    return Rows(
        table=pa.concat_tables([part.table for part in parts]),
        numbers=np.concatenate([part.numbers for part in parts]),
        flaws=tuple(flaw for part in parts for flaw in part.flaws),
        ignored=frozenset().union(*(part.ignored for part in parts)),
    )
