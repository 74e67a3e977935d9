"""The merge itself: which row of a profile has the say, which events stand, in which order.

Pure functions of whole columns: integers and Arrow in, positions out. Where rows come from and
what becomes of the positions is :mod:`~service.engine.task`'s affair. What the rules mean is
told in ``docs/merging.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow.compute as pc

from service.engine.arrow_types import Column
from service.engine.ranking import (
    Bools,
    Ints,
    Sortable,
    Uint64s,
    ordered,
    repeated,
    run_numbers,
    run_starts,
)

#: Most values are found in the strongest rows; behind so many, all are looked at at once.
LOOKS_BACK = 6

#: Gives the texts at some positions. Of most rows nobody asks for them.
Texts: TypeAlias = "Callable[[Ints], Column]"
#: Gives numbers of the rows at some positions, likewise.
Numbers: TypeAlias = "Callable[[Ints], Ints]"


def folded(
    *, dataset: Ints, key: Ints, key_count: int, weakest_first: Ints, is_patch: Bools
) -> tuple[Bools, Ints]:
    """Decide which record rows stand, and the place of the fragment each belongs to.

    A fragment is what one data set says of one key. A row that replaces ends what the fragment
    was before it, whole; a patch adds to it. So a row stands unless a later row of its fragment
    replaces, and the fragment's place is that of its last row in ``weakest_first``, which are
    the positions of all rows in order of strength. The other arguments are per row; ``key``
    counts from 0 to ``key_count`` - 1.
    """
    rank = np.empty(len(weakest_first), np.int64)
    rank[weakest_first] = np.arange(len(weakest_first))
    place = np.empty_like(rank)
    stands = np.empty(len(rank), np.bool_)
    for number in np.flatnonzero(np.bincount(dataset)):
        rows = weakest_first[dataset[weakest_first] == number]
        keys, ranks = key[rows], rank[rows]
        # Of several assignments to one place NumPy keeps the last: here the strongest row.
        last = np.empty(key_count, np.int64)
        last[keys] = ranks
        place[rows] = last[keys]
        replaced = np.full(key_count, -1)
        is_whole = ~is_patch[rows]
        replaced[keys[is_whole]] = ranks[is_whole]
        stands[rows] = ranks >= replaced[keys]
    return stands, place


class Contest:
    """The rows of every profile from weakest to strongest: a leaf's last value wins."""

    def __init__(self, rows: Ints, profiles: Ints, profile_count: int) -> None:
        """Take rows sorted by profile, then strength. Profiles are numbered from 0."""
        self._rows = rows
        self._starts = run_starts(profiles)
        self._ends = np.append(self._starts[1:], len(rows)) - 1
        self._profiles = profiles[self._starts]
        self._sorted_profiles = profiles
        self.profile_count = profile_count
        self._weaker: list[Ints] = []

    @classmethod
    def between(cls, rows: Ints, profiles: Ints, profile_count: int, *strength: Ints) -> Contest:
        """Sort rows into a contest; the columns of ``strength``, together, must be unique."""
        order = ordered(profiles, *strength)
        return cls(rows[order], profiles[order], profile_count)

    def within(self, moved: Ints) -> Contest:
        """Hold the contest among some rows only: ``moved`` says where each lies now, -1 if out."""
        rows = moved[self._rows]
        keep = rows >= 0
        return Contest(rows[keep], self._sorted_profiles[keep], self.profile_count)

    def winners(self, is_valid: Bools | None = None) -> Ints:
        """Give for each profile its strongest row that has a value, -1 when none has.

        ``is_valid`` says for every row that the contest knows, by its position, whether it has a
        value; None when all do.
        """
        if not len(self._rows):
            return np.full(self.profile_count, -1)
        rows: Ints = self._behind(0)
        if is_valid is not None:
            rows = rows.copy()
            self._look_back(rows, is_valid)
        if len(rows) == self.profile_count:
            return rows
        winners = np.full(self.profile_count, -1)
        winners[self._profiles] = rows
        return winners

    def _look_back(self, rows: Ints, is_valid: Bools) -> None:
        """Put in place of every row without a value the next weaker one that has; -1 if none.

        ``rows`` are changed.
        """
        pending = np.flatnonzero(~is_valid[rows])
        for back in range(1, LOOKS_BACK + 1):
            if not len(pending):
                return
            weaker = self._behind(back)[pending]
            rows[pending] = weaker
            pending = pending[~is_valid[weaker] & (weaker >= 0)]
        if len(pending):
            last = np.where(is_valid[self._rows], np.arange(len(self._rows)), -1)
            last = np.maximum.reduceat(last, self._starts)[pending]
            rows[pending] = np.where(last < 0, -1, self._rows[last])

    def _behind(self, back: int) -> Ints:
        """Give each profile's row so many places behind its strongest, -1 where it has none."""
        while len(self._weaker) <= back:
            at = self._ends - len(self._weaker)
            self._weaker.append(np.where(at < self._starts, -1, self._rows[at]))
        return self._weaker[back]


