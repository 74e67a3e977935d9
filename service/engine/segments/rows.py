"""What rules are asked of: the profiles of one slice and their events, leaf by leaf."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from catalog.unions import Union
from service.engine.arrow_types import Column
from service.engine.ranking import Ints

#: What profiles and events look like: which paths are objects, and the types of leaves.
Fields: TypeAlias = Union


class Rows(Protocol):
    """The profiles of one slice and their events.

    Only leaves that a rule mentions are asked for, each once. Texts may come as dictionaries,
    which are compared word by word instead of row by row. Arrays, maps, ``identityMap`` and
    ``segmentMembership`` are leaves and come as Arrow's lists and maps.
    """

    @property
    def count(self) -> int:
        """How many profiles there are."""

    def profile(self, path: str) -> Column:
        """Give a merged leaf by its dotted path, one value per profile; nulls if nobody has it."""

    @property
    def event_profile(self) -> Ints:
        """For each event the number of its profile.

        Ascends; the events of one profile are in the order in which exports list them.
        """

    def event(self, path: str) -> Column:
        """Give a leaf of events by its dotted path, parallel to :attr:`event_profile`."""
