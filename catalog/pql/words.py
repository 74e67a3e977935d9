"""Nodes into plain words, for people who read rules and do not write them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from catalog.pql import phrases
from catalog.pql.making import ELEMENT
from catalog.pql.nodes import (
    PROFILE,
    Aggregate,
    And,
    Arithmetic,
    Best,
    Between,
    Binding,
    Call,
    Compare,
    Comparison,
    Distance,
    Events,
    Exists,
    Filter,
    ForAll,
    Function,
    GroupBy,
    If,
    In,
    Let,
    ListOf,
    Literal,
    Map,
    Member,
    Node,
    Not,
    Now,
    Operator,
    Or,
    Quantity,
    Shifted,
    StartOf,
    Variable,
)
from catalog.pql.occasions import is_date
from catalog.pql.spelling import Tightness
from catalog.pql.walking import Visitor

_COMPARED: Mapping[Comparison, str] = MappingProxyType(
    {
        Comparison.EQUAL: "is",
        Comparison.NOT_EQUAL: "is not",
        Comparison.LESS: "is less than",
        Comparison.AT_MOST: "is at most",
        Comparison.GREATER: "is more than",
        Comparison.AT_LEAST: "is at least",
    }
)
_CALCULATED: Mapping[Operator, str] = MappingProxyType(
    {
        Operator.ADD: "plus",
        Operator.SUBTRACT: "minus",
        Operator.MULTIPLY: "times",
        Operator.DIVIDE: "divided by",
        Operator.REMAINDER: "modulo",
    }
)
_QUANTITIES: Mapping[Quantity, str] = MappingProxyType(
    {
        Quantity.COUNT: "the number",
        Quantity.SUM: "the sum",
        Quantity.AVERAGE: "the average",
        Quantity.MIN: "the smallest",
        Quantity.MAX: "the largest",
    }
)
#: With the operands in their places.
_CALLED: Mapping[Function, str] = MappingProxyType(
    {
        Function.EQUALS: "{0} is {1}",
        Function.STARTS_WITH: "{0} starts with {1}",
        Function.ENDS_WITH: "{0} ends with {1}",
        Function.CONTAINS: "{0} contains {1}",
        Function.LIKE: "{0} looks like {1}",
        Function.MATCHES: "{0} matches the expression {1}",
        Function.REGEX_GROUP: "group {2} of {1} in {0}",
        Function.INTERSECTS: "{0} and {1} have something in common",
        Function.INTERSECTION: "what {0} and {1} have in common",
        Function.SUBSET_OF: "all of {0} are among {1}",
        Function.SUPERSET_OF: "{0} include all of {1}",
        Function.INCLUDES: "{0} include {1}",
        Function.DISTINCT: "the different ones of {0}",
        Function.HEAD: "the first of {0}",
        Function.GET: "{1} in {0}",
        Function.KEYS: "the keys of {0}",
        Function.VALUES: "the values of {0}",
        Function.IS_NULL: "{0} has no value",
        Function.YEAR_OF: "the year of {0}",
        Function.MONTH_OF: "the month of {0}",
        Function.DAY_OF_MONTH_OF: "the day of the month of {0}",
    }
)
_NEGATED: Mapping[Function, str] = MappingProxyType(
    {
        Function.EQUALS: "{0} is not {1}",
        Function.STARTS_WITH: "{0} does not start with {1}",
        Function.ENDS_WITH: "{0} does not end with {1}",
        Function.CONTAINS: "{0} does not contain {1}",
        Function.LIKE: "{0} does not look like {1}",
        Function.IS_NULL: "{0} has a value",
        Function.INCLUDES: "{0} do not include {1}",
    }
)
_ASKED = frozenset({Function.EQUALS, Function.STARTS_WITH, Function.ENDS_WITH, Function.CONTAINS})


def say(node: Node) -> str:
    """What a rule asks of a profile, as one sentence."""
    return f"Profiles of which {_Speaker().visit(node)}."


class _Speaker(Visitor[str]):
    def held(self, node: Node, at_least: Tightness = Tightness.WHOLE) -> str:
        """A part, in brackets where it would run on into what stands around it."""
        is_long = isinstance(node, And | Or | Exists | ForAll | Let | Arithmetic)
        words = self.visit(node)
        return f"({words})" if is_long and at_least > Tightness.WHOLE else words

    def _part(self, node: Node) -> str:
        return self.held(node, Tightness.NOT)

    def literal(self, node: Literal) -> str:
        value = node.value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return f"“{value}”"
        if is_date(value):
            return value.isoformat()
        if isinstance(value, datetime):
            return f"{value:%Y-%m-%d %H:%M:%S} UTC"
        return "nothing" if value is None else f"{value:,}"

    def now(self, _: Now) -> str:
        return "now"

    def events(self, _: Events) -> str:
        return "the events"

    def variable(self, node: Variable) -> str:
        if node == PROFILE:
            return "the profile"
        return "it" if node.name.startswith("$") else node.name

    def member(self, node: Member) -> str:
        names = [node.name]
        of = node.of
        while isinstance(of, Member):
            names.insert(0, of.name)
            of = of.of
        path = ".".join(names)
        if of == PROFILE or (isinstance(of, Variable) and of.name.startswith("$")):
            return path
        return f"{path} of {self._part(of)}"

    def start_of(self, node: StartOf) -> str:
        return phrases.WORDS.get(node) or f"the start of the {node.unit} of {self._part(node.of)}"

    def shifted(self, node: Shifted) -> str:
        word = phrases.WORDS.get(node)
        amount = node.amount.value if isinstance(node.amount, Literal) else None
        if isinstance(amount, int) and not word:
            direction = "before" if amount < 0 else "after"
            return f"{_units(abs(amount), node.unit)} {direction} {self._part(node.of)}"
        return word or f"{self._part(node.amount)} {node.unit}s after {self._part(node.of)}"

    def distance(self, node: Distance) -> str:
        return f"the {node.unit}s from {self._part(node.start)} to {self._part(node.end)}"

    def list_of(self, node: ListOf) -> str:
        words = [self._part(each) for each in node.elements]
        return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)

    def negation(self, node: Not) -> str:
        asked = node.operand
        if isinstance(asked, Call) and asked.function in _NEGATED:
            return self._called(_NEGATED[asked.function], asked)
        if isinstance(asked, In):
            return f"{self._part(asked.element)} is none of {self._part(asked.of)}"
        if isinstance(asked, Exists):
            return f"there is no {self._chosen(asked)}"
        return f"it is not so that {self._part(asked)}"

    def conjunction(self, node: And) -> str:
        return " and ".join(phrases.joined(node.operands, self))

    def disjunction(self, node: Or) -> str:
        return " or ".join(self._part(each) for each in node.operands)

    def choice(self, node: If) -> str:
        then, otherwise = self._part(node.then), self._part(node.otherwise)
        return f"{then} if {self._part(node.condition)}, else {otherwise}"

    def comparison(self, node: Compare) -> str:
        phrase = phrases.at_distance([node], self)
        if phrase:
            return phrase
        sides = self._part(node.left), self._part(node.right)
        return f"{sides[0]} {_COMPARED[node.comparison]} {sides[1]}"

    def arithmetic(self, node: Arithmetic) -> str:
        return f"{self._part(node.left)} {_CALCULATED[node.operator]} {self._part(node.right)}"

    def containment(self, node: In) -> str:
        return f"{self._part(node.element)} is one of {self._part(node.of)}"

    def between(self, node: Between) -> str:
        phrase = phrases.within(node, self)
        if phrase:
            return phrase
        end = self._part(node.end)
        return f"{self._part(node.instant)} is from {self._part(node.start)} on and before {end}"

    def call(self, node: Call) -> str:
        return self._called(_CALLED[node.function], node)

    def _called(self, words: str, node: Call) -> str:
        said = words.format(*map(self._part, node.operands))
        if node.function in _ASKED and node.operands[2] == Literal(value=False):
            return f"{said}, in any case"
        return said

    def exists(self, node: Exists) -> str:
        return f"there is {self._chosen(node)}"

    def _chosen(self, node: Exists) -> str:
        where = "" if node.condition == Literal(value=True) else ", where "
        condition = self.visit(node.condition) if where else ""
        return f"{' and '.join(map(self._one_of, node.bindings))}{where}{condition}"

    def for_all(self, node: ForAll) -> str:
        bindings = " and ".join(map(self._one_of, node.bindings))
        return f"for every {bindings}, {self.visit(node.condition)}"

    def _one_of(self, binding: Binding) -> str:
        name = "" if binding.variable.startswith("$") else f" {binding.variable}"
        return f"one{name} of {self._part(binding.source)}"

    def filtered(self, node: Filter) -> str:
        return f"those of {self._named(node.binding)} where {self._part(node.condition)}"

    def mapped(self, node: Map) -> str:
        return f"{self._part(node.value)} of each of {self._named(node.binding)}"

    def grouped(self, node: GroupBy) -> str:
        return f"{self._named(node.binding)} in groups by {self._part(node.value)}"

    def best(self, node: Best) -> str:
        which = "largest" if node.is_largest else "smallest"
        of = self._named(node.binding)
        return f"the {node.count} of {of} with the {which} {self._part(node.value)}"

    def aggregate(self, node: Aggregate) -> str:
        of = self._named(node.binding)
        if node.value is None or node.binding.variable == ELEMENT:
            return f"{_QUANTITIES[node.quantity]} of {of}"
        return f"{_QUANTITIES[node.quantity]} of {self._part(node.value)} over {of}"

    def _named(self, binding: Binding) -> str:
        name = "" if binding.variable.startswith("$") else f" (each one called {binding.variable})"
        return f"{self._part(binding.source)}{name}"

    def let(self, node: Let) -> str:
        return f"with {node.variable} for {self._part(node.value)}, {self.visit(node.body)}"


def _units(count: int, unit: str) -> str:
    return f"{count} {unit}{'' if count == 1 else 's'}"
