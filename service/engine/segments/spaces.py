"""Spaces, the rows that parts of a rule are worked out for, and what is true of their rows.

A space has a row per profile, per event, per element of a list, or per pair of these, and each of
its rows belongs to a row of the space around it. Rows ascend by the row they belong to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.engine.arrow_types import Column
from service.engine.ranking import Bools, Ints


class Space:
    """Rows that something is said of."""

    __slots__ = ("_rows_in", "count", "depth", "parent", "parents")

    def __init__(self, count: int, parent: Space | None, parents: Ints) -> None:
        """``parents`` is for each row the row of ``parent`` that it belongs to, ascending."""
        self.count = count
        self.parent = parent
        self.parents = parents
        self.depth: int = parent.depth + 1 if parent else 0
        self._rows_in: dict[int, Ints] = {}

    @classmethod
    def outermost(cls) -> Space:
        """Make the space of constants: one row, around everything else."""
        return cls(1, None, np.zeros(1, np.int64))

    @property
    def is_constant(self) -> bool:
        return self.parent is None

    def rows_in(self, around: Space) -> Ints:
        """Give for each row the row of a space around this one that it belongs to."""
        if around is self:
            return np.arange(self.count)
        if around is self.parent:
            return self.parents
        if self.parent is None:
            raise ValueError("the spaces do not lie in one another")
        if id(around) not in self._rows_in:
            self._rows_in[id(around)] = self.parent.rows_in(around)[self.parents]
        return self._rows_in[id(around)]


def innermost(spaces: Iterable[Space]) -> Space:
    """Give the space that all others lie around."""
    return max(spaces, key=lambda space: space.depth)


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Of which rows of a space something is true."""

    space: Space
    #: Booleans without nulls.
    marks: Column

    @classmethod
    def of(cls, space: Space, flags: Bools) -> Truth:
        return cls(space, packed(flags))

    @classmethod
    def everywhere(cls, space: Space, is_true: bool) -> Truth:  # noqa: FBT001
        return cls(space, packed(np.full(space.count, is_true)))

    def seen_from(self, space: Space) -> Truth:
        """Say the same of the rows of a space within."""
        if space is self.space:
            return self
        flags = unpacked(self.marks)
        if self.space.is_constant:
            return Truth.everywhere(space, bool(flags[0]))
        return Truth.of(space, flags[space.rows_in(self.space)])

    def flags(self) -> Bools:
        return unpacked(self.marks)

    def opposite(self) -> Truth:
        return Truth(self.space, pc.invert(self.marks))


def both(one: Truth, other: Truth) -> Truth:
    """Say where both are true, in the inner of their spaces."""
    space = innermost((one.space, other.space))
    return Truth(space, pc.and_(one.seen_from(space).marks, other.seen_from(space).marks))


def either(one: Truth, other: Truth) -> Truth:
    """Say where any is true, in the inner of their spaces."""
    space = innermost((one.space, other.space))
    return Truth(space, pc.or_(one.seen_from(space).marks, other.seen_from(space).marks))


def any_within(truth: Truth) -> Truth:
    """Say of which rows of the space around anything within is true."""
    around = truth.space.parent
    if around is None:
        raise ValueError("there is nothing around constants")
    found = np.zeros(around.count, np.bool_)
    found[truth.space.parents[places(truth.marks)]] = True
    return Truth.of(around, found)


def places(marks: Column) -> Ints:
    """Give the positions of what is true."""
    found: Ints = pc.indices_nonzero(marks).to_numpy().view(np.int64)
    return found


def packed(flags: Bools) -> Column:
    """Turn flags into Arrow's booleans, a bit each."""
    bits = pa.py_buffer(np.packbits(flags, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(flags), [None, bits])


def unpacked(marks: Column) -> Bools:
    """Turn booleans without nulls into flags, a byte each."""
    return np.asarray(marks.to_numpy(zero_copy_only=False), np.bool_)


def is_true(column: Column) -> Column:
    """Mark which booleans are true: neither false nor null."""
    return _with_validity(column, column) if column.null_count else column


def is_false(column: Column) -> Column:
    """Mark which booleans are false: neither true nor null."""
    opposite = pc.invert(column)
    return _with_validity(opposite, column) if column.null_count else opposite


def _with_validity(column: Column, nulls_of: Column) -> Column:
    bits = pa.Array.from_buffers(
        pa.bool_(), len(column), [None, column.buffers()[1]], offset=column.offset
    )
    return pc.and_(bits, nulls_of.is_valid())


def unknown_or(true: Column, false: Column) -> Column:
    """Make a boolean column that is true and false where marked, and null elsewhere."""
    known = pc.or_(true, false)
    return pa.Array.from_buffers(
        pa.bool_(),
        len(true),
        [pc.and_(known, known).buffers()[1], pc.and_(true, true).buffers()[1]],
    )
