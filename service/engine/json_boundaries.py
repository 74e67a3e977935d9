"""Finds where one JSON row ends and the next begins, however a file lays them out.

Three layouts are told apart by looking: one object per line, one array of objects, and objects
one after another that may spread over lines. Only brackets and quotes are looked at; whether a
row is JSON at all is for its reader to say. Memory is one block, whatever the file's size.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from service.engine.rows import EMPTY_FILE, FileRefused

#: Bytes handed on at a time: large enough for columns to pay, small enough to hold several.
BLOCK_BYTES = 4 << 20
#: Rows handed on at a time: each may be refused, and then it is a Python object.
BLOCK_ROWS = 1 << 16
#: No row may be longer: a record has at most 100 KB by the sheet, and finding the end of a row
#: takes several times its size.
ROW_BYTES = 32 << 20
#: No row may nest deeper. Readers recurse, and no schema of a hundred levels was ever seen.
DEPTH = 200

_BOM = b"\xef\xbb\xbf"
_WHITESPACE = b" \t\r\n"
_QUOTE, _BACKSLASH, _COMMA, _NEWLINE = b'"\\,\n'

Bytes = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int64]


class Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows: nothing but white space lies between them."""

    data: bytes | bytearray
    #: Where each row starts and stops in ``data``.
    starts: Positions
    stops: Positions
    #: Number of the first row, counted from 1 in its file.
    first: int

    def __len__(self) -> int:
        return len(self.starts)

    def row(self, position: int) -> bytes:
        return bytes(self.data[self.starts[position] : self.stops[position]])

    def text(self) -> bytes:
        """Give all rows as one text that ends with a line."""
        if not len(self):
            return b""
        return bytes(self.data[self.starts[0] : self.stops[-1]]) + b"\n"

    def rows(self, start: int, stop: int) -> Block:
        """Give some of the rows, as a block of their own."""
        return Block(self.data, self.starts[start:stop], self.stops[start:stop], self.first + start)

    def cuts(self, size_bytes: int) -> Positions:
        """Tell before which rows to cut for parts of about this many bytes."""
        marks = (self.starts - self.starts[:1]) // size_bytes
        return np.flatnonzero(np.diff(marks)) + 1


class Boundaries:
    """Divides one file into blocks of rows."""

    def __init__(self, source: Source, block_bytes: int) -> None:
        self._source = source
        self._block_bytes = block_bytes
        self._carry = b""
        self._rows = 0
        #: Bytes read so far.
        self.position = 0

    def blocks(self) -> Iterator[Block]:
        """Yield the file's rows in order. Raises :class:`FileRefused` where that ends early."""
        start = self._read(self._block_bytes).removeprefix(_BOM)
        while not start.lstrip(_WHITESPACE) and (more := self._read(self._block_bytes)):
            start = more
        self._carry = start.lstrip(_WHITESPACE)
        if not self._carry:
            raise FileRefused("the file is empty", code=EMPTY_FILE)
        for block in self._layout():
            for first in range(0, len(block), BLOCK_ROWS):
                yield block.rows(first, first + BLOCK_ROWS)

    def _layout(self) -> Iterator[Block]:
        if self._carry.startswith(b"["):
            self._carry = self._carry[1:]
            return self._elements()
        return self._concatenated() if self._is_spread_over_lines() else self._lines()

    def _read(self, size: int) -> bytes:
        data = self._source.read(size)
        self.position += len(data)
        return data

    def _more(self) -> bool:
        """Read on after what is carried; at least as much, so that long rows are not slow."""
        if len(self._carry) > ROW_BYTES:
            limit = ROW_BYTES >> 20
            raise FileRefused(
                f"a row is longer than {limit} MiB, or never ends", row=self._rows + 1
            )
        data = self._read(max(self._block_bytes, len(self._carry)))
        self._carry += data
        return bool(data)

    def _is_spread_over_lines(self) -> bool:
        """Tell whether the first line starts an object that it does not end."""
        while b"\n" not in self._carry and self._more():
            pass
        line = self._carry.split(b"\n", 1)[0].rstrip(_WHITESPACE)
        try:
            text = line.decode()
            json.loads(text)
        except json.JSONDecodeError as problem:
            return problem.pos >= len(text)
        except (ValueError, RecursionError):
            return False
        return False

    def _block(self, data: bytes | bytearray, starts: Positions, stops: Positions) -> Block:
        block = Block(data, starts, stops, self._rows + 1)
        self._rows += len(starts)
        return block

    def _lines(self) -> Iterator[Block]:
        while True:
            end = self._carry.rfind(b"\n") + 1
            if end:
                data, self._carry = self._carry[:end], self._carry[end:]
                yield self._block(data, *_lines_of(data))
            if not self._more():
                break
        yield self._block(self._carry, *_lines_of(self._carry + b"\n"))

    def _elements(self) -> Iterator[Block]:
        is_first, is_closed = True, False
        while not is_closed:
            commas, ends = _element_ends(self._carry)
            is_closed = bool(ends.size)
            edges = np.concatenate((commas, ends))
            if edges.size:
                data = bytearray(self._carry[: edges[-1] + 1])
                self._carry = self._carry[len(data) :]
                np.frombuffer(data, np.uint8)[edges] = _NEWLINE
                if is_first and is_closed and not data.strip():
                    return self._nothing_follows()  # an array without elements
                is_first = False
                yield self._block(data, np.concatenate(([0], edges[:-1] + 1)), edges)
            if not is_closed and not self._more():
                raise FileRefused("the array is cut off: it is never closed", row=self._rows + 1)
        self._nothing_follows()

    def _nothing_follows(self) -> None:
        while not self._carry.strip(_WHITESPACE):
            self._carry = b""
            if not self._more():
                return
        raise FileRefused("something follows the end of the array", row=self._rows + 1)

    def _concatenated(self) -> Iterator[Block]:
        while True:
            found = Structure(self._carry)
            edges = found.positions[(found.depths == 0) & found.closes] + 1
            if edges.size:
                data, self._carry = self._carry[: edges[-1]], self._carry[edges[-1] :]
                yield self._block(data, np.concatenate(([0], edges))[:-1], edges)
            if not self._more():
                break
        if self._carry.strip(_WHITESPACE):
            raise FileRefused("the last row is not closed: the file is cut off", row=self._rows + 1)


