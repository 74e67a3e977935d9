"""What a rule says of one profile, worked out value by value: ``docs/segments.md`` as plain Python.

Slow, simple, and independent of the engine. Null and unknown are ``None``, objects and maps are
dictionaries, instants are aware.
"""

from __future__ import annotations

import math
import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
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
    Unit,
    Variable,
)
from catalog.schemas import Field, Kind

SECONDS = {
    Unit.SECOND: 1,
    Unit.MINUTE: 60,
    Unit.HOUR: 3600,
    Unit.DAY: 86400,
    Unit.WEEK: 604800,
}
MONTHS = {Unit.MONTH: 1, Unit.QUARTER: 3, Unit.YEAR: 12}
_TEXT, _UNKNOWN = Field("", Kind.STRING), Field("", Kind.LONG)
_IDENTITIES = Field("", Kind.ARRAY, element=Field("", Kind.OBJECT))
_MEMBERSHIPS = Field("", Kind.MAP, element=Field("", Kind.OBJECT))


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


def by_months(at: datetime, months: int) -> datetime:
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    last = monthrange(year, month + 1)[1]
    return at.replace(year=year, month=month + 1, day=min(at.day, last))


_STARTS: dict[Unit, Callable[[datetime], datetime]] = {
    Unit.SECOND: lambda at: at.replace(microsecond=0),
    Unit.MINUTE: lambda at: at.replace(second=0, microsecond=0),
    Unit.HOUR: lambda at: at.replace(minute=0, second=0, microsecond=0),
    Unit.DAY: lambda at: at.replace(hour=0, minute=0, second=0, microsecond=0),
    Unit.WEEK: lambda at: _STARTS[Unit.DAY](at) - timedelta(days=at.weekday()),
    Unit.MONTH: lambda at: _STARTS[Unit.DAY](at).replace(day=1),
    Unit.QUARTER: lambda at: _STARTS[Unit.MONTH](at).replace(month=at.month - (at.month - 1) % 3),
    Unit.YEAR: lambda at: _STARTS[Unit.MONTH](at).replace(month=1),
}


def _start(node: StartOf, sight: Sight) -> Any:
    at = value(node.of, sight)
    return None if at is None else _STARTS[node.unit](instant(at))


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


def instant(at: date | datetime) -> datetime:
    return at if isinstance(at, datetime) else datetime.combine(at, time(), UTC)


def same_kind(one: Any, other: Any) -> tuple[Any, Any]:
    """Make two values comparable."""
    if isinstance(one, date) and isinstance(other, date):
        return instant(one), instant(other)
    if isinstance(one, float) or isinstance(other, float):
        return float(one), float(other)
    return one, other


def equal(one: Any, other: Any) -> bool:
    """Compare plain values, null equal to null."""
    if one is None or other is None:
        return one is other
    one, other = same_kind(one, other)
    return bool(one == other)


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
        return _finite(_of_doubles(node.operator, float(left), float(right)))
    result = {
        Operator.ADD: lambda: left + right,
        Operator.SUBTRACT: lambda: left - right,
        Operator.MULTIPLY: lambda: left * right,
        Operator.REMAINDER: lambda: abs(left) % abs(right) * (1 if left >= 0 else -1),
    }[node.operator]()
    return _fitting(result)


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


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _fitting(number: int) -> int | None:
    return number if -(2**63) <= number < 2**63 else None


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
    return _includes(value(node.of, sight), value(node.element, sight))


def _includes(among: Any, element: Any) -> Any:
    if element is None or among is None:
        return None
    return any(each is not None and equal(element, each) for each in among)


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
            return _fitting(total) if isinstance(total, int) else _finite(total)
        case Quantity.AVERAGE:
            return _finite(float(sum(values)) / len(values))
        case Quantity.MIN:
            return min(values)
        case _:
            return max(values)


def _let(node: Let, sight: Sight) -> Any:
    kind = Field("", Kind.DOUBLE if is_double(node.value, sight.kinds) else Kind.LONG)
    return value(node.body, sight.naming(node.variable, value(node.value, sight), kind))


def lower(text: str) -> str:
    """Lower case, character by character."""
    return "".join(each.lower()[:1] for each in text)


def _tested(test: Callable[[str, str], bool]) -> Callable[..., Any]:
    def of(text: Any, other: Any, is_case_sensitive: object) -> Any:
        if text is None or other is None:
            return None
        return test(text, other) if is_case_sensitive else test(lower(text), lower(other))

    return of


def _like(text: Any, pattern: str) -> Any:
    meant = {"%": ".*", "_": "."}
    expression = "".join(meant.get(each, re.escape(each)) for each in pattern)
    return None if text is None else bool(re.fullmatch(expression, text, re.DOTALL))


def _regex_group(text: Any, expression: str, number: int) -> Any:
    match = None if text is None else re.search(expression, text)
    return match[number] if match else None


def _is_null(of: Any) -> bool:
    if isinstance(of, Object):
        return all(_is_null(each) for each in of.values())
    return of is None


class Object(dict):
    """An object, which is null when nothing beneath it has a value; a map is a plain dict."""


def _over_both(work: Callable[[list, list], Any]) -> Callable[..., Any]:
    return lambda one, other: None if one is None or other is None else work(one, other)


