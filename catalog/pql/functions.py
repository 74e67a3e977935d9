"""Functions by the names callers know them by, and the nodes they are.

A function is called on its subject, ``subject.name(others)``, or as ``name(subject, others)``:
both are the same. Those that look at one element after the other are :data:`OF_ELEMENTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import MappingProxyType

from catalog.pql import occasions
from catalog.pql.making import aggregate, condition, is_null, negation
from catalog.pql.nodes import (
    Best,
    Between,
    Binding,
    Call,
    Distance,
    Filter,
    Function,
    GroupBy,
    If,
    Literal,
    Map,
    Node,
    Now,
    Quantity,
    Shifted,
    StartOf,
    Unit,
)
from catalog.pql.problems import Problem, nearest

Operands = Sequence[Node]


@dataclass(frozen=True, slots=True)
class _Made:
    make: Callable[[Operands, int], Node]
    #: How many operands it takes, its subject among them.
    fewest: int
    most: int


def called(name: str, operands: Operands, at: int) -> Node:
    """The node of a function that is no function of elements. Raises Problem."""
    function = PLAIN.get(name)
    if function is None:
        raise Problem(f"there is no function {name}{nearest(name, KNOWN)}", at)
    if not function.fewest <= len(operands) <= function.most:
        raise Problem(f"{name} {_arguments(function)} but was given {len(operands)}", at)
    return function.make(operands, at)


def of_elements(name: str, binding: Binding, value: Node, count: int, at: int) -> Node:
    """The node of a function of elements; ``count`` matters to the best ones alone."""
    if name in QUANTITIES:
        return aggregate(QUANTITIES[name], binding, value, at)
    if name == "filter":
        return Filter(binding, condition(value), at=at)
    if name == "map":
        return Map(binding, value, at=at)
    if name == "groupBy":
        return GroupBy(binding, value, at=at)
    return Best(binding, value, count, name == "topN", at=at)


def arguments_of(name: str) -> tuple[int, ...]:
    """How many arguments a function of elements may have, besides the list."""
    if name in ("topN", "bottomN"):
        return (2,)
    return (0, 1) if name in QUANTITIES else (1,)


def text_of(node: Node, what: str) -> str:
    """What a literal text says. Raises Problem when it is anything else."""
    if isinstance(node, Literal) and isinstance(node.value, str):
        return node.value
    raise Problem(f"expected {what}, written out as a text", node.at)


def whole_of(node: Node, what: str) -> int:
    """The number that is written out. Raises Problem when it is anything else."""
    if isinstance(node, Literal) and isinstance(node.value, int) and node.value is not True:
        return int(node.value)
    raise Problem(f"expected {what}, written out as a whole number", node.at)


def _arguments(function: _Made) -> str:
    if function.fewest == function.most:
        return f"needs {function.most} in all, with what it is called on,"
    return f"needs {function.fewest} to {function.most} in all, with what it is called on,"


def _plain(function: Function, count: int) -> _Made:
    return _Made(lambda given, at: Call(function, tuple(given), at=at), count, count)


def _text(function: Function) -> _Made:
    """A question about a text, which tells upper from lower case unless it is told not to."""

    def make(given: Operands, at: int) -> Node:
        is_sensitive = given[2] if len(given) > 2 else Literal(value=True, at=at)  # noqa: PLR2004
        if not (isinstance(is_sensitive, Literal) and isinstance(is_sensitive.value, bool)):
            raise Problem("expected true or false: whether case matters", is_sensitive.at)
        return Call(function, (given[0], given[1], is_sensitive), at=at)

    return _Made(make, 2, 3)


def _negated(function: _Made) -> _Made:
    return _Made(
        lambda given, at: negation(function.make(given, at), at), function.fewest, function.most
    )


def _with_pattern(function: Function, what: str) -> _Made:
    def make(given: Operands, at: int) -> Node:
        text_of(given[1], what)
        return Call(function, tuple(given), at=at)

    return _Made(make, 2, 2)


def _regex_group(given: Operands, at: int) -> Node:
    text_of(given[1], "a regular expression")
    group = given[2] if len(given) > 2 else Literal(1, at=at)  # noqa: PLR2004
    whole_of(group, "the number of a group")
    return Call(Function.REGEX_GROUP, (given[0], given[1], group), at=at)


def _date(given: Operands, at: int) -> Node:
    year, month, day = (whole_of(each, "a year, a month and a day") for each in given)
    try:
        return Literal(date(year, month, day), at=at)
    except ValueError as error:
        raise Problem(f"there is no such date: {error}", at) from error


def _timestamp(given: Operands, at: int) -> Node:
    text = text_of(given[0], "an instant")
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        problem = f'{text!r} is no instant: write it like "2020-03-14T15:09:26Z"'
        raise Problem(problem, given[0].at) from error
    in_utc = instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    return Literal(in_utc, at=at)


def _unit(node: Node) -> Unit:
    return occasions.unit(text_of(node, "a unit of time"), node.at)


def _current(function: Function) -> _Made:
    return _Made(lambda _, at: Call(function, (Now(at=at),), at=at), 0, 0)


#: Aggregates, which may also be called without an argument: of the elements themselves.
QUANTITIES: Mapping[str, Quantity] = MappingProxyType({each.value: each for each in Quantity})
#: Functions whose first argument is asked of every element.
OF_ELEMENTS = frozenset({"filter", "map", "groupBy", "topN", "bottomN", *QUANTITIES})

PLAIN: Mapping[str, _Made] = MappingProxyType(
    {
        "equals": _text(Function.EQUALS),
        "notEqualTo": _negated(_text(Function.EQUALS)),
        "startsWith": _text(Function.STARTS_WITH),
        "doesNotStartWith": _negated(_text(Function.STARTS_WITH)),
        "endsWith": _text(Function.ENDS_WITH),
        "doesNotEndWith": _negated(_text(Function.ENDS_WITH)),
        "contains": _text(Function.CONTAINS),
        "doesNotContain": _negated(_text(Function.CONTAINS)),
        "like": _with_pattern(Function.LIKE, "a pattern"),
        "matches": _with_pattern(Function.MATCHES, "a regular expression"),
        "regexGroup": _Made(_regex_group, 2, 3),
        "intersects": _plain(Function.INTERSECTS, 2),
        "intersection": _plain(Function.INTERSECTION, 2),
        "subsetOf": _plain(Function.SUBSET_OF, 2),
        "supersetOf": _plain(Function.SUPERSET_OF, 2),
        "includes": _plain(Function.INCLUDES, 2),
        "distinct": _plain(Function.DISTINCT, 1),
        "head": _plain(Function.HEAD, 1),
        "get": _plain(Function.GET, 2),
        "keys": _plain(Function.KEYS, 1),
        "values": _plain(Function.VALUES, 1),
        "isNull": _Made(lambda given, at: is_null(given[0], at), 1, 1),
        "isNotNull": _Made(lambda given, at: negation(is_null(given[0], at), at), 1, 1),
        "getYear": _plain(Function.YEAR_OF, 1),
        "getMonth": _plain(Function.MONTH_OF, 1),
        "getDayOfMonth": _plain(Function.DAY_OF_MONTH_OF, 1),
        "currentYear": _current(Function.YEAR_OF),
        "currentMonth": _current(Function.MONTH_OF),
        "currentDayOfMonth": _current(Function.DAY_OF_MONTH_OF),
        "date": _Made(_date, 3, 3),
        "timestamp": _Made(_timestamp, 1, 1),
        "if": _Made(lambda given, at: If(condition(given[0]), *given[1:], at=at), 3, 3),
        "startOf": _Made(lambda given, at: StartOf(_unit(given[1]), given[0], at=at), 2, 2),
        "shiftedBy": _Made(
            lambda given, at: Shifted(given[0], given[1], _unit(given[2]), at=at), 3, 3
        ),
        "distanceTo": _Made(
            lambda given, at: Distance(_unit(given[2]), given[0], given[1], at=at), 3, 3
        ),
        "isBetween": _Made(lambda given, at: Between(*given, at=at), 3, 3),
    }
)
#: All of them.
KNOWN = frozenset(PLAIN) | OF_ELEMENTS