def last_ingested(
    marks: Uint64s, ids: Texts, dataset: Numbers, profile: Ints, *recency: Numbers
) -> Bools:
    """Say which events stand: of those with one id in one data set and profile, the newest.

    ``marks`` are those of the ids; of events without one, which are like no other, any. Profiles
    count from 0. The columns of ``recency``, together, are unique.
    """
    stands = np.ones(len(profile), np.bool_)
    suspects = np.sort(repeated(profile, marks))
    codes = pc.dictionary_encode(ids(suspects)).indices.fill_null(-1).to_numpy()
    suspects, codes = suspects[codes >= 0], codes[codes >= 0]
    if not len(suspects):
        return stands
    same = (dataset(suspects), profile[suspects], codes)
    order = ordered(*same, *(numbers(suspects) for numbers in recency))
    starts = run_starts(*(column[order] for column in same))
    superseded = np.ones(len(suspects), np.bool_)
    superseded[np.append(starts[1:], len(suspects)) - 1] = False
    stands[suspects[order[superseded]]] = False
    return stands


def event_order(profile: Ints, time: Column, ids: Texts, *recency: Numbers) -> Ints:
    """Give the positions that sort events by profile, time, id in byte order, then recency.

    A missing time or id comes first. ``time`` is an instant in microseconds.
    """
    instants = time.cast("int64")
    micros = instants.fill_null(0).to_numpy()
    before: list[Sortable] = [profile, _coarsened(micros)]
    if instants.null_count:
        before.insert(1, np.asarray(instants.is_valid().to_numpy(zero_copy_only=False)))
    return ordered_with_text(before, ids, recency)


def newest(profile: Ints, most: int) -> Bools:
    """Mark the last ``most`` rows of each profile, where rows ascend by profile."""
    starts = run_starts(profile)
    ends = np.append(starts[1:], len(profile))[: len(starts)]
    marks: Bools = np.repeat(ends, ends - starts) - np.arange(len(profile)) <= most
    return marks


def _coarsened(micros: Ints) -> Ints:
    """Count in the coarsest unit that loses nothing, so that a sort fits into one word."""
    for unit in (1_000_000, 1_000):
        coarse = micros // unit
        if np.array_equal(coarse * unit, micros):
            return coarse
    return micros


def ordered_with_text(
    before: Sequence[Sortable], text: Texts, after: Sequence[Numbers] = ()
) -> Ints:
    """Give the positions that sort by integers, then a text in byte order, then integers.

    Texts are only compared where the first integers agree. A missing text comes first.
    """
    order = ordered(*before)
    starts = run_starts(*(column[order] for column in before))
    if len(starts) == len(order):
        return order
    runs = run_numbers(starts, len(order))
    is_tied = np.bincount(runs)[runs] > 1
    rows = order[is_tied]
    order[is_tied] = rows[
        ordered(runs[is_tied], text_ranks(text(rows)), *(numbers(rows) for numbers in after))
    ]
    return order


def text_ranks(text: Column) -> Ints:
    """Number texts by their bytes, equal ones alike, missing ones first."""
    ranks = pc.rank(text, "ascending", tiebreaker="dense").to_numpy().astype(np.int64)
    return np.where(text.is_null().to_numpy(zero_copy_only=False), 0, ranks)