def _is_member(each: Any, among: list) -> bool:
    return each is not None and any(other is not None and equal(each, other) for other in among)


def _is_subset(one: list, other: list) -> bool:
    return all(each is None or _is_member(each, other) for each in one)


def _distinct(of: list | None) -> Any:
    if of is None:
        return None
    kept: list = []
    for each in of:
        if not any(equal_or_same(each, other) for other in kept):
            kept.append(each)
    return kept


def equal_or_same(one: Any, other: Any) -> bool:
    return one == other if isinstance(one, dict | list) else equal(one, other)


_CALLS: dict[Function, Callable[..., Any]] = {
    Function.EQUALS: _tested(lambda text, other: text == other),
    Function.STARTS_WITH: _tested(str.startswith),
    Function.ENDS_WITH: _tested(str.endswith),
    Function.CONTAINS: _tested(lambda text, other: other in text),
    Function.LIKE: _like,
    Function.MATCHES: lambda text, by: None if text is None else bool(re.search(by, text)),
    Function.REGEX_GROUP: _regex_group,
    Function.INTERSECTS: _over_both(lambda a, b: any(_is_member(each, b) for each in a)),
    Function.INTERSECTION: _over_both(lambda a, b: [each for each in a if _is_member(each, b)]),
    Function.SUBSET_OF: _over_both(_is_subset),
    Function.SUPERSET_OF: _over_both(lambda a, b: _is_subset(b, a)),
    Function.INCLUDES: _includes,
    Function.DISTINCT: _distinct,
    Function.HEAD: lambda of: of[0] if of else None,
    Function.GET: lambda of, key: None if of is None or key is None else of.get(key),
    Function.KEYS: lambda of: None if of is None else sorted(of),
    Function.VALUES: lambda of: None if of is None else [of[key] for key in sorted(of)],
    Function.IS_NULL: _is_null,
    Function.YEAR_OF: lambda at: None if at is None else at.year,
    Function.MONTH_OF: lambda at: None if at is None else at.month,
    Function.DAY_OF_MONTH_OF: lambda at: None if at is None else at.day,
}


def _call(node: Call, sight: Sight) -> Any:
    return _CALLS[node.function](*(value(operand, sight) for operand in node.operands))


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


def is_double(node: Node, kinds: dict[str, Field]) -> bool:  # noqa: C901, PLR0911 (a table)
    """Tell whether a number is a double, even where it is null."""
    match node:
        case Literal():
            return isinstance(node.value, float)
        case Arithmetic():
            either = is_double(node.left, kinds) or is_double(node.right, kinds)
            return node.operator is Operator.DIVIDE or either
        case If():
            return is_double(node.then, kinds) or is_double(node.otherwise, kinds)
        case Let():
            kind = Field("", Kind.DOUBLE if is_double(node.value, kinds) else Kind.LONG)
            return is_double(node.body, kinds | {node.variable: kind})
        case Aggregate():
            if node.quantity in (Quantity.COUNT, Quantity.AVERAGE):
                return node.quantity is Quantity.AVERAGE
            element = kind_of(node.binding.source, kinds).element
            return is_double(node.value, kinds | {node.binding.variable: element})
        case Distance():
            return True
        case Member() | Variable() | Call():
            return kind_of(node, kinds).kind is Kind.DOUBLE
        case _:
            return False


def kind_of(node: Node, kinds: dict[str, Field]) -> Field:  # noqa: C901, PLR0911 (a table)
    """Tell what an expression that is not calculated is; of lists and maps, with their elements."""
    match node:
        case Variable():
            return kinds[node.name]
        case Events():
            return kinds["$events"]
        case Member():
            of = kind_of(node.of, kinds)
            return next((each for each in of.fields if each.name == node.name), _UNKNOWN)
        case Filter() | Best():
            return kind_of(node.binding.source, kinds)
        case GroupBy():
            return Field("", Kind.ARRAY, element=kind_of(node.binding.source, kinds))
        case Map():
            element = kind_of(node.binding.source, kinds).element
            made = node.value
            inside = kinds | {node.binding.variable: element}
            if is_double(made, inside):
                return Field("", Kind.ARRAY, element=Field("", Kind.DOUBLE))
            return Field("", Kind.ARRAY, element=kind_of(made, inside))
        case ListOf():
            return Field("", Kind.ARRAY, element=_UNKNOWN)
        case Call():
            return _kind_of_call(node, kinds)
        case _:
            return _UNKNOWN


def _kind_of_call(node: Call, kinds: dict[str, Field]) -> Field:
    of = kind_of(node.operands[0], kinds)
    match node.function:
        case Function.DISTINCT | Function.INTERSECTION:
            return of
        case Function.HEAD:
            return of.element
        case Function.KEYS:
            return Field("", Kind.ARRAY, element=_TEXT)
        case Function.GET | Function.VALUES:
            known = {Kind.IDENTITY_MAP: _IDENTITIES, Kind.SEGMENT_MEMBERSHIP: _MEMBERSHIPS}
            item = known.get(of.kind) or of.element
            return item if node.function is Function.GET else Field("", Kind.ARRAY, element=item)
        case _:
            return _UNKNOWN
