"""What each kind of node stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as pt

from catalog.pql.nodes import (
    Aggregate,
    Arithmetic,
    Best,
    Between,
    Binding,
    Call,
    Compare,
    Comparison,
    Distance,
    Events,
    Filter,
    Function,
    GroupBy,
    If,
    In,
    ListOf,
    Literal,
    Map,
    Member,
    Node,
    Now,
    Quantity,
    Shifted,
    StartOf,
)
from service.engine.arrow_types import Column
from service.engine.segments import instants, listing, texts
from service.engine.segments.asked_distances import asked_distance
from service.engine.segments.comparing import aligned, compared, intersecting, is_in, subset
from service.engine.segments.numbers import calculated
from service.engine.segments.scopes import Bound, Evaluates, Memory, Scope
from service.engine.segments.spaces import innermost
from service.engine.segments.values import (
    INSTANT,
    Listing,
    Plain,
    Record,
    Value,
    alike,
    is_absent,
    moved,
    plain_from,
    seen_from,
)
from service.engine.segments.values import (
    Mapping as MapValue,
)


class Sees(Evaluates, Protocol):
    """Works out nodes, and knows what the rule is about."""

    #: One instant.
    now: Column
    events: Callable[[], Listing]


Work: TypeAlias = Callable[[Sees, Any, Scope], Value]


def literal(see: Sees, node: Literal, _: Scope) -> Plain:
    value = node.value
    if isinstance(value, datetime):
        value = value.replace(tzinfo=None) if value.tzinfo is None else _utc(value)
        return Plain(see.constants, pa.array([value], INSTANT))
    if isinstance(value, date):
        return Plain(see.constants, pa.array([value], pa.date32()))
    return Plain(see.constants, pa.array([value]))


def _utc(instant: datetime) -> datetime:
    offset = instant.utcoffset()
    assert offset is not None
    return instant.replace(tzinfo=None) - offset


def member(see: Sees, node: Member, scope: Scope) -> Value:
    of = see.value(node.of, scope)
    match of:
        case Record():
            return of.field(node.name)
        case MapValue():
            return listing.got(of, Plain(see.constants, pa.array([node.name])))
        case Plain() if pt.is_null(of.column.type):
            return of
        case _:
            raise TypeError(f"only objects have fields: no {node.name}")


def _plain(see: Sees, node: Node, scope: Scope) -> Plain:
    value = see.value(node, scope)
    if not isinstance(value, Plain):
        raise TypeError(f"{type(node).__name__} is not a plain value")
    return value


def _now(see: Sees, _node: Now, _scope: Scope) -> Value:
    return Plain(see.constants, see.now)


def _events(see: Sees, _node: Events, _scope: Scope) -> Value:
    return see.events()


def _start_of(see: Sees, node: StartOf, scope: Scope) -> Value:
    return instants.start_of(node.unit, _plain(see, node.of, scope))


def _shifted(see: Sees, node: Shifted, scope: Scope) -> Value:
    of, amount = _plain(see, node.of, scope), _plain(see, node.amount, scope)
    return instants.shifted(of, amount, node.unit)


def _distance(see: Sees, node: Distance, scope: Scope) -> Value:
    start, end = _plain(see, node.start, scope), _plain(see, node.end, scope)
    return instants.distance(node.unit, start, end)


def _list_of(see: Sees, node: ListOf, scope: Scope) -> Value:
    elements = [_plain(see, element, scope) for element in node.elements]
    space = innermost([see.constants, *(element.space for element in elements)])
    return listing.from_elements(space, elements)


def _if(see: Sees, node: If, scope: Scope) -> Value:
    true = see.truth(node.condition, scope)
    false = see.truth(node.condition, scope, wanted=False)
    then, otherwise = see.value(node.then, scope), see.value(node.otherwise, scope)
    space = innermost((true.space, false.space, then.space, otherwise.space))
    yes, no = true.seen_from(space).flags(), false.seen_from(space).flags()
    if isinstance(then, Plain) and isinstance(otherwise, Plain):
        ours, theirs = alike((plain_from(then, space), plain_from(otherwise, space)))
        chosen = pc.if_else(pa.array(yes, mask=~(yes | no)), ours, theirs)
        return Plain(space, chosen)
    if isinstance(then, Listing) and isinstance(otherwise, Listing):
        return _chosen_list(seen_from(then, space), seen_from(otherwise, space), yes, no)
    raise TypeError("if chooses between plain values or lists")


def _chosen_list(then: Value, otherwise: Value, yes: Any, no: Any) -> Listing:
    """Choose lists: the elements of both, of which only those of the chosen ones count."""
    ours, theirs = aligned(then, otherwise)
    here = np.arange(ours.space.count)
    kept = [
        moved(lists, ours.space, np.where(chosen, here, -1))
        for lists, chosen in ((ours, yes), (theirs, no))
    ]
    one, two = kept
    assert isinstance(one, Listing)
    assert isinstance(two, Listing)
    return listing.joined(one, two, yes, no)


def _compare(see: Sees, node: Compare, scope: Scope) -> Value:
    asked = asked_distance(node, node.comparison)
    if asked is not None:
        start, end = _plain(see, asked.start, scope), _plain(see, asked.end, scope)
        if start.space.is_constant or end.space.is_constant:
            return instants.within_distance(start, end, asked.least, asked.most)
    return compared(node.comparison, see.value(node.left, scope), see.value(node.right, scope))


def _arithmetic(see: Sees, node: Arithmetic, scope: Scope) -> Value:
    left, right = _plain(see, node.left, scope), _plain(see, node.right, scope)
    return calculated(node.operator, left, right)


def _in(see: Sees, node: In, scope: Scope) -> Value:
    return is_in(see.value(node.element, scope), see.value(node.of, scope))


def _between(see: Sees, node: Between, scope: Scope) -> Value:
    instant = see.value(node.instant, scope)
    since = compared(Comparison.AT_LEAST, instant, see.value(node.start, scope))
    before = compared(Comparison.LESS, instant, see.value(node.end, scope))
    space = innermost((since.space, before.space))
    return Plain(space, pc.and_(plain_from(since, space), plain_from(before, space)))


def _run(see: Sees, binding: Binding, body: Node | None, scope: Scope) -> tuple[Listing, Scope]:
    """Open a list for what is said of its elements.

    What that mentions of inner spaces than the list's makes it a list for each of their rows.
    """
    lists, bound = see.listing(binding, scope)
    if body is None:
        return lists, scope
    mentioned = [scope[name] for name in see.shapes.free(body) if name != binding.variable]
    space = innermost([lists.space, *(each.value.space for each in mentioned)])
    if space is not lists.space:
        spread = seen_from(lists, space)
        assert isinstance(spread, Listing)
        depth = max(each.memory.depth for each in mentioned)
        lists, bound = spread, Bound(spread.element, Memory(depth + 1))
    return lists, {**scope, binding.variable: bound}


def _filter(see: Sees, node: Filter, scope: Scope) -> Value:
    lists, inside = _run(see, node.binding, node.condition, scope)
    return listing.filtered(lists, see.truth(node.condition, inside))


def _map(see: Sees, node: Map, scope: Scope) -> Value:
    lists, inside = _run(see, node.binding, node.value, scope)
    return listing.mapped(lists, see.value(node.value, inside))


def _best(see: Sees, node: Best, scope: Scope) -> Value:
    lists, inside = _run(see, node.binding, node.value, scope)
    value = see.value(node.value, inside)
    return listing.best(lists, value, node.count, is_largest=node.is_largest)


def _group_by(see: Sees, node: GroupBy, scope: Scope) -> Value:
    lists, inside = _run(see, node.binding, node.value, scope)
    return listing.grouped(lists, see.value(node.value, inside))


def _aggregate(see: Sees, node: Aggregate, scope: Scope) -> Value:
    lists, inside = _run(see, node.binding, node.value, scope)
    if node.quantity is Quantity.COUNT or node.value is None:
        return listing.counted(lists)
    return listing.aggregated(node.quantity, lists, see.value(node.value, inside))


def _call(see: Sees, node: Call, scope: Scope) -> Value:
    function = node.function
    if function in _OF_TEXTS:
        return _of_text(see, node, scope)
    operands = [see.value(operand, scope) for operand in node.operands]
    if function is Function.IS_NULL:
        return Plain(operands[0].space, is_absent(operands[0]))
    if function in _OF_INSTANTS:
        assert isinstance(operands[0], Plain)
        return instants.part_of(function, operands[0])
    return _OF_LISTS[function](*operands)


def _of_text(see: Sees, node: Call, scope: Scope) -> Plain:
    text, *others = node.operands
    subject = _plain(see, text, scope)
    constants = [other.value if isinstance(other, Literal) else None for other in others]
    match node.function:
        case Function.LIKE:
            return texts.like(subject, str(constants[0]))
        case Function.MATCHES:
            return texts.matching(subject, str(constants[0]))
        case Function.REGEX_GROUP:
            return texts.group(subject, str(constants[0]), int(str(constants[1])))
        case function:
            other = _plain(see, others[0], scope)
            return texts.tested(
                function, subject, other, is_case_sensitive=constants[1] is not False
            )


_OF_TEXTS = frozenset(
    {
        Function.EQUALS,
        Function.STARTS_WITH,
        Function.ENDS_WITH,
        Function.CONTAINS,
        Function.LIKE,
        Function.MATCHES,
        Function.REGEX_GROUP,
    }
)
_OF_INSTANTS = frozenset({Function.YEAR_OF, Function.MONTH_OF, Function.DAY_OF_MONTH_OF})
_OF_LISTS: Mapping[Function, Callable[..., Value]] = MappingProxyType(
    {
        Function.INTERSECTS: intersecting,
        Function.INTERSECTION: lambda left, right: listing.common(*aligned(left, right)),
        Function.SUBSET_OF: subset,
        Function.SUPERSET_OF: lambda left, right: subset(right, left),
        Function.INCLUDES: lambda lists, element: is_in(element, lists),
        Function.DISTINCT: listing.distinct,
        Function.HEAD: listing.head,
        Function.GET: listing.got,
        Function.KEYS: listing.keys_of,
        Function.VALUES: listing.items_of,
    }
)
#: Literals, variables, members and what is true or false are the evaluation's own.
OF: Mapping[type, Work] = MappingProxyType(
    {
        Now: _now,
        Events: _events,
        StartOf: _start_of,
        Shifted: _shifted,
        Distance: _distance,
        ListOf: _list_of,
        If: _if,
        Compare: _compare,
        Arithmetic: _arithmetic,
        In: _in,
        Between: _between,
        Filter: _filter,
        Map: _map,
        Best: _best,
        GroupBy: _group_by,
        Aggregate: _aggregate,
        Call: _call,
    }
)