class Structure:
    """The brackets and commas of a JSON text that are outside of strings.

    ``positions``, their byte ``codes`` and the ``depths`` after each, relative to the start.
    """

    def __init__(self, text: bytes) -> None:
        data = np.frombuffer(text, np.uint8)
        inside = np.bitwise_xor.accumulate(_quotes(data)) if data.size else data
        # In ASCII, [ and { and their closers differ in one bit only.
        folded = data | 0x20
        marks = (folded == ord("{")) | (folded == ord("}")) | (data == _COMMA)
        self.positions = np.flatnonzero(marks & (inside == 0))
        self.codes = data[self.positions]
        brackets = self.codes | 0x20
        self.closes = brackets == ord("}")
        steps = (brackets == ord("{")).astype(np.int64) - self.closes
        self.depths = np.cumsum(steps)

    @property
    def is_too_deep(self) -> bool:
        """Whether something nests deeper than :data:`DEPTH`; brackets in strings do not count."""
        return int(self.depths.max(initial=0)) > DEPTH


def is_too_deep(block: Block) -> bool:
    """Tell whether a row may nest deeper than :data:`DEPTH`; if any is, this is never false."""
    first, last = int(block.starts[0]), int(block.stops[-1])
    data = np.frombuffer(block.data, np.uint8, last - first, first)
    openers = (data | 0x20) == ord("{")
    if int(np.add.reduceat(openers, block.starts - first, dtype=np.int32).max()) <= DEPTH:
        return False
    return Structure(block.text()).is_too_deep


def _element_ends(text: bytes) -> tuple[Positions, Positions]:
    """Give the commas between the elements of an array, and its closing bracket if it is there."""
    found = Structure(text)
    ends = found.positions[found.depths < 0][:1]
    commas = found.positions[(found.codes == _COMMA) & (found.depths == 0)]
    return commas[: np.searchsorted(commas, ends[0])] if ends.size else commas, ends


def _quotes(data: Bytes) -> npt.NDArray[np.uint8]:
    """Mark the quotes that open or close a string: those not behind an odd run of backslashes."""
    quotes = (data == _QUOTE).view(np.uint8)
    escapes = np.flatnonzero(data == _BACKSLASH)
    if escapes.size:
        runs = np.flatnonzero(np.diff(escapes, prepend=-2) != 1)
        lengths = np.diff(runs, append=len(escapes))
        after = escapes[runs] + lengths
        escaped = after[(lengths % 2 == 1) & (after < len(data))]
        quotes[escaped] = 0
    return cast("npt.NDArray[np.uint8]", quotes)


def _lines_of(data: bytes) -> tuple[Positions, Positions]:
    """Give where the lines that are not blank start and stop."""
    stops = np.flatnonzero(np.frombuffer(data, np.uint8) == _NEWLINE)
    starts = np.concatenate(([0], stops + 1))[:-1]
    if not len(stops):
        return starts, stops
    # Blank lines are rare: only those that start with white space need a closer look.
    suspects = np.flatnonzero(np.frombuffer(data, np.uint8)[starts] <= ord(" "))
    blank = [i for i in suspects.tolist() if not data[starts[i] : stops[i]].strip(_WHITESPACE)]
    return np.delete(starts, blank), np.delete(stops, blank)
