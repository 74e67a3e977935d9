"""What must come of the demo's data, known from how it was made and not from the files.

People are joined here one identity at a time, which is slow and easy to believe; the engine
joins whole columns. That the two agree is what the demo shows and its test asserts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from catalog.identities import IDENTITIES_PER_PROFILE

#: ``namespace:value``.
Identity = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Totals of an export of everything, with events, where identities seen together are one."""

    #: Profiles with a record: the rows of the export.
    profile_count: int
    #: Profiles of events alone, which are not exported unless asked for.
    empty_profile_count: int
    #: Profiles of more identities than one person can have, which never are.
    excluded_count: int
    #: Events of the exported profiles, repeats counted once.
    event_count: int
    #: Exported profiles that have an identity of the namespace.
    profiles_by_namespace: dict[str, int]


class Witness:
    """Watches the rows being made, and keeps who was named in them."""

    def __init__(self) -> None:
        self._above: dict[Identity, Identity] = {}
        self._records: set[Identity] = set()
        self._events: dict[str, Identity] = {}

    def record(self, primary: Identity, *others: Identity | None) -> None:
        """Note a record and whom it names besides its primary identity."""
        self._records.add(primary)
        self._join(primary, others)

    def event(self, id: str, primary: Identity, *others: Identity | None) -> None:
        """Note an event and whom it names besides its primary identity. Ids repeat themselves."""
        self._events[id] = primary
        self._join(primary, others)

    def truth(self) -> Truth:
        """Count what an export must hold, now that every row was made."""
        members: dict[Identity, list[Identity]] = defaultdict(list)
        for identity in self._above:
            members[self._root(identity)].append(identity)
        too_large = {root for root, own in members.items() if len(own) > IDENTITIES_PER_PROFILE}
        with_record = {self._root(identity) for identity in self._records}
        exported = with_record - too_large
        namespaces = Counter(
            namespace
            for root in exported
            for namespace in {identity.partition(":")[0] for identity in members[root]}
        )
        return Truth(
            profile_count=len(exported),
            empty_profile_count=len(members.keys() - with_record - too_large),
            excluded_count=len(too_large),
            event_count=sum(self._root(primary) in exported for primary in self._events.values()),
            profiles_by_namespace=dict(sorted(namespaces.items())),
        )

    def _join(self, first: Identity, others: tuple[Identity | None, ...]) -> None:
        self._above.setdefault(first, first)
        for other in others:
            if other is not None:
                self._above.setdefault(other, other)
                self._above[self._root(other)] = self._root(first)

    def _root(self, identity: Identity) -> Identity:
        above = self._above
        while above[identity] != identity:
            above[identity] = above[above[identity]]
            identity = above[identity]
        return identity
