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
        graph = coo_array(
            (np.ones(len(here), np.int8), (place[here], place[there])), (len(roots), len(roots))
        )
        count, component = connected_components(graph, directed=False)
        first = np.empty(count, np.int64)
        first[component[::-1]] = np.arange(len(roots))[::-1]  # the last assignment stays
        self.smallest[roots] = roots[first[component]]
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
