"""Works rules out: which of a slice's profiles meet each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast

import numpy as np
import pyarrow as pa

from catalog.pql.nodes import (
    PROFILE,
    Aggregate,
    And,
    Binding,
    Call,
    Exists,
    ForAll,
    Function,
    If,
    In,
    Let,
    Literal,
    Member,
    Node,
    Not,
    Or,
    Variable,
)
from service.engine.ranking import Bools
from service.engine.segments import chunks, expressions
from service.engine.segments.documents import events_of, profiles_of
from service.engine.segments.quantifiers import found
from service.engine.segments.rows import Fields, Rows
from service.engine.segments.scopes import Bound, Memory, Scope
from service.engine.segments.shapes import Shapes
from service.engine.segments.spaces import (
    Space,
    Truth,
    both,
    either,
    innermost,
    is_false,
    is_true,
    unknown_or,
)
from service.engine.segments.values import Listing, Plain, Value

_TAKES_LISTS = {
    Function.INTERSECTS,
    Function.SUBSET_OF,
    Function.SUPERSET_OF,
    Function.INCLUDES,
}


def qualifying(rules: Sequence[Node], rows: Rows, fields: Fields, now: datetime) -> list[Bools]:
    """Say for each rule which profiles meet it; where that is unknown, they do not.

    ``now`` is aware, and the same for all slices of a job. Memory is that of the columns the
    rules mention, and of some for each distinct part of a rule; pairs of events are looked at
    piece by piece. Raises :class:`ValueError` for a regular expression that RE2 refuses.
    """
    evaluation = Evaluation(_shapes(_SameRules(rules)), rows, fields, now)
    return [evaluation.qualifying(rule) for rule in evaluation.shapes.rules]


class _SameRules:
    """Rules, for a cache: the same only if they are the very same objects."""

    def __init__(self, rules: Sequence[Node]) -> None:
        self.rules = tuple(rules)

    def __hash__(self) -> int:
        return hash(tuple(map(id, self.rules)))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _SameRules)
            and len(self.rules) == len(other.rules)
            and all(ours is theirs for ours, theirs in zip(self.rules, other.rules, strict=True))
        )


@lru_cache(maxsize=8)
def _shapes(same: _SameRules) -> Shapes:
    return Shapes(same.rules)


class Evaluation:
    """Works out the nodes of some rules for one slice."""

    def __init__(self, shapes: Shapes, rows: Rows, fields: Fields, now: datetime) -> None:
        self.shapes = shapes
        self.constants = Space.outermost()
        self.now = pa.array([now.astimezone(UTC).replace(tzinfo=None)], pa.timestamp("us"))
        self._profiles = Space(rows.count, self.constants, np.zeros(rows.count, np.int64))
        self._memory = Memory()
        profile = profiles_of(rows, fields, self._profiles)
        self._scope = {PROFILE.name: Bound(profile, self._memory)}
        self.events = events_of(rows, fields, self._profiles)

    def qualifying(self, rule: Node) -> Bools:
        """Say which profiles meet a rule."""
        return self.truth(rule, self._scope).seen_from(self._profiles).flags()

    def value(self, node: Node, scope: Scope) -> Value:
        """Work out what an expression is, in the outermost space in which that can be said."""
        if isinstance(node, Variable):
            return scope[node.name].value
        if isinstance(node, Literal):
            return expressions.literal(self, node, scope)
        value: Value = self._once(node, scope, None, self._value)
        return value

    def truth(self, node: Node, scope: Scope, *, wanted: bool = True) -> Truth:
        """Work out where a condition is true, or else where it is false; it may be neither."""
        truth: Truth = self._once(
            node, scope, wanted, lambda node, scope: self._truth(node, scope, wanted)
        )
        return truth

    def listing(self, binding: Binding, scope: Scope) -> tuple[Listing, Bound]:
        """Work out the list that a variable runs through, and what the variable stands for."""
        lists = self.value(binding.source, scope)
        if not isinstance(lists, Listing):
            raise TypeError("a variable runs through a list")
        memory = self._memory_of(binding.source, scope)
        known = memory.known.setdefault(id(lists.element), (Bound(lists.element, memory), lists))
        return lists, cast("Bound", known[0])

    def _once(
        self, node: Node, scope: Scope, kind: object, work: Callable[[Node, Scope], Any]
    ) -> Any:
        shape = self.shapes.of(node)
        bounds = tuple(scope[name] for name in shape.free)
        key = (shape.number, kind, bounds)
        known = self._memory_of(node, scope).known
        if key not in known:
            known[key] = work(node, scope)
        return known[key]

    def _memory_of(self, node: Node, scope: Scope) -> Memory:
        """Give the memory of the shortest-lived of a node's variables."""
        memories = [scope[name].memory for name in self.shapes.of(node).free]
        return max(memories, key=lambda memory: memory.depth, default=self._memory)

    def _value(self, node: Node, scope: Scope) -> Value:
        match node:
            case Not() | And() | Or() | Exists() | ForAll():
                return self._three_valued(node, scope)
            case Let():
                return self.value(node.body, self._with(node, scope))
            case Member():
                return expressions.member(self, node, scope)
        work = expressions.OF[type(node)]
        if _may_be_large(node) and self.shapes.of(node).is_coupled:
            return chunks.in_pieces(self, node, scope, work)
        return work(self, node, scope)

    def _three_valued(self, node: Node, scope: Scope) -> Plain:
        true, false = self.truth(node, scope), self.truth(node, scope, wanted=False)
        space = innermost((true.space, false.space))
        marks = unknown_or(true.seen_from(space).marks, false.seen_from(space).marks)
        return Plain(space, marks)

    def _truth(self, node: Node, scope: Scope, wanted: bool) -> Truth:  # noqa: FBT001
        match node:
            case Not():
                return self.truth(node.operand, scope, wanted=not wanted)
            case And() | Or():
                together = both if isinstance(node, And) is wanted else either
                truths = [self.truth(operand, scope, wanted=wanted) for operand in node.operands]
                return _all_together(together, truths)
            case Exists() | ForAll():
                sought = isinstance(node, Exists)
                truth = found(self, node.bindings, node.condition, scope, wanted=sought)
                return truth if sought is wanted else truth.opposite()
            case If():
                return self._chosen(node, scope, wanted)
            case Let():
                return self.truth(node.body, self._with(node, scope), wanted=wanted)
            case _:
                return self._of_value(node, scope, wanted)

    def _of_value(self, node: Node, scope: Scope, wanted: bool) -> Truth:  # noqa: FBT001
        value = self.value(node, scope)
        if not isinstance(value, Plain):
            raise TypeError("a condition is true, false or unknown")
        column = value.column
        if pa.types.is_null(column.type):
            return Truth.everywhere(value.space, is_true=False)
        return Truth(value.space, is_true(column) if wanted else is_false(column))

    def _chosen(self, node: If, scope: Scope, wanted: bool) -> Truth:  # noqa: FBT001
        then = self.truth(node.then, scope, wanted=wanted)
        otherwise = self.truth(node.otherwise, scope, wanted=wanted)
        return either(
            both(self.truth(node.condition, scope), then),
            both(self.truth(node.condition, scope, wanted=False), otherwise),
        )

    def _with(self, node: Let, scope: Scope) -> Scope:
        """Add the variable of a ``let``, which is the same one wherever its value is the same."""
        value = self.value(node.value, scope)
        memory = self._memory_of(node.value, scope)
        known = memory.known.setdefault(id(value), (Bound(value, memory), value))
        return {**scope, node.variable: known[0]}


def _all_together(together: Callable[[Truth, Truth], Truth], truths: list[Truth]) -> Truth:
    """Combine the outermost first: most is decided where there are the fewest rows."""
    first, *others = sorted(truths, key=lambda truth: truth.space.depth)
    for other in others:
        first = together(first, other)
    return first


def _may_be_large(node: Node) -> bool:
    match node:
        case Aggregate() | In():
            return True
        case Call():
            return node.function in _TAKES_LISTS
        case _:
            return False
