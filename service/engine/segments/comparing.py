"""Compares columns, and finds values in lists.

Texts that come as dictionaries are compared word by word: what holds of a word is looked up for
every row.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as pt

from catalog.pql.nodes import Comparison
from service.engine.arrow_types import Column
from service.engine.ranking import Bools, Ints
from service.engine.segments.spaces import Space, innermost, packed, unpacked
from service.engine.segments.values import (
    Listing,
    Plain,
    Value,
    alike,
    instants,
    moved,
    plain_from,
    ranges,
    spelt,
)

#: How many questions' answers are kept: a bit for each word, for the rules of one job. A guess.
VERDICTS = 512

_COMPARE: dict[Comparison, Callable[[object, object], Column]] = {
    Comparison.EQUAL: pc.equal,
    Comparison.NOT_EQUAL: pc.not_equal,
    Comparison.LESS: pc.less,
    Comparison.AT_MOST: pc.less_equal,
    Comparison.GREATER: pc.greater,
    Comparison.AT_LEAST: pc.greater_equal,
}
MIRRORED = {
    Comparison.EQUAL: Comparison.EQUAL,
    Comparison.NOT_EQUAL: Comparison.NOT_EQUAL,
    Comparison.LESS: Comparison.GREATER,
    Comparison.AT_MOST: Comparison.AT_LEAST,
    Comparison.GREATER: Comparison.LESS,
    Comparison.AT_LEAST: Comparison.AT_MOST,
}


def compared(comparison: Comparison, left: Value, right: Value) -> Plain:
    """Compare two values: plain ones, or lists for equality."""
    if isinstance(left, Listing) and isinstance(right, Listing):
        return _lists_compared(comparison, left, right)
    if not isinstance(left, Plain) or not isinstance(right, Plain):
        raise TypeError("only plain values and lists can be compared")
    if left.space.is_constant and not right.space.is_constant:
        return compared(MIRRORED[comparison], right, left)
    compare = _COMPARE[comparison]
    if right.space.is_constant and not left.space.is_constant:
        column = _with_scalar(compare, left.column, right.column)
        return Plain(left.space, column)
    space = innermost((left.space, right.space))
    ours, theirs = plain_from(left, space), plain_from(right, space)
    if comparison in (Comparison.EQUAL, Comparison.NOT_EQUAL) and _are_words(ours, theirs):
        return Plain(space, compare(ours.indices, _recoded(theirs, ours.dictionary)))
    return Plain(space, of_same_type(compare, ours, theirs))


def of_same_type(
    compare: Callable[[object, object], Column], ours: Column, theirs: Column
) -> Column:
    """Compare columns of kinds that compare with each other."""
    if pt.is_null(ours.type) or pt.is_null(theirs.type):
        return pa.nulls(len(ours), pa.bool_())
    ours, theirs = alike((ours, theirs))
    return compare(ours, theirs)


def _with_scalar(
    compare: Callable[[object, object], Column], column: Column, constant: Column
) -> Column:
    if pt.is_null(column.type) or constant.null_count:
        return pa.nulls(len(column), pa.bool_())
    if pt.is_dictionary(column.type):
        word = spelt(constant)[0]
        asked = (compare.__name__, word.as_py())
        return by_words(column, asked, lambda words: compare(words, word.cast(words.type)))
    if pt.is_temporal(column.type) and column.type != constant.type:
        return compare(instants(column), instants(constant)[0])
    scalar = constant[0]
    if pt.is_int32(column.type) and pt.is_int64(scalar.type) and abs(scalar.as_py()) < 1 << 31:
        scalar = scalar.cast(pa.int32())  # else Arrow would widen the whole column
    if pt.is_floating(column.type) != pt.is_floating(scalar.type):
        column, scalar = (
            column.cast(pa.float64(), safe=False),
            scalar.cast(pa.float64(), safe=False),
        )
    return compare(column, scalar)


def by_words(column: Column, asked: Hashable, judge: Callable[[Column], Column]) -> Column:
    """Judge texts, giving booleans; of a dictionary, every word once.

    What is asked of the words must tell all that the verdicts depend on.
    """
    if not pt.is_dictionary(column.type):
        return judge(column)
    verdicts = _verdicts(_Words(column.dictionary), _Question(asked, judge))
    if verdicts.null_count:
        return verdicts.take(column.indices)
    flags = unpacked(verdicts)
    hits = np.flatnonzero(flags)
    codes = column.indices
    if len(hits) == 1:
        return pc.equal(codes, pa.scalar(int(hits[0]), codes.type))
    if not len(hits):
        return _with_nulls_of(codes, packed(np.zeros(len(codes), np.bool_)))
    # A null has any code at all.
    numbers = _numbers(codes)
    return _with_nulls_of(codes, packed(np.take(flags, numbers, mode="clip")))


class _Words:
    """A dictionary, for a cache: slices of one job have the very same words."""

    def __init__(self, words: Column) -> None:
        self.words = words  # held, so that nothing else comes to lie where it lies
        self._place = (
            words.type,
            words.offset,
            len(words),
            *(buffer.address if buffer is not None else None for buffer in words.buffers()),
        )

    def __hash__(self) -> int:
        return hash(self._place)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Words) and self._place == other._place


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked of words; how it is answered follows from that."""

    asked: Hashable
    judge: Callable[[Column], Column] = field(compare=False)


