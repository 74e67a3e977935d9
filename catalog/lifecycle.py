"""A lifecycle is a table: from a state, an event leads to another state, or is refused.

The table is the only description of the rules. The stores take the states an event may
leave from it, the documentation takes its diagrams from it, and a test asks it whether
every state can be reached.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Generic, TypeVar

from catalog.errors import IllegalTransition

State = TypeVar("State", bound=StrEnum)
Event = TypeVar("Event", bound=StrEnum)


class Lifecycle(Generic[State, Event]):
    """The states of one kind of thing, and the events that move it between them."""

    def __init__(
        self, noun: str, initial: frozenset[State], edges: Mapping[State, Mapping[Event, State]]
    ) -> None:
        self.noun = noun
        self.initial = initial
        self.edges = edges

    def after(self, state: State, event: Event, *, id: object = "", kind: str = "") -> State:
        """Return the state that follows, or refuse an event this state does not expect."""
        try:
            return self.edges[state][event]
        except KeyError:
            which = f"{kind} {self.noun} {id}".strip()
            raise IllegalTransition(f"{which} is {state}: cannot {event}") from None

    def sources(self, event: Event) -> tuple[State, ...]:
        """Every state the event may leave, in the order the table lists them."""
        return tuple(state for state, exits in self.edges.items() if event in exits)

    def target(self, event: Event) -> State:
        """The one state the event leads to, wherever it started."""
        (target,) = {exits[event] for exits in self.edges.values() if event in exits}
        return target

    def diagram(self) -> str:
        """The table as a Mermaid state diagram."""
        lines = ["stateDiagram-v2"]
        lines += [f"    [*] --> {state}" for state in self.edges if state in self.initial]
        lines += [
            f"    {state} --> {target}: {event}"
            for state, exits in self.edges.items()
            for event, target in exits.items()
        ]
        return "\n".join(lines)
