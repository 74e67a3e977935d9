"""Who is who: links between identities become components, and components become profiles.

The graph depends on the snapshot alone, never on the policy. All of it is held in memory at
once, about 70 bytes per end of a link.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from service.engine.ranking import Bools, Ints, Keys, distinct, places


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelling:
    """The identities that any link names, ascending, and the profile of each."""

    identity: Keys
    #: Position of the profile's representative: the identity that stands for all of them.
    representative: Ints
    #: The component has too many identities to be one person.
    is_excluded: Bools

    @property
    def profile(self) -> Keys:
        return self.identity.at(self.representative)

    def excluded_components(self) -> Ints:
        """Give the representatives of the excluded components."""
        return np.unique(self.representative[self.is_excluded])


def label(ends: Keys, other_ends: Keys, main: Iterable[Keys], identity_limit: int) -> Labelling:
    """Find the connected components of links and choose their representatives.

    A component is represented by its smallest key among ``main``, the keys of the records of
    the data set with the most bytes, so that most rows need not move; else by its smallest.
    """
    identity, number = distinct(Keys.joined([ends, other_ends]))
    count = len(identity)
    here, there = number[: len(ends)], number[len(ends) :]
    graph = coo_array((np.ones(len(here), np.int8), (here, there)), shape=(count, count))
    component_count, component = connected_components(graph, directed=False)
    is_main = np.zeros(count, np.bool_)
    for keys in main:
        found = places(keys, identity)
        is_main[found[found >= 0]] = True
    first = np.empty(component_count, np.int64)
    # Of several assignments to one place the last stays: the smallest, and main before others.
    for eligible in (np.ones(count, np.bool_), is_main):
        descending = np.flatnonzero(eligible)[::-1]
        first[component[descending]] = descending
    sizes = np.bincount(component, minlength=component_count)
    return Labelling(
        identity=identity,
        representative=first[component],
        is_excluded=sizes[component] > identity_limit,
    )
