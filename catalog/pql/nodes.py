"""The nodes of a rule: one small tree, whatever spelling a caller used.

Sugar is gone here: an implicit context is :data:`PROFILE`, ``xEvent`` is :data:`EVENTS`, ``:``
is ``where``, ``arr[cond]`` is a :class:`Filter`, ``sum e over X from arr where c`` an
:class:`Aggregate` of a :class:`Filter`, ``.doesNotContain(s)`` a :class:`Not` of a
:class:`Call`, and ``occurs last week`` a :class:`Between`. Two rules that mean the same by
construction are therefore equal, and are evaluated once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import TypeAlias


class Comparison(StrEnum):
    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="


class Operator(StrEnum):
    """Of numbers."""

    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"  # a double, whatever it divides
    REMAINDER = "%"  # has the sign of the dividend


class Unit(StrEnum):
    """Of time. Days and longer ones are those of the calendar in UTC; weeks begin on Monday."""

    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class Quantity(StrEnum):
    """What an aggregate makes of a list. Nulls do not count, but for COUNT, which counts rows."""

    COUNT = "count"
    SUM = "sum"
    AVERAGE = "average"
    MIN = "min"
    MAX = "max"


class Function(StrEnum):
    """What a :class:`Call` may name; the comments give its operands."""

    # Strings: (text, other, is case-sensitive as a Literal).
    EQUALS = "equals"
    STARTS_WITH = "startsWith"
    ENDS_WITH = "endsWith"
    CONTAINS = "contains"
    LIKE = "like"  # (text, pattern as a Literal)
    MATCHES = "matches"  # (text, regular expression as a Literal): anywhere in the text
    REGEX_GROUP = "regexGroup"  # (text, regular expression, group, both Literals)
    # Lists.
    INTERSECTS = "intersects"  # (list, list)
    INTERSECTION = "intersection"
    SUBSET_OF = "subsetOf"
    SUPERSET_OF = "supersetOf"
    INCLUDES = "includes"  # (list, element)
    DISTINCT = "distinct"  # (list)
    HEAD = "head"  # (list): its first element
    # Maps.
    GET = "get"  # (map, key)
    KEYS = "keys"
    VALUES = "values"
    # Anything.
    IS_NULL = "isNull"
    # Instants and dates: (instant).
    YEAR_OF = "getYear"
    MONTH_OF = "getMonth"
    DAY_OF_MONTH_OF = "getDayOfMonth"


@dataclass(frozen=True, slots=True)
class _Node:
    #: Where in the text it begins, in characters from 0; does not count when nodes are compared.
    at: int = field(default=0, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True, eq=False)
class Literal(_Node):
    """A constant; ``None`` is null. Equal to its like alone: 1 is neither 1.0 nor true."""

    value: bool | int | float | str | date | datetime | None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Literal):
            return NotImplemented
        return type(self.value) is type(other.value) and self.value == other.value

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


@dataclass(frozen=True, slots=True)
class Now(_Node):
    """The instant of the evaluation."""


@dataclass(frozen=True, slots=True)
class StartOf(_Node):
    """The beginning of the period that holds an instant: ``StartOf(DAY, Now())`` is today."""

    unit: Unit
    of: Node


@dataclass(frozen=True, slots=True)
class Shifted(_Node):
    """An instant moved by some units, back when negative; months end where they must."""

    of: Node
    amount: Node
    unit: Unit


@dataclass(frozen=True, slots=True)
class Variable(_Node):
    """What a quantifier, a filter, a lambda or a ``let`` has bound; :data:`PROFILE` always is."""

    name: str


@dataclass(frozen=True, slots=True)
class Events(_Node):
    """The list of the profile's events, oldest first: ``xEvent``."""


@dataclass(frozen=True, slots=True)
class Member(_Node):
    """A field of an object: of the profile, of an event, of an element, of another field."""

    of: Node
    name: str


@dataclass(frozen=True, slots=True)
class ListOf(_Node):
    """A list written out."""

    elements: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not(_Node):
    operand: Node


@dataclass(frozen=True, slots=True)
class And(_Node):
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or(_Node):
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class If(_Node):
    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Compare(_Node):
    comparison: Comparison
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Arithmetic(_Node):
    operator: Operator
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class In(_Node):
    """Whether a value is an element of a list."""

    element: Node
    of: Node


@dataclass(frozen=True, slots=True)
class Between(_Node):
    """Whether an instant lies from ``start`` on and before ``end``."""

    instant: Node
    start: Node
    end: Node


@dataclass(frozen=True, slots=True)
class Distance(_Node):
    """How many units lie from ``start`` to ``end``, a fraction of one included; may be negative.

    ``TS occurs > 3 days before T`` compares the distance from TS to T with 3 and requires that it
    is not negative.
    """

    unit: Unit
    start: Node
    end: Node


@dataclass(frozen=True, slots=True)
class Call(_Node):
    function: Function
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Binding(_Node):
    """A variable that stands for one element of a list after the other."""

    variable: str
    #: May name the profile, variables of outer nodes and those of bindings before it.
    source: Node


@dataclass(frozen=True, slots=True)
class Exists(_Node):
    """Whether any choice of elements, one for each binding, meets the condition."""

    bindings: tuple[Binding, ...]
    condition: Node


@dataclass(frozen=True, slots=True)
class ForAll(_Node):
    """Whether no choice of elements fails the condition; so of an empty list, true."""

    bindings: tuple[Binding, ...]
    condition: Node


@dataclass(frozen=True, slots=True)
class Filter(_Node):
    """The elements of a list that meet a condition."""

    binding: Binding
    condition: Node


@dataclass(frozen=True, slots=True)
class Map(_Node):
    """A list of what an expression is for each element of a list."""

    binding: Binding
    value: Node


@dataclass(frozen=True, slots=True)
class Best(_Node):
    """The ``count`` elements with the largest values, or the smallest; of equals the earlier."""

    binding: Binding
    value: Node
    count: int
    is_largest: bool


@dataclass(frozen=True, slots=True)
class GroupBy(_Node):
    """A list of the lists of elements that agree in a value, in order of first appearance."""

    binding: Binding
    value: Node


@dataclass(frozen=True, slots=True)
class Aggregate(_Node):
    """A number made of a list: of what ``value`` is for each element; of a COUNT, null."""

    quantity: Quantity
    binding: Binding
    value: Node | None


@dataclass(frozen=True, slots=True)
class Let(_Node):
    """A name for a value, in the body."""

    variable: str
    value: Node
    body: Node


Node: TypeAlias = (
    Literal
    | Now
    | StartOf
    | Shifted
    | Variable
    | Events
    | Member
    | ListOf
    | Not
    | And
    | Or
    | If
    | Compare
    | Arithmetic
    | In
    | Between
    | Distance
    | Call
    | Exists
    | ForAll
    | Filter
    | Map
    | Best
    | GroupBy
    | Aggregate
    | Let
)

#: The profile itself. No caller can write a variable of this name.
PROFILE = Variable("$profile")
#: The events of the profile.
EVENTS = Events()
