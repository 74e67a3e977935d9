"""Reads CSV files into rows: a header of dotted paths, then one flat row per line.

Cells are texts and are read as texts in JSON are; an empty cell is an absent field.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from catalog.errors import Invalid
from catalog.schemas import Field, Kind, leaves
from service.engine.arrow_types import Column, arrow_type, has_column
from service.engine.fitting import fit
from service.engine.json_boundaries import Source
from service.engine.nesting import Misfit, Positions, valid
from service.engine.orders import Reading
from service.engine.rows import (
    EMPTY_FILE,
    EMPTY_HEADER,
    UNREADABLE_ROW,
    FileRefused,
    Flaw,
    Rows,
    Step,
)

#: Bytes parsed at a time. No row may be longer, nor may the header be.
BLOCK_BYTES = 8 << 20
#: Columns in a header: the documented most of a row.
MOST_COLUMNS = 10_000
#: Rows of another width than the header's in one block: more are no mishaps, and each is an object.
MOST_MISSHAPEN = 100_000
#: Characters of such a row that are kept for whoever must mend it.
KEPT_CHARACTERS = 1 << 10
#: A cell that stands in a row of our own after the last: if it is not found there, some quote
#: was never closed and took it in.
_END = b"\x1eend of rows\x1e"

#: Stands where bytes are not UTF-8: the last code point, which is none for texts.
_NO_TEXT = "\U0010ffff"
_MARKING = "profile-exports-marks"
_UTF_8 = codecs.getincrementaldecoder("utf-8")

_NESTED = frozenset({Kind.ARRAY, Kind.MAP, Kind.IDENTITY_MAP, Kind.SEGMENT_MEMBERSHIP})


class _Ended(io.RawIOBase):
    """A file as text, with a last row of our own.

    Arrow hands on no row that is not UTF-8 and has too many cells, not even to be refused. So
    what is not UTF-8 is marked by a character that no text has.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._rest = b""
        self._ready = b""
        self._end = b""
        #: Bytes handed on.
        self.position = 0
        #: Something was marked.
        self.is_marked = False

    def begin(self) -> bytes:
        """Give the first block, which stays to be read."""
        self._fill(BLOCK_BYTES)
        self._ready = self._ready.removeprefix(b"\xef\xbb\xbf")
        return self._ready

    def end_with(self, row: bytes) -> None:
        self._end = row

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Give as much as was asked for: Arrow takes less for a block of its own."""
        self._fill(size)
        if len(self._ready) < size:
            self._ready, self._end = self._ready + self._end, b""
        data, self._ready = self._ready[:size], self._ready[size:]
        self.position += len(data)
        return data

    def _fill(self, size: int) -> None:
        while len(self._ready) < size and (more := self._source.read(size - len(self._ready))):
            self._ready += self._text(self._rest + more)
        if len(self._ready) < size and self._rest:
            self._ready += self._marked(self._rest)
            self._rest = b""

    def _text(self, data: bytes) -> bytes:
        """Mark what is no text; what may be the start of a character waits for the next bytes."""
        if data.isascii():
            self._rest = b""
            return data
        decoder = _UTF_8()
        try:
            decoder.decode(data)
        except UnicodeDecodeError:
            self._rest = b""
            return self._marked(data)
        self._rest, _ = decoder.getstate()
        return data[: len(data) - len(self._rest)]

    def _marked(self, data: bytes) -> bytes:
        self.is_marked = True
        return data.decode(errors=_MARKING).encode()


def _mark(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return _NO_TEXT, error.end


codecs.register_error(_MARKING, _mark)


class _Misshapen(NamedTuple):
    """A row of another width than the header's."""

    row: int
    width: int
    #: As it was written, or how that begins.
    text: str