@lru_cache(maxsize=VERDICTS)
def _verdicts(words: _Words, question: _Question) -> Column:
    return question.judge(words.words)


def _numbers(codes: Column) -> Ints:
    plain = pa.Array.from_buffers(
        codes.type, len(codes), [None, codes.buffers()[1]], offset=codes.offset
    )
    numbers: Ints = plain.to_numpy()
    return numbers


def _with_nulls_of(column: Column, marks: Column) -> Column:
    if not column.null_count:
        return marks
    validity = pc.and_(column.is_valid(), column.is_valid())
    return pa.Array.from_buffers(
        pa.bool_(), len(marks), [validity.buffers()[1], marks.buffers()[1]]
    )


def _are_words(ours: Column, theirs: Column) -> bool:
    return bool(pt.is_dictionary(ours.type) and pt.is_dictionary(theirs.type))


def _recoded(column: Column, words: Column) -> Column:
    """Give the codes that another dictionary has for these texts, -1 of those it lacks."""
    codes = pc.fill_null(pc.index_in(column.dictionary.cast(words.type), words), -1)
    return codes.take(column.indices)


def codes_of(columns: Sequence[Column]) -> list[Ints]:
    """Number the values of columns: equal ones alike, nulls -1."""
    same = alike(columns)
    if all(pt.is_null(column.type) for column in same):
        return [np.full(len(column), -1) for column in same]
    typed = next(column.type for column in same if not pt.is_null(column.type))
    pieces = [column.cast(typed) for column in same]
    if pt.is_floating(typed):
        pieces = [pc.add(piece, 0.0) for piece in pieces]  # so that -0 is 0
    whole = pa.concat_arrays(pieces).dictionary_encode()
    codes = pc.fill_null(whole.indices, -1).to_numpy().astype(np.int64)
    stops = np.cumsum([len(piece) for piece in pieces])
    return np.split(codes, stops[:-1])


def found_in(element: Plain, lists: Listing) -> Bools:
    """Say of which rows the value is an element of the row's list; a null never is.

    The rows are those of the inner of both spaces.
    """
    space = innermost((element.space, lists.space))
    if not isinstance(lists.element, Plain):
        raise TypeError("only plain values can be looked for")
    members = lists.element.column.take(pa.array(lists.rows()))
    values = element.column
    if lists.space.is_constant:
        flags = unpacked(
            by_words(
                _spelt_like(values, members),
                ("in", *members.to_pylist()),
                lambda words: _is_in(words, members),
            )
        )
        return flags if element.space is space else flags[space.rows_in(element.space)]
    code, member = codes_of((values, members))
    if element.space is not space:
        code = code[space.rows_in(element.space)]
    width = int(max(code.max(initial=0), member.max(initial=0))) + 1
    held = np.unique((lists.owners() * width + member)[member >= 0])
    rows = space.rows_in(lists.space)
    found: Bools = np.isin(rows * width + code, held) & (code >= 0)
    return found


