"""What the variables of a rule stand for, and what was worked out already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from catalog.pql.nodes import Binding, Node
from service.engine.segments.shapes import Shapes
from service.engine.segments.spaces import Space, Truth
from service.engine.segments.values import Listing, Value


@dataclass(slots=True, eq=False)
class Memory:
    """What was worked out of variables that live as long as this does."""

    depth: int = 0
    known: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """What a variable stands for. Two are the same only if they are one."""

    value: Value
    memory: Memory


Scope: TypeAlias = Mapping[str, Bound]


class Evaluates(Protocol):
    """Works out nodes, each once for the same variables."""

    shapes: Shapes
    #: The space of constants.
    constants: Space

    def value(self, node: Node, scope: Scope) -> Value:
        """Work out what an expression is, in the outermost space in which that can be said."""

    def truth(self, node: Node, scope: Scope, *, wanted: bool = True) -> Truth:
        """Work out where a condition is true, or else where it is false; it may be neither."""

    def listing(self, binding: Binding, scope: Scope) -> tuple[Listing, Bound]:
        """Work out the list that a variable runs through, and what the variable stands for."""
