"""Who is who: links between identities become components, and components become profiles.

Identities are numbers here, dense and in the order of their keys, so that the smallest number of
a component is its smallest key. The graph depends on the snapshot alone, never on the policy.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from service.engine.ranking import Bools, Ints

#: Stars, chains and small circles are joined by then, however many there are.
ROUNDS = 6
#: From one number to a smaller one so many times; whoever has not arrived by then is far from it.
STEPS = 4

#: Numbers of identities: 32 bits as long as they suffice.
Numbers = npt.NDArray[np.integer]
Sizes = npt.NDArray[np.int32]


def number_type(count: int) -> np.dtype[np.integer]:
    """Choose the type that numbers so many identities."""
    return np.dtype(np.int32 if count <= np.iinfo(np.int32).max else np.int64)


class Components:
    """The connected components of identities numbered from 0, as links become known.

    Links may come in any order and any portions: the components are the same. One number per
    identity is kept; a portion takes about 60 bytes per link while it is joined.
    """

    def __init__(self, count: int) -> None:
        #: Of each identity, a number of its component that is no larger than it: itself, where it
        #: is the smallest that is known.
        self._least: Numbers = np.arange(count, dtype=number_type(count))

    def join(self, ends: Ints, other_ends: Ints) -> None:
        """Take links, given by the numbers of their ends."""
        here, there = self._roots(ends), self._roots(other_ends)
        for _ in range(ROUNDS):
            apart = np.flatnonzero(here != there)
            if not len(apart):
                return
            here, there = here.take(apart), there.take(apart)
            larger, smaller = np.maximum(here, there), np.minimum(here, there)
            # Of several smaller ones the least is taken; the others are joined in another round.
            np.minimum.at(self._least, larger, smaller.astype(self._least.dtype))
            others = np.flatnonzero(self._least.take(larger) != smaller)
            here, there = self._roots(larger.take(others)), self._roots(smaller.take(others))
        self._join_rest(here, there)

    @property
    def smallest(self) -> Numbers:
        """Give of each identity the smallest number of its component."""
        self._follow()
        return self._least

    def profiles(self, is_main: Bools) -> Profiles:
        """Choose for each component the identity that stands for it.

        That is the smallest that ``is_main`` marks, so that most rows need not move; in a
        component where it marks none, the smallest.
        """
        smallest = self.smallest
        chosen = np.arange(len(smallest), dtype=smallest.dtype)
        main = np.flatnonzero(is_main)[::-1]
        chosen[smallest.take(main)] = main  # the last assignment stays: the smallest
        counts = np.bincount(smallest, minlength=len(smallest)).astype(np.int32)
        return Profiles(smallest, chosen, counts)

    def _roots(self, numbers: Ints) -> Ints:
        """Follow some numbers to the end: to ones that stand for themselves."""
        found = self._least.take(numbers).astype(np.int64)
        for _ in range(STEPS):
            further = self._least.take(found).astype(np.int64)
            if np.array_equal(further, found):
                return found
            found = further
        self._follow()
        return self._least.take(numbers).astype(np.int64)

    def _follow(self) -> None:
        """Follow all numbers to the end, twice as far each time."""
        while True:
            further = self._least.take(self._least)
            if np.array_equal(further, self._least):
                return
            self._least = further

    def _join_rest(self, here: Ints, there: Ints) -> None:
        """Join roots in whatever way they are linked."""
        roots = np.unique(np.concatenate([here, there]))
        if not len(roots):
            return
        ends = np.searchsorted(roots, here), np.searchsorted(roots, there)
        graph = coo_array((np.ones(len(here), np.int8), ends), (len(roots), len(roots)))
        count, component = connected_components(graph, directed=False)
        first = np.empty(count, np.int64)
        first[component[::-1]] = roots[::-1]  # the last assignment stays: the smallest
        self._least[roots] = first[component]


class Profiles:
    """Which identity stands for the component of each, and how many identities that has."""

    def __init__(self, smallest: Numbers, chosen: Numbers, sizes: Sizes) -> None:
        """Take of each identity the smallest of its component, and the rest by that number."""
        self._smallest, self._chosen, self._sizes = smallest, chosen, sizes

    def of(self, identities: slice) -> tuple[Ints, Sizes]:
        """Give for some identities the one that stands for theirs, and its size."""
        smallest = self._smallest[identities].astype(np.int64)
        return self._chosen.take(smallest).astype(np.int64), self._sizes.take(smallest)