class CsvReader:
    """Turns CSV files of one schema into rows, block by block."""

    def __init__(self, fields: tuple[Field, ...], reading: Reading) -> None:
        self._fields = tuple(field for field in fields if has_column(field))
        self._leaves = {".".join(path): leaf for path, leaf in leaves(self._fields)}
        self._reading = reading
        self._parsing = parsing(reading)

    def work(self, source: Source) -> Iterator[Step]:
        """Yield the file's rows in order. Raises :class:`FileRefused` where that ends early."""
        ended = _Ended(source)
        start = ended.begin()
        if not start.strip():
            raise FileRefused("the file is empty", code=EMPTY_FILE)
        header = self._header(start)
        end = self._reading.delimiter.encode().join([_END] * len(header))
        ended.end_with(b"\n" + end + b"\n")
        file = pa.PythonFile(ended, mode="r")
        bad: list[_Misshapen] = []
        next_row = 1
        for batch, is_last in self._batches(file, header, bad):
            count = batch.num_rows
            wrong = np.array([each.row for each in bad], np.int64)
            candidates = np.arange(next_row, next_row + count + len(wrong))
            numbers = np.setdiff1d(candidates, wrong)[:count]
            next_row = int(numbers[-1]) + 1 if count else next_row
            around = tuple(each for each in bad if each.row < next_row or is_last)
            del bad[: len(around)]
            convert = self._doubtful_rows if ended.is_marked else self._rows
            yield Step(partial(convert, batch, numbers, around, header), ended.position)

    def _batches(
        self, file: pa.NativeFile, header: list[str], bad: list[_Misshapen]
    ) -> Iterator[tuple[pa.RecordBatch, bool]]:
        """Yield the rows below the header, and whether they are the last.

        ``bad`` gets misshapen ones by the time of the rows around them.
        """

        def note(row: pv.InvalidRow) -> str:
            if len(bad) == MOST_MISSHAPEN:
                return "error"
            text = (row.text or "")[:KEPT_CHARACTERS]
            bad.append(_Misshapen((row.number or 1) - 1, row.actual_columns, text))
            return "skip"

        held: pa.RecordBatch | None = None
        is_first = True
        with _refusing(header, bad):
            for batch in self._parse(file, header, note):
                if held is not None and held.num_rows:
                    yield held, False
                held = batch.slice(1) if is_first and batch.num_rows else batch
                is_first = is_first and not batch.num_rows
        if held is None or not held.num_rows or held.column(0)[-1].as_py() != _END:
            raise FileRefused("a quote is opened and never closed")
        yield held.slice(0, held.num_rows - 1), True

    def _parse(
        self,
        file: pa.NativeFile,
        header: list[str],
        note: Callable[[pv.InvalidRow], str],
    ) -> Iterable[pa.RecordBatch]:
        known = [
            name
            for name, field in zip(_names(header), header, strict=True)
            if field in self._leaves
        ]
        batches: Iterable[pa.RecordBatch] = pv.open_csv(
            file,
            read_options=pv.ReadOptions(
                use_threads=False, block_size=BLOCK_BYTES, autogenerate_column_names=True
            ),
            parse_options=pv.ParseOptions(
                **self._parsing, newlines_in_values=True, invalid_row_handler=note
            ),
            convert_options=pv.ConvertOptions(
                check_utf8=False,
                # The first column is always read: it tells where the rows end.
                include_columns=list(dict.fromkeys(["f0", *known])),
                column_types=dict.fromkeys(_names(header), pa.binary()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
        return batches

    def _header(self, start: bytes) -> list[str]:
        lines = csv.reader(
            io.StringIO(start.decode("utf-8", "replace"), newline=""),
            delimiter=self._reading.delimiter,
            quotechar=self._reading.quote or None,
            quoting=csv.QUOTE_MINIMAL if self._reading.quote else csv.QUOTE_NONE,
            escapechar=self._reading.escape,
        )
        try:
            header = [name.strip() for name in next(line for line in lines if line)]
        except csv.Error as problem:
            raise FileRefused(f"the header cannot be read: {problem}") from None
        if not any(header):
            raise FileRefused("the header names no field", code=EMPTY_HEADER)
        if len(header) > MOST_COLUMNS:
            raise FileRefused(
                f"the header names {len(header):,} fields: {MOST_COLUMNS:,} is the most"
            )
        for name in self._leaves:
            if header.count(name) > 1:
                raise FileRefused(f"the header names {name} twice")
            if name in header and self._leaves[name].kind in _NESTED:
                raise FileRefused(f"{name} holds a list or a map: CSV cannot")
        return header

    def _rows(
        self,
        batch: pa.RecordBatch,
        numbers: Positions,
        misshapen: tuple[_Misshapen, ...],
        header: list[str],
    ) -> Rows:
        cells = {
            field: batch.column(name).cast(pa.string(), safe=False)
            for name, field in zip(_names(header), header, strict=True)
            if field in self._leaves
        }
        misfits: list[Misfit] = []
        columns = [
            self._column(field, field.name, cells, batch.num_rows, misfits)
            for field in self._fields
        ]
        rows = Rows(
            table=pa.table(columns, names=[field.name for field in self._fields]),
            numbers=numbers,
            flaws=tuple(
                Flaw(
                    row,
                    UNREADABLE_ROW,
                    f"{width} cells where the header has {len(header)}",
                )
                for row, width, _ in misshapen
            ),
            ignored=frozenset(header) - self._leaves.keys() - {""},
            original=partial(
                _original, cells, numbers, {each.row: each.text for each in misshapen}
            ),
        )
        return rows.without(misfits, UNREADABLE_ROW)

    def _doubtful_rows(
        self,
        batch: pa.RecordBatch,
        numbers: Positions,
        misshapen: tuple[_Misshapen, ...],
        header: list[str],
    ) -> Rows:
        """Read rows some of which may have marks where they are not UTF-8, and refuse those."""
        rows = self._rows(batch, numbers, misshapen, header)
        marked = np.zeros(batch.num_rows, bool)
        for column in batch.columns:
            has_mark = pc.match_substring(column.cast(pa.string(), safe=False), _NO_TEXT)
            marked |= pc.fill_null(has_mark, False).to_numpy(zero_copy_only=False)  # noqa: FBT003
        wrong = np.isin(rows.numbers, numbers[marked])
        misfits = [Misfit(np.flatnonzero(wrong), "the row is not UTF-8")] if wrong.any() else []
        return rows.without(misfits, UNREADABLE_ROW)

    def _column(
        self, field: Field, path: str, cells: dict[str, Column], count: int, misfits: list[Misfit]
    ) -> Column:
        """Build a field's column; an object is there when any of its leaves is."""
        if field.kind is not Kind.OBJECT:
            return fit(cells.get(path, pa.nulls(count)), field, path, misfits)
        parts = [
            self._column(inner, f"{path}.{inner.name}", cells, count, misfits)
            for inner in field.fields
            if has_column(inner)
        ]
        absent = np.logical_and.reduce([~valid(part) for part in parts])
        return pa.StructArray.from_arrays(
            parts, fields=list(arrow_type(field)), mask=pa.array(absent)
        )


def _original(
    cells: Mapping[str, Column], numbers: Positions, misshapen: Mapping[int, str], number: int
) -> bytes | Mapping[str, object]:
    """Give a row's cells by the field they are of, or the text that has too many or too few."""
    if number in misshapen:
        return misshapen[number].replace(_NO_TEXT, "\ufffd").encode(errors="replace")
    (position,) = np.flatnonzero(numbers == number)
    found = {field: column[int(position)] for field, column in cells.items()}
    return {
        field: cell.as_buffer().to_pybytes().decode(errors="replace").replace(_NO_TEXT, "\ufffd")
        for field, cell in found.items()
        if cell.is_valid
    }


def _names(header: list[str]) -> list[str]:
    return [f"f{number}" for number in range(len(header))]


def parsing(reading: Reading) -> dict[str, Any]:
    """Give delimiter, quote and escape as parsers take them; refuses with Invalid."""
    marks = {"delimiter": reading.delimiter, "quote": reading.quote, "escape": reading.escape}
    for name, mark in marks.items():
        is_optional = name != "delimiter"
        if not (is_optional and not mark) and (mark is None or len(mark.encode()) != 1):
            raise Invalid(f"{name} {mark!r}: one ASCII character is needed")
    if reading.delimiter in {reading.quote, reading.escape}:
        raise Invalid(f"delimiter {reading.delimiter!r}: quote and escape must be others")
    return {
        "delimiter": reading.delimiter,
        "quote_char": reading.quote or False,
        "escape_char": reading.escape or False,
    }


@contextmanager
def _refusing(header: list[str], bad: list[_Misshapen]) -> Iterator[None]:
    """Refuse a file as such when Arrow does."""
    try:
        yield
    except pa.ArrowInvalid as problem:
        if len(bad) == MOST_MISSHAPEN:
            raise FileRefused(
                f"{MOST_MISSHAPEN:,} rows have not the {len(header)} cells of the header:"
                " is the delimiter right?"
            ) from None
        raise FileRefused(_explained(str(problem))) from None
    except pa.ArrowKeyError:  # Arrow sees fewer columns in the header than we
        raise FileRefused("the header cannot be read") from None


def _explained(problem: str) -> str:
    if "straddl" in problem:
        return f"a row is longer than {BLOCK_BYTES:,} bytes, or a quote is never closed"
    return f"not readable as CSV: {problem.partition(chr(10))[0]}"
