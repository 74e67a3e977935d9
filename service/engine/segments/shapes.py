"""What can be said of the nodes of rules before any row is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from catalog.pql.nodes import (
    Aggregate,
    And,
    Best,
    Binding,
    Exists,
    Filter,
    ForAll,
    GroupBy,
    Let,
    Literal,
    Map,
    Node,
    Not,
    Or,
    Variable,
)

Lists: TypeAlias = Filter | Map | Best | GroupBy | Aggregate


@dataclass(frozen=True, slots=True)
class Shape:
    """A node, but for the names of its variables."""

    #: Nodes that say the same of their free variables have the same number.
    number: int
    #: Names that the node does not bind itself, in the order of their first mention.
    free: tuple[str, ...]
    #: Runs through a list and compares its elements with variables from elsewhere.
    is_coupled: bool


class Shapes:
    """The shapes of all nodes of some rules."""

    def __init__(self, rules: Sequence[Node]) -> None:
        #: Kept, because shapes are found by the nodes themselves, not by what equals them.
        self.rules = tuple(rules)
        self._numbers: dict[Any, int] = {}
        self._shapes: dict[int, Shape] = {}

    def of(self, node: Node) -> Shape:
        """Give the shape of a node of one of the rules."""
        shape = self._shapes.get(id(node))
        if shape is None:
            free: dict[str, int] = {}
            template = _template(node, (), free)
            number = self._numbers.setdefault(template, len(self._numbers))
            shape = Shape(number, tuple(free), _is_coupled(node, frozenset(free)))
            self._shapes[id(node)] = shape
        return shape

    def free(self, node: Node) -> tuple[str, ...]:
        return self.of(node).free


def conjuncts(node: Node, wanted: bool) -> Iterator[tuple[Node, bool]]:  # noqa: FBT001
    """Take a condition apart: all of these must be true, or false, for it to be as wanted."""
    match node:
        case Not():
            yield from conjuncts(node.operand, not wanted)
        case And() if wanted:
            for operand in node.operands:
                yield from conjuncts(operand, wanted)
        case Or() if not wanted:
            for operand in node.operands:
                yield from conjuncts(operand, wanted)
        case _:
            yield node, wanted


def parts(node: Node) -> Iterator[tuple[Node, tuple[str, ...]]]:
    """Give the nodes directly beneath one, each with the names that are bound for it here."""
    match node:
        case Exists() | ForAll():
            names: tuple[str, ...] = ()
            for binding in node.bindings:
                yield binding.source, names
                names = (*names, binding.variable)
            yield node.condition, names
        case Filter() | Map() | Best() | GroupBy() | Aggregate():
            body = node.condition if isinstance(node, Filter) else node.value
            yield node.binding.source, ()
            if body is not None:
                yield body, (node.binding.variable,)
        case Let():
            yield node.value, ()
            yield node.body, (node.variable,)
        case _:
            yield from ((part, ()) for part in _plain_parts(node))


def _plain_parts(node: Node) -> Iterator[Node]:
    for each in fields(node):
        value = getattr(node, each.name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            yield from value


def _template(node: Node, bound: tuple[str, ...], free: dict[str, int]) -> Any:
    """Spell a node with numbers for names: bound ones from the inside, free ones as they come."""
    if isinstance(node, Variable):
        for distance, name in enumerate(reversed(bound)):
            if name == node.name:
                return "bound", distance
        return "free", free.setdefault(node.name, len(free))
    if isinstance(node, Literal):
        return Literal, type(node.value), node.value
    own = tuple(
        value
        for each in fields(node)
        if each.name not in ("at", "variable")
        and not isinstance(value := getattr(node, each.name), Node | tuple | Binding)
    )
    below = tuple(_template(part, (*bound, *names), free) for part, names in parts(node))
    return type(node), own, below


def _is_coupled(node: Node, free: frozenset[str]) -> bool:
    if isinstance(node, Lists):
        source, *bodies = parts(node)
        known = _mentioned(source[0])
        for body, names in bodies:
            if (_mentioned(body) - known - {*names, "$profile"}) & free:
                return True
    return any(_is_coupled(part, free - {*names}) for part, names in parts(node))


def _mentioned(node: Node) -> frozenset[str]:
    """Give the free variables of a node."""
    free: dict[str, int] = {}
    _template(node, (), free)
    return frozenset(free)
