"""What rules are asked of: the merged profiles of one slice and their events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from catalog.schemas import IDENTITY_MAP, Field
from service.engine.arrow_types import Column, arrow_type
from service.engine.attributes import Attributes
from service.engine.members import Members, Owned
from service.engine.ranking import Ints

#: Sorts events, numbered by their profiles, as exports list them.
Ordering = Callable[[Owned], Ints]


class MergedRows:
    """The profiles of a slice, as :class:`~service.engine.segments.rows.Rows` has them."""

    def __init__(
        self,
        members: Members,
        attributes: Attributes,
        events: Owned,
        *,
        ordering: Ordering,
        identity_map: Callable[[], Column],
        leaves: Mapping[str, Field],
        event_leaves: Mapping[str, Field],
    ) -> None:
        """``leaves`` are those that rules may ask for, by dotted path."""
        self._members = members
        self._attributes = attributes
        self._events = events
        self._ordering = ordering
        self._identity_map = identity_map
        self._leaves, self._event_leaves = leaves, event_leaves

    @property
    def count(self) -> int:
        return len(self._members)

    def profile(self, path: str) -> Column:
        """Give a merged leaf by its dotted path, one value per profile."""
        if path == IDENTITY_MAP.name:
            return self._identity_map()
        return self._attributes.merged(path, self._leaves[path])

    @property
    def event_profile(self) -> Ints:
        return self._in_order[1]

    def event(self, path: str) -> Column:
        """Give a leaf of events by its dotted path, parallel to :attr:`event_profile`."""
        at, _ = self._in_order
        type = arrow_type(self._event_leaves[path])
        return self._events.rows.stack.values_spelt(path, type, at)

    @cached_property
    def _in_order(self) -> tuple[Ints, Ints]:
        """Where the members' events lie, and whose they are."""
        number = self._members.number(self._events.profile)
        held = Owned(rows=self._events.rows, profile=number).kept(number >= 0)
        order = self._ordering(held)
        return held.rows.at[order], held.profile[order]