def _spelt_like(values: Column, members: Column) -> Column:
    """Give texts as they are; what is compared after a cast, cast."""
    if pt.is_dictionary(values.type) or values.type == members.type:
        return values
    return alike((values, members))[0]


def _is_in(words: Column, members: Column) -> Column:
    words, members = alike((words, members))
    if pt.is_null(words.type) or pt.is_null(members.type):
        return packed(np.zeros(len(words), np.bool_))
    return pc.is_in(words, members.drop_null())


def is_in(element: Value, lists: Value) -> Plain:
    """Say whether a value is an element of a list, unknown when either is null."""
    if not isinstance(element, Plain) or not isinstance(lists, Listing):
        raise TypeError("a plain value is looked for in a list")
    space = innermost((element.space, lists.space))
    known = unpacked(plain_from(Plain(element.space, element.column.is_valid()), space))
    known &= ~_nulls_in(lists, space)
    return Plain(space, pa.array(found_in(element, lists), mask=~known))


def _nulls_in(lists: Listing, space: Space) -> Bools:
    if lists.is_null is None:
        return np.zeros(space.count, np.bool_)
    return lists.is_null if lists.space is space else lists.is_null[space.rows_in(lists.space)]


def aligned(left: Value, right: Value) -> tuple[Listing, Listing]:
    """Give two lists for the rows of the inner of their spaces."""
    if not isinstance(left, Listing) or not isinstance(right, Listing):
        raise TypeError("two lists are compared")
    space = innermost((left.space, right.space))
    ours, theirs = (
        lists if lists.space is space else moved(lists, space, space.rows_in(lists.space))
        for lists in (left, right)
    )
    assert isinstance(ours, Listing)
    assert isinstance(theirs, Listing)
    return ours, theirs


def intersecting(left: Value, right: Value) -> Plain:
    """Say whether two lists have an element in common."""
    ours, theirs = aligned(left, right)
    return _known_where_both(ours, theirs, _any_of(ours, shared(ours, theirs)))


def subset(left: Value, right: Value) -> Plain:
    """Say whether a list has every element of another that is not null."""
    ours, theirs = aligned(left, right)
    if not isinstance(ours.element, Plain):
        raise TypeError("only lists of plain values can be compared")
    is_there = unpacked(ours.element.column.is_valid())[ours.rows()]
    return _known_where_both(ours, theirs, ~_any_of(ours, is_there & ~shared(ours, theirs)))


def shared(ours: Listing, theirs: Listing) -> Bools:
    """Say of each element of the first list whether the second has it too."""
    element, rows = ours.element, ours.rows()
    if not isinstance(element, Plain):
        raise TypeError("only lists of plain values can be compared")
    within = Space(len(rows), ours.space, ours.owners())
    return found_in(Plain(within, element.column.take(pa.array(rows))), theirs)


def _any_of(lists: Listing, flags: Bools) -> Bools:
    found = np.zeros(lists.space.count, np.bool_)
    found[lists.owners()[flags]] = True
    return found


def _known_where_both(ours: Listing, theirs: Listing, flags: Bools) -> Plain:
    unknown = _nulls_in(ours, ours.space) | _nulls_in(theirs, ours.space)
    return Plain(ours.space, pa.array(flags, mask=unknown))


def _lists_compared(comparison: Comparison, left: Listing, right: Listing) -> Plain:
    """Compare the elements of lists in order, null equal to null."""
    ours, theirs = aligned(left, right)
    if not isinstance(ours.element, Plain) or not isinstance(theirs.element, Plain):
        raise TypeError("lists of objects cannot be compared")
    starts, others = ours.offsets(), theirs.offsets()
    lengths = np.diff(starts)
    equal = lengths == np.diff(others)
    rows = np.flatnonzero(equal)
    code, other = codes_of(
        (
            ours.element.column.take(pa.array(ours.rows())),
            theirs.element.column.take(pa.array(theirs.rows())),
        )
    )
    mine = ranges(starts[rows], lengths[rows])
    differs = code[mine] != other[ranges(others[rows], lengths[rows])]
    equal[np.repeat(rows, lengths[rows])[differs]] = False
    flags = equal if comparison is Comparison.EQUAL else ~equal
    return _known_where_both(ours, theirs, flags)
