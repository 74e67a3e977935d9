"""Who is who: links between identities become components, and components become profiles.

Identities are numbers here, dense and in the order of their keys, so that the smallest number of
a component is its smallest key. The graph depends on the snapshot alone, never on the policy.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from service.engine.ranking import Bools

#: Stars, chains and small circles are joined by then, however many there are.
ROUNDS = 6

#: Numbers of identities: 32 bits as long as they suffice.
Numbers = npt.NDArray[np.integer]


def number_type(count: int) -> np.dtype[np.integer]:
    """Choose the type that numbers so many identities."""
    return np.dtype(np.int32 if count <= np.iinfo(np.int32).max else np.int64)


class Components:
    """The connected components of identities numbered from 0, as links become known.

    Links may come in any order and any portions: the components are the same. One number per
    identity is kept; a portion takes about 60 bytes per link while it is joined.
    """

    def __init__(self, count: int) -> None:
        #: Of each identity, the smallest number of its component.
        self.smallest: Numbers = np.arange(count, dtype=number_type(count))

    def join(self, ends: Numbers, other_ends: Numbers) -> None:
        """Take links, given by the numbers of their ends."""
        here, there = self.smallest[ends], self.smallest[other_ends]
        is_news = here != there
        here, there = here[is_news], there[is_news]
        if not len(here):
            return
        is_joined = np.zeros(len(self.smallest), np.bool_)
        is_joined[here] = is_joined[there] = True
        roots = np.flatnonzero(is_joined)
        place = np.empty_like(self.smallest)
        place[roots] = np.arange(len(roots))
        least = _least(place[here], place[there], len(roots))
        self.smallest[roots] = roots[least]
        self.smallest = self.smallest[self.smallest]

    def sizes(self) -> Numbers:
        """Count for each identity the identities of its component, itself included."""
        counts = np.bincount(self.smallest, minlength=len(self.smallest))
        sizes: Numbers = counts.astype(self.smallest.dtype)[self.smallest]
        return sizes

    def representatives(self, is_main: Bools) -> Numbers:
        """Choose for each identity the one that stands for its component.

        That is the smallest that ``is_main`` marks, so that most rows need not move; in a
        component where it marks none, the smallest.
        """
        chosen = np.arange(len(self.smallest), dtype=self.smallest.dtype)
        main = np.flatnonzero(is_main)[::-1]
        chosen[self.smallest[main]] = main  # the last assignment stays: the smallest
        representatives: Numbers = chosen[self.smallest]
        return representatives


def _least(here: Numbers, there: Numbers, count: int) -> Numbers:
    """Give for each number below ``count`` the least of its component; links are between others.

    In each round every number that is linked with a smaller one takes the least of these, and
    what that one took in turn. Nearly always two or three rounds leave nothing to join.
    """
    least: Numbers = np.arange(count, dtype=here.dtype)
    for _ in range(ROUNDS):
        np.minimum.at(least, np.maximum(here, there), np.minimum(here, there))
        least = _followed(least)
        here, there = least[here], least[there]
        is_apart = here != there
        here, there = here[is_apart], there[is_apart]
        if not len(here):
            return least
    graph = coo_array((np.ones(len(here), np.int8), (here, there)), (count, count))
    component_count, component = connected_components(graph, directed=False)
    first = np.empty(component_count, here.dtype)
    first[component[::-1]] = np.arange(count, dtype=here.dtype)[::-1]  # the last assignment stays
    return first[component][least]


def _followed(least: Numbers) -> Numbers:
    """Follow each number to the end: to one that stands for itself."""
    while True:
        further = least[least]
        if np.array_equal(further, least):
            return least
        least = further
