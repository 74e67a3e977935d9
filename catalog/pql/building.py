"""What the parser does at each rule of the grammar: from its parts, make a part.

The methods have the names of the rules in ``grammar.lark``. What is below an operator, from paths
down to literals, is in :mod:`~catalog.pql.operands`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lark import Token, v_args

from catalog.pql import functions, making, occasions
from catalog.pql.nodes import (
    PROFILE,
    Arithmetic,
    Compare,
    Comparison,
    Exists,
    Filter,
    ForAll,
    In,
    Let,
    Literal,
    Node,
    Operator,
    Quantity,
)
from catalog.pql.operands import OperandBuilder
from catalog.pql.parts import NAME, Bound, Part, bindings, joined, part, place
from catalog.pql.problems import Problem
from catalog.pql.scopes import Scope

_SPELLINGS = {"==": Comparison.EQUAL, "<>": Comparison.NOT_EQUAL}

#: A time after ``occurs``: a node to be, or a period that means the same everywhere.
Moment = Part | occasions.Period


@dataclass(frozen=True, slots=True)
class Occasion:
    """What follows ``occurs``: times, and what an instant and they make."""

    times: list[Moment]
    make: Callable[..., Node]


@v_args(inline=True)
class Builder(OperandBuilder):
    def rule_of_parameter(self, opening: Token, body: Part) -> Part:
        names = NAME.findall(opening)
        if len(names) != 1:
            raise Problem("expected one name in ( ) =>: that of the profile", place(opening))
        at = place(opening)
        return self.whole(
            part(at, lambda scope: body.build(scope.bound(names[0], at, PROFILE)), body)
        )

    def whole(self, body: Part) -> Part:
        return joined(body.at, making.condition, body)

    def let(self, word: Token, name: Token, _: Token, value: Part, __: Token, body: Part) -> Part:
        def build(scope: Scope) -> Node:
            inside = body.build(scope.bound(str(name), place(name)))
            return Let(str(name), value.build(scope), inside, at=place(word))

        return part(place(word), build, value, body)

    def either(self, *given: Part | Token) -> Part:
        parts = [each for each in given if isinstance(each, Part)]
        at = parts[0].at
        return joined(at, lambda *nodes: making.disjunction(nodes, at), *parts)

    def both(self, *given: Part | Token) -> Part:
        parts = [each for each in given if isinstance(each, Part)]
        at = parts[0].at
        return joined(at, lambda *nodes: making.conjunction(nodes, at), *parts)

    def negated(self, word: Token, operand: Part) -> Part:
        return joined(place(word), lambda node: making.negation(node, place(word)), operand)

    def exists(self, word: Token, bounds: Sequence[Bound]) -> Part:
        def build(scope: Scope) -> Node:
            return Exists(*bindings(bounds, scope), at=place(word))

        return part(place(word), build, *_below(bounds))

    def forall(self, word: Token, bounds: Sequence[Bound]) -> Part:
        def build(scope: Scope) -> Node:
            return ForAll(*bindings(bounds, scope), at=place(word))

        return part(place(word), build, *_below(bounds))

    def select(self, word: Token, bounds: Sequence[Bound]) -> Part:
        """A list of what meets a condition; of several variables, whether any choice does."""

        def build(scope: Scope) -> Node:
            made, condition = bindings(bounds, scope)
            if len(made) > 1:
                return Exists(made, condition, at=place(word))
            return Filter(made[0], condition, at=place(word))

        return part(place(word), build, *_below(bounds))

    def aggregate(self, word: Token, value: Part, _: Token, bound: Bound) -> Part:
        def build(scope: Scope) -> Node:
            (binding,), condition = bindings([bound], scope)
            inside = value.build(scope.bound(bound.variable, place(word)))
            if bound.condition:
                chosen = Filter(binding, condition, at=binding.at)
                binding = making.over(bound.variable, chosen)
            return making.aggregate(Quantity(str(word)), binding, inside, place(word))

        return part(place(word), build, value, *bound.parts)

    def bindings(self, *bounds: Bound) -> Sequence[Bound]:
        return bounds

    def binding(self, name: Token, _: Token, source: Part, *where: Part | Token) -> Bound:
        return Bound(str(name), source, _condition(where))

    def next_binding(self, opening: Token, source: Part, *where: Part | Token) -> Bound:
        return Bound(NAME.findall(opening)[0], source, _condition(where))

    def compared(self, left: Part, word: Token, right: Part) -> Part:
        by = comparison(word)
        return joined(left.at, lambda a, b: Compare(by, a, b, at=left.at), left, right)

    def contained(self, left: Part, _: Token, right: Part) -> Part:
        return joined(left.at, lambda a, b: In(a, b, at=left.at), left, right)

    def not_contained(self, left: Part, _: Token, right: Part) -> Part:
        return joined(left.at, lambda a, b: making.not_in(a, b, left.at), left, right)

    def like(self, left: Part, _: Token, right: Part) -> Part:
        return joined(left.at, lambda *given: functions.called("like", given, left.at), left, right)

    def arithmetic(self, left: Part, word: Token, right: Part) -> Part:
        by = Operator(str(word))
        return joined(left.at, lambda a, b: Arithmetic(by, a, b, at=left.at), left, right)

    def signed(self, sign: Token, operand: Part) -> Part:
        at = place(sign)

        def make(node: Node) -> Node:
            if sign == "+":
                return node
            if isinstance(node, Literal) and isinstance(node.value, int | float):
                return Literal(-node.value, at=at)
            return Arithmetic(Operator.SUBTRACT, Literal(0, at=at), node, at=at)

        return joined(at, make, operand)

    def occurs(self, left: Part, _: Token, occasion: Occasion) -> Part:
        def build(scope: Scope) -> Node:
            times = [
                time.build(scope) if isinstance(time, Part) else time for time in occasion.times
            ]
            return occasion.make(left.build(scope), *times)

        return part(
            left.at, build, left, *(time for time in occasion.times if isinstance(time, Part))
        )

    def at_distance(
        self, word: Token, count: Token, unit: Token, direction: Token, time: Moment
    ) -> Occasion:
        distance = occasions.Distanced(
            comparison(word), int(count), str(unit), str(direction).lower()
        )
        return Occasion(
            [time], lambda instant, time: occasions.at_distance(instant, distance, time)
        )

    def to_one_side(self, word: Token, time: Moment) -> Occasion:
        side = occasions.before if word.lower() == "before" else occasions.after
        return Occasion([time], side)

    def within(self, _: Token, first: Moment, __: Token, last: Moment) -> Occasion:
        return Occasion([first, last], occasions.between)

    def during(self, *given: Moment | Token) -> Occasion:
        time = given[-1]
        assert not isinstance(time, Token)
        return Occasion([time], occasions.during)

    def relative(self, which: Token, unit: Token) -> occasions.Period:
        return occasions.relative(str(which), str(unit), place(which))


def comparison(word: Token) -> Comparison:
    return _SPELLINGS.get(str(word)) or Comparison(str(word))


def _condition(where: Sequence[Part | Token]) -> Part | None:
    """The condition after a where, if there is one."""
    return next((each for each in where if isinstance(each, Part)), None)


def _below(bounds: Sequence[Bound]) -> list[Part]:
    return [each for bound in bounds for each in bound.parts]
