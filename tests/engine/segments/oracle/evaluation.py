"""What a node is of one profile: each is worked out from the values of its parts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from catalog.pql.nodes import (
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
from catalog.schemas import Field, Kind
from tests.engine.segments.oracle.functions import FUNCTIONS, includes
from tests.engine.segments.oracle.kinds import is_double, kind_of
from tests.engine.segments.oracle.times import MONTHS, SECONDS, STARTS, by_months, instant
from tests.engine.segments.oracle.values import equal, finite, fitting, same_kind


@dataclass(frozen=True)
class Sight:
    """What can be named, and of which kind it is."""

    names: dict[str, Any]
    kinds: dict[str, Field]
    events: list[dict]
    now: datetime

    def naming(self, name: str, value: Any, kind: Field) -> Sight:
        return replace(self, names=self.names | {name: value}, kinds=self.kinds | {name: kind})


def meets(
    rule: Node,
    profile: dict,
    events: list[dict],
    fields: tuple[tuple[Field, ...], tuple[Field, ...]],
    now: datetime,
) -> bool:
    """Tell whether a profile with its events, oldest first, meets a rule."""
    ours, theirs = (Field("", Kind.OBJECT, fields=each) for each in fields)
    kinds = {"$profile": ours, "$events": Field("", Kind.ARRAY, element=theirs)}
    sight = Sight({"$profile": profile}, kinds, events, now)
    return value(rule, sight) is True


def value(node: Node, sight: Sight) -> Any:
    return _OF[type(node)](node, sight)


def _member(node: Member, sight: Sight) -> Any:
    of = value(node.of, sight)
    return None if of is None else of.get(node.name)


def _shift(node: Shifted, sight: Sight) -> Any:
    at, amount = value(node.of, sight), value(node.amount, sight)
    if at is None or amount is None:
        return None
    at = instant(at)
    if node.unit in SECONDS:
        return at + timedelta(seconds=amount * SECONDS[node.unit])
    return by_months(at, amount * MONTHS[node.unit])


def _start(node: StartOf, sight: Sight) -> Any:
    at = value(node.of, sight)
    return None if at is None else STARTS[node.unit](instant(at))


def _distance(node: Distance, sight: Sight) -> Any:
    start, end = value(node.start, sight), value(node.end, sight)
    if start is None or end is None:
        return None
    start, end = instant(start), instant(end)
    if node.unit in SECONDS:
        length = timedelta(seconds=SECONDS[node.unit]) // timedelta(microseconds=1)
        return ((end - start) // timedelta(microseconds=1)) / length
    length, whole = MONTHS[node.unit], 0
    while by_months(start, (whole + 1) * length) <= end:
        whole += 1
    while by_months(start, whole * length) > end:
        whole -= 1
    low, high = (by_months(start, (whole + each) * length) for each in (0, 1))
    return whole + (end - low) / (high - low)


def _compare(node: Compare, sight: Sight) -> Any:
    left, right = value(node.left, sight), value(node.right, sight)
    if left is None or right is None:
        return None
    if isinstance(left, list):
        same = len(left) == len(right) and all(map(equal, left, right))
        return same is (node.comparison is Comparison.EQUAL)
    left, right = same_kind(left, right)
    return {
        Comparison.EQUAL: lambda: left == right,
        Comparison.NOT_EQUAL: lambda: left != right,
        Comparison.LESS: lambda: left < right,
        Comparison.AT_MOST: lambda: left <= right,
        Comparison.GREATER: lambda: left > right,
        Comparison.AT_LEAST: lambda: left >= right,
    }[node.comparison]()


def _arithmetic(node: Arithmetic, sight: Sight) -> Any:
    left, right = value(node.left, sight), value(node.right, sight)
    if left is None or right is None:
        return None
    divides = node.operator in (Operator.DIVIDE, Operator.REMAINDER)
    if divides and right == 0:
        return None
    if node.operator is Operator.DIVIDE or isinstance(left, float) or isinstance(right, float):
        return finite(_of_doubles(node.operator, float(left), float(right)))
    result = {
        Operator.ADD: lambda: left + right,
        Operator.SUBTRACT: lambda: left - right,
        Operator.MULTIPLY: lambda: left * right,
        Operator.REMAINDER: lambda: abs(left) % abs(right) * (1 if left >= 0 else -1),
    }[node.operator]()
    return fitting(result)


def _of_doubles(operator: Operator, left: float, right: float) -> float:
    match operator:
        case Operator.ADD:
            return left + right
        case Operator.SUBTRACT:
            return left - right
        case Operator.MULTIPLY:
            return left * right
        case Operator.DIVIDE:
            return left / right
        case _:
            return math.fmod(left, right)


def _and(node: And, sight: Sight) -> Any:
    truths = [value(operand, sight) for operand in node.operands]
    return False if False in truths else None if None in truths else True


def _or(node: Or, sight: Sight) -> Any:
    truths = [value(operand, sight) for operand in node.operands]
    return True if True in truths else None if None in truths else False


def _not(node: Not, sight: Sight) -> Any:
    truth = value(node.operand, sight)
    return None if truth is None else not truth


def _if(node: If, sight: Sight) -> Any:
    condition = value(node.condition, sight)
    if condition is None:
        return None
    chosen = value(node.then if condition else node.otherwise, sight)
    if isinstance(chosen, int) and not isinstance(chosen, bool) and is_double(node, sight.kinds):
        return float(chosen)
    return chosen


def _in(node: In, sight: Sight) -> Any:
    return includes(value(node.of, sight), value(node.element, sight))


def _between(node: Between, sight: Sight) -> Any:
    at, start, end = (value(each, sight) for each in (node.instant, node.start, node.end))
    if None in (at, start, end):
        return None
    return instant(start) <= instant(at) < instant(end)


def choices(bindings: tuple[Binding, ...], sight: Sight) -> Iterator[Sight]:
    if not bindings:
        yield sight
        return
    first, *others = bindings
    kind = kind_of(first.source, sight.kinds).element
    for element in value(first.source, sight) or ():
        yield from choices(tuple(others), sight.naming(first.variable, element, kind))


def _exists(node: Exists, sight: Sight) -> Any:
    return any(value(node.condition, each) is True for each in choices(node.bindings, sight))


def _for_all(node: ForAll, sight: Sight) -> Any:
    return all(value(node.condition, each) is not False for each in choices(node.bindings, sight))


def _each(node: Any, body: Node, sight: Sight) -> list[tuple[Any, Any]] | None:
    """Give the elements of the list a node runs through, each with what the body is for it."""
    source = value(node.binding.source, sight)
    if source is None:
        return None
    kind = kind_of(node.binding.source, sight.kinds).element
    return [(each, value(body, sight.naming(node.binding.variable, each, kind))) for each in source]


def _filter(node: Filter, sight: Sight) -> Any:
    pairs = _each(node, node.condition, sight)
    return None if pairs is None else [element for element, truth in pairs if truth is True]


def _map(node: Map, sight: Sight) -> Any:
    pairs = _each(node, node.value, sight)
    return None if pairs is None else [made for _, made in pairs]


def _best(node: Best, sight: Sight) -> Any:
    pairs = _each(node, node.value, sight)
    if pairs is None:
        return None
    with_value = [pair for pair in pairs if pair[1] is not None]
    with_value.sort(key=lambda pair: pair[1], reverse=node.is_largest)
    in_order = with_value + [pair for pair in pairs if pair[1] is None]
    return [element for element, _ in in_order[: node.count]]


def _group_by(node: GroupBy, sight: Sight) -> Any:
    pairs = _each(node, node.value, sight)
    if pairs is None:
        return None
    groups: list[tuple[Any, list]] = []
    for element, made in pairs:
        for of, members in groups:
            if equal(of, made):
                members.append(element)
                break
        else:
            groups.append((made, [element]))
    return [members for _, members in groups]


def _aggregate(node: Aggregate, sight: Sight) -> Any:
    if node.quantity is Quantity.COUNT:
        return len(value(node.binding.source, sight) or ())
    pairs = _each(node, node.value, sight) or []
    values = [made for _, made in pairs if made is not None]
    if not values:
        return None
    match node.quantity:
        case Quantity.SUM:
            total = sum(values)
            return fitting(total) if isinstance(total, int) else finite(total)
        case Quantity.AVERAGE:
            return finite(float(sum(values)) / len(values))
        case Quantity.MIN:
            return min(values)
        case _:
            return max(values)


def _let(node: Let, sight: Sight) -> Any:
    kind = Field("", Kind.DOUBLE if is_double(node.value, sight.kinds) else Kind.LONG)
    return value(node.body, sight.naming(node.variable, value(node.value, sight), kind))


def _call(node: Call, sight: Sight) -> Any:
    return FUNCTIONS[node.function](*(value(operand, sight) for operand in node.operands))


_OF: dict[type, Callable[[Any, Sight], Any]] = {
    Literal: lambda node, _: node.value,
    Now: lambda _, sight: sight.now,
    StartOf: _start,
    Shifted: _shift,
    Variable: lambda node, sight: sight.names[node.name],
    Events: lambda _, sight: sight.events,
    Member: _member,
    ListOf: lambda node, sight: [value(each, sight) for each in node.elements],
    Not: _not,
    And: _and,
    Or: _or,
    If: _if,
    Compare: _compare,
    Arithmetic: _arithmetic,
    In: _in,
    Between: _between,
    Distance: _distance,
    Call: _call,
    Exists: _exists,
    ForAll: _for_all,
    Filter: _filter,
    Map: _map,
    Best: _best,
    GroupBy: _group_by,
    Aggregate: _aggregate,
    Let: _let,
}
