"""Orders of whole columns: sorting, numbering and finding, exact and alike on every machine.

Nothing here looks at a row. The fast sorts of NumPy do not keep ties in order, and which way
they fall differs between processors; so whatever is sorted here is either unique, or its ties
cannot be told apart in the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Uint64s = npt.NDArray[np.uint64]
#: What can be sorted by: integers of any width, and flags.
Sortable = npt.NDArray[np.integer] | Bools

_WORD = 64
_MOST_INT32 = np.iinfo(np.int32).max

#: Of so many times fewer numbers than they are looked for among, each is searched for; unless as
#: many were asked about before, so that an index would have paid.
FEW = 4
#: Numbers in one bucket that are looked at one by one: by then hashes have all been found.
LOOKS = 4


@dataclass(frozen=True, slots=True)
class Keys:
    """Identity keys in two halves of equal length; they compare by ``hi``, then ``lo``."""

    hi: Uint64s
    lo: Uint64s

    def at(self, rows: Sortable) -> Self:
        """Give the keys at some positions, or those that a mask keeps."""
        if rows.dtype == np.bool_:
            rows = np.flatnonzero(rows)
        return self.__class__(self.hi.take(rows), self.lo.take(rows))

    @classmethod
    def none(cls) -> Self:
        return cls(np.empty(0, np.uint64), np.empty(0, np.uint64))

    @classmethod
    def joined(cls, several: list[Self]) -> Self:
        if not several:
            return cls.none()
        return cls(
            np.concatenate([keys.hi for keys in several]),
            np.concatenate([keys.lo for keys in several]),
        )

    def __len__(self) -> int:
        return len(self.hi)


def equal(one: Keys, other: Keys) -> Bools:
    """Say of each two keys whether they are the same."""
    is_equal: Bools = one.hi == other.hi
    is_equal &= one.lo == other.lo
    return is_equal


def ordered(*columns: Sortable) -> Ints:
    """Give the positions that sort rows by the first column, then the next; ties stay in order.

    Columns are integers of equal length and any range. As many as fit are packed into one
    64-bit word together with the row's position, because one sort of plain words costs a
    fraction of an indirect one; what does not fit is sorted before, the last columns first.
    """
    row_count = len(columns[0])
    if row_count <= 1:
        return np.arange(row_count)
    words = [_from_zero(column) for column in columns]
    widths = [int(word.max()).bit_length() for word in words]
    if not any(widths):
        return np.arange(row_count)
    room = _WORD - (row_count - 1).bit_length()
    fitting = 0
    while fitting < len(words) and sum(widths[: fitting + 1]) <= room:
        fitting += 1
    if fitting == len(words):
        return _sorted_words(words, widths)
    fitting = max(fitting, 1)
    if fitting == len(words):
        return np.argsort(words[0], kind="stable")
    before = ordered(*columns[fitting:])
    return before[ordered(*(column[before] for column in columns[:fitting]))]


def _from_zero(column: Sortable) -> Uint64s:
    """Shift a column so that it starts at 0. Wraps, so that any 64-bit range comes out right."""
    word = column.astype(np.uint64)
    word -= word.dtype.type(int(column.min()) % (1 << _WORD))
    return word


def _sorted_words(words: list[Uint64s], widths: list[int]) -> Ints:
    row_count = len(words[0])
    packed = words[0]
    for word, width in zip(words[1:], widths[1:], strict=True):
        packed <<= np.uint64(width)
        packed |= word
    row_width = np.uint64((row_count - 1).bit_length())
    packed <<= row_width
    packed |= np.arange(row_count, dtype=np.uint64)
    packed.sort()
    packed &= (np.uint64(1) << row_width) - np.uint64(1)
    return packed.view(np.int64)


def run_starts(*sorted_columns: npt.NDArray[np.generic]) -> Ints:
    """Give the positions at which any of the columns differs from the row before."""
    if not len(sorted_columns[0]):
        return np.empty(0, np.int64)
    changes = np.empty(len(sorted_columns[0]), np.bool_)
    changes[0] = True
    np.not_equal(sorted_columns[0][1:], sorted_columns[0][:-1], out=changes[1:])
    for column in sorted_columns[1:]:
        changes[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changes)


def run_numbers(starts: Ints, row_count: int) -> Ints:
    """Number the runs from 0 and give each row the number of its run."""
    return np.repeat(np.arange(len(starts)), np.diff(starts, append=row_count))


def distinct(keys: Keys) -> tuple[Keys, Ints]:
    """Give the distinct keys in ascending order, and for each row the number of its key.

    Rows that repeat the key of the row before them cost next to nothing.
    """
    is_head = changes(keys)
    heads = np.flatnonzero(is_head)
    are_heads = len(heads) == len(keys)
    order, runs = _ascending(keys if are_heads else keys.at(heads))
    is_first = changes(runs)
    numbers = np.empty(len(heads), np.int64)
    numbers[order] = np.cumsum(is_first) - 1
    known = runs.at(np.flatnonzero(is_first))
    return known, numbers if are_heads else numbers.take(np.cumsum(is_head) - 1)


def changes(keys: Keys) -> Bools:
    """Say of each key whether it differs from the one before it."""
    differs = np.ones(len(keys), np.bool_)
    np.not_equal(keys.hi[1:], keys.hi[:-1], out=differs[1:])
    differs[1:] |= keys.lo[1:] != keys.lo[:-1]
    return differs


def _ascending(keys: Keys) -> tuple[Ints, Keys]:
    """Give the positions that sort keys, and these sorted.

    Keys are hashes: their leading bits nearly always tell them apart, and leave room in a word
    for the position. Where they did not, or halves agree, it is done again the slow way.
    """
    if len(keys) <= 1:
        return np.arange(len(keys)), keys
    width = (len(keys) - 1).bit_length()
    packed = keys.hi - keys.hi.min()
    shift = max(0, int(packed.max()).bit_length() + width - _WORD)
    packed >>= np.uint64(shift)
    packed <<= np.uint64(width)
    packed |= np.arange(len(keys), dtype=np.uint64)
    packed.sort()
    packed &= np.uint64((1 << width) - 1)
    order: Ints = packed.view(np.int64)
    ascending = keys.at(order)
    if do_ascend(ascending):
        return order, ascending
    order = np.lexsort((keys.lo, keys.hi))
    return order, keys.at(order)


def do_ascend(keys: Keys) -> bool:
    """Say whether no key is smaller than the one before it."""
    is_before = keys.hi[1:] < keys.hi[:-1]
    is_same = np.flatnonzero(keys.hi[1:] == keys.hi[:-1])
    return not (is_before.any() or (keys.lo[is_same + 1] < keys.lo[is_same]).any())


def grouped(numbers: Ints, keys: Keys) -> Ints:
    """Give the positions that sort by numbers from 0 on, then by keys; which of equals is first
    is not told."""
    if len(keys) <= 1:
        return np.arange(len(keys))
    number_width, width = int(numbers.max()).bit_length(), (len(keys) - 1).bit_length()
    packed = keys.hi - keys.hi.min()
    shift = max(0, int(packed.max()).bit_length() + number_width + width - _WORD)
    packed >>= np.uint64(shift)
    packed |= numbers.view(np.uint64) << np.uint64(_WORD - width - number_width)
    packed <<= np.uint64(width)
    packed |= np.arange(len(keys), dtype=np.uint64)
    packed.sort()
    packed &= np.uint64((1 << width) - 1)
    order: Ints = packed.view(np.int64)
    hi, lo, number = keys.hi[order], keys.lo[order], numbers[order]
    is_before = hi[1:] < hi[:-1]
    is_before |= (hi[1:] == hi[:-1]) & (lo[1:] < lo[:-1])
    is_before &= number[1:] == number[:-1]
    if not is_before.any():
        return order
    by_key: Ints = np.lexsort((keys.lo, keys.hi))
    return by_key[ordered(numbers[by_key])]


def repeated(numbers: Ints, words: Uint64s) -> Ints:
    """Give the positions, in any order, of pairs that may occur more than once, and all that do.

    ``numbers`` count from 0. Only so many leading bits of ``words`` are compared as fit into a
    word beside number and position.
    """
    if len(numbers) <= 1:
        return np.empty(0, np.int64)
    number_width, width = int(numbers.max()).bit_length(), (len(numbers) - 1).bit_length()
    room = _WORD - number_width - width
    packed = words >> np.uint64(_WORD - room) if room > 0 else np.zeros_like(words)
    packed |= numbers.view(np.uint64) << np.uint64(max(0, room))
    packed <<= np.uint64(width)
    packed |= np.arange(len(numbers), dtype=np.uint64)
    packed.sort()
    pairs = packed >> np.uint64(width)
    is_same = pairs[1:] == pairs[:-1]
    is_repeated = np.append(is_same, False)
    is_repeated[1:] |= is_same
    found: Ints = (packed[is_repeated] & np.uint64((1 << width) - 1)).view(np.int64)
    return found


def places(keys: Keys, among: Keys) -> Ints:
    """Find each key in ``among`` (ascending, distinct): its position, or -1 where it is absent.

    Both halves must match: an unknown key is never taken for its neighbour.
    """
    return Finder(among).places(keys)


class Finder:
    """Finds keys among others, as :func:`places` does; to be kept by who looks several times."""

    def __init__(self, among: Keys) -> None:
        """Take keys that ascend and are distinct."""
        self.among = among
        self._asked = 0
        #: By their leading bits: where the first of ``among`` with them would be.
        self._starts: npt.NDArray[np.signedinteger] | None = None
        self._shift = np.uint64(0)
        self._has_twins = bool((among.hi[1:] == among.hi[:-1]).any())

    def places(self, keys: Keys) -> Ints:
        """Find each key: its position, or -1 where it is absent."""
        if not len(self.among) or not len(keys):
            return np.full(len(keys), -1)
        heads = run_starts(keys.hi, keys.lo)
        if len(heads) == len(keys):
            return self._places(keys)
        return np.repeat(self._places(keys.at(heads)), np.diff(heads, append=len(keys)))

    def _places(self, wanted: Keys) -> Ints:
        among, at = self.among, self._first_not_below(wanted.hi)
        if self._has_twins:
            last = len(among) - 1
            while True:
                after = np.minimum(at + 1, last)
                is_before = (among.hi[at] == wanted.hi) & (among.lo[at] < wanted.lo)
                is_before &= (after > at) & (among.hi[after] == wanted.hi)
                if not is_before.any():
                    break
                at += is_before
        is_found = among.hi.take(at) == wanted.hi
        is_found &= among.lo.take(at) == wanted.lo
        at[~is_found] = -1
        return at

    def _first_not_below(self, wanted: Uint64s) -> Ints:
        """Give the position of the first that is not below each, the last where all are.

        Numbers that are spread evenly, as hashes are, lie about where their leading bits say. So
        most are found by looking once or twice, where searching takes a dozen steps; it takes over
        where numbers crowd.
        """
        among = self.among.hi
        self._asked += len(wanted)
        if FEW * len(wanted) < len(among) and self._asked < len(among):
            return np.minimum(np.searchsorted(among, wanted), len(among) - 1)
        if self._starts is None:
            self._starts = self._counted()
        first, last = among[0], among[-1]
        within = np.clip(wanted, first, last)
        at: Ints = self._starts.take(((within - first) >> self._shift).view(np.int64)).astype(
            np.int64
        )
        pending = np.flatnonzero(among.take(at) < within)
        for _ in range(LOOKS):
            if not len(pending):
                return at
            after = at[pending] + 1
            at[pending] = after
            pending = pending[among[after] < within[pending]]
        at[pending] = np.searchsorted(among, within[pending])
        return at

    def _counted(self) -> npt.NDArray[np.signedinteger]:
        among = self.among.hi
        first, last = among[0], among[-1]
        # Two to four times as many buckets as numbers: most hold one at most.
        width = len(among).bit_length() + 1
        self._shift = np.uint64(max(0, int(last - first).bit_length() - width))
        counts = np.bincount(((among - first) >> self._shift).view(np.int64), minlength=1 << width)
        narrow = np.dtype(np.int32 if len(among) <= _MOST_INT32 else np.int64)
        starts: npt.NDArray[np.signedinteger] = np.zeros(len(counts) + 1, narrow)
        np.cumsum(counts, out=starts[1:])
        return starts


def run_offsets(numbers: Ints, count: int) -> Ints:
    """Give where the run of each number from 0 to ``count`` - 1 begins, and where the last ends.

    ``numbers`` ascend; those that are missing have empty runs.
    """
    return np.concatenate(([0], np.cumsum(np.bincount(numbers, minlength=count))))
