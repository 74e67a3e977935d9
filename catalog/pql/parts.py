"""Parts of a rule that is being read: nodes to be, until the scope they stand in is known."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lark import Token

from catalog.pql import making
from catalog.pql.nodes import Binding, Node
from catalog.pql.problems import Problem
from catalog.pql.scopes import Scope

#: How deep a rule may go, brackets and dots included: what follows it down calls itself, and
#: Python allows that a thousand times, three or four of them for each level.
DEEPEST = 150
NAME = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Part:
    """A node to be, in a scope that is not known yet."""

    at: int
    build: Callable[[Scope], Node]
    depth: int = 1
    #: Names of the element that it is asked of, when it was written as a lambda.
    parameters: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """A binding to be, and what its elements must meet."""

    variable: str
    source: Part
    condition: Part | None

    @property
    def parts(self) -> list[Part]:
        return [self.source, *([self.condition] if self.condition else [])]


def part(at: int, build: Callable[[Scope], Node], *below: Part) -> Part:
    """Refuses with Problem what goes too deep."""
    depth = 1 + max((each.depth for each in below), default=0)
    if depth > DEEPEST:
        raise Problem(f"the rule goes more than {DEEPEST} levels deep here", at)
    return Part(at, build, depth)


def joined(at: int, make: Callable[..., Node], *below: Part) -> Part:
    """A part that is made of the nodes of others, all in its own scope."""
    return part(at, lambda scope: make(*(each.build(scope) for each in below)), *below)


def of_each(source: Node, asked: Part, scope: Scope) -> tuple[Binding, Node]:
    """What is asked of every element of a list: a lambda names the element, others enter it."""
    if asked.parameters is None:
        variable, inside = scope.entered()
    elif len(asked.parameters) == 1:
        variable = asked.parameters[0]
        inside = scope.bound(variable, asked.at)
    else:
        raise Problem("expected one name in ( ) =>: that of the element", asked.at)
    return Binding(variable, source, at=source.at), asked.build(inside)


def bindings(bounds: Sequence[Bound], scope: Scope) -> tuple[tuple[Binding, ...], Node]:
    """Bindings, each in the scope of those before it, and what all together must meet."""
    made = []
    conditions = []
    for bound in bounds:
        made.append(Binding(bound.variable, bound.source.build(scope), at=bound.source.at))
        scope = scope.bound(bound.variable, bound.source.at)
        if bound.condition:
            conditions.append(bound.condition.build(scope))
    return tuple(made), making.conjunction(conditions, bounds[0].source.at)


def place(token: Token) -> int:
    """How many characters stand before a token."""
    return token.start_pos or 0
