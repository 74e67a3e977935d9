"""Conditions that compare no more than two times: their order, or how far they lie apart.

Whether there is an element early or late enough is then decided by the earliest and the latest
one, or by a search among the sorted ones, instead of by pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from pyarrow import types as pt

from catalog.pql.nodes import Between, Compare, Comparison, Distance, Literal, Node, Shifted
from service.engine.ranking import Bools, Ints, run_starts
from service.engine.segments.asked_distances import FAR, asked_distance
from service.engine.segments.instants import LENGTHS, micros
from service.engine.segments.scopes import Evaluates, Scope
from service.engine.segments.shapes import Shapes
from service.engine.segments.spaces import Space, Truth
from service.engine.segments.values import Listing, Plain, plain_from

_NEGATED = {
    Comparison.LESS: Comparison.AT_LEAST,
    Comparison.AT_MOST: Comparison.GREATER,
    Comparison.GREATER: Comparison.AT_MOST,
    Comparison.AT_LEAST: Comparison.LESS,
}


@dataclass(frozen=True, slots=True, eq=False)
class Elements:
    """The elements among which one is looked for."""

    lists: Listing
    #: Those that count.
    possible: Ints
    scope: Scope


@dataclass(frozen=True, slots=True)
class Span:
    """How far the time of an element may lie after another time, in microseconds, both included."""

    #: Of the element.
    time: Node
    #: What it is compared with.
    other: Node
    least: int
    most: int
    #: Of both expressions: spans of equal ones can be combined.
    shapes: tuple[object, ...]

    def within(self, another: Span) -> Span | None:
        """Ask for both spans; None when they are about different times."""
        if self.shapes != another.shapes:
            return None
        least, most = max(self.least, another.least), min(self.most, another.most)
        return replace(self, least=least, most=most)


def span_of(shapes: Shapes, node: Node, name: str, *, wanted: bool) -> Span | None:
    """Read a condition as a span of the variable's time after another's, if it is no more."""
    match node:
        case Compare():
            comparison = node.comparison if wanted else _NEGATED.get(node.comparison)
            if comparison in _NEGATED:
                return _of_comparison(shapes, node, comparison, name)
        case Between() if wanted:
            since = Compare(Comparison.AT_MOST, node.start, node.instant)
            before = Compare(Comparison.LESS, node.instant, node.end)
            one = _of_comparison(shapes, since, since.comparison, name)
            other = _of_comparison(shapes, before, before.comparison, name)
            return one.within(other) if one and other else None
    return None


def _of_comparison(shapes: Shapes, node: Compare, comparison: Comparison, name: str) -> Span | None:
    if isinstance(node.left, Distance) or isinstance(node.right, Distance):
        asked = asked_distance(node, comparison)
        if asked is None:
            return None
        return _between(shapes, asked.start, asked.end, (asked.least, asked.most), name)
    # left - right, in whole microseconds
    bounds = {
        Comparison.LESS: (-FAR, -1),
        Comparison.AT_MOST: (-FAR, 0),
        Comparison.GREATER: (1, FAR),
        Comparison.AT_LEAST: (0, FAR),
    }[comparison]
    return _between(shapes, node.right, node.left, bounds, name)


def _between(
    shapes: Shapes, start: Node, end: Node, bounds: tuple[int, int], name: str
) -> Span | None:
    """Give the span of the variable's time after the other, where ``end - start`` has bounds."""
    (start, before), (end, after) = _unshifted(start), _unshifted(end)
    least, most = (bound if abs(bound) == FAR else bound + before - after for bound in bounds)
    is_start, is_end = (name in shapes.free(each) for each in (start, end))
    if is_start == is_end:
        return None
    if is_start:
        start, end, least, most = end, start, -most, -least
    numbers = (*_identity(shapes, end), *_identity(shapes, start))
    return Span(end, start, least, most, numbers)


def _identity(shapes: Shapes, node: Node) -> tuple[object, ...]:
    shape = shapes.of(node)
    return shape.number, shape.free


def _unshifted(node: Node) -> tuple[Node, int]:
    """Take whole, fixed shifts off an instant, and give how far they went."""
    shift = 0
    while (
        isinstance(node, Shifted)
        and node.unit in LENGTHS
        and isinstance(node.amount, Literal)
        and isinstance(node.amount.value, int)
        and abs(shift + node.amount.value * LENGTHS[node.unit]) < FAR >> 2
    ):
        shift += node.amount.value * LENGTHS[node.unit]
        node = node.of
    return node, shift


def reached(
    see: Evaluates, span: Span, inside: Elements, outside: Scope, space: Space, rows: Ints
) -> Truth | None:
    """Say of which rows, among some of a space, an element lies within a span.

    None if the times are no times.
    """
    lists, possible = inside.lists, inside.possible
    time, other = see.value(span.time, inside.scope), see.value(span.other, outside)
    if not (_is_time(time) and _is_time(other)):
        return None
    assert isinstance(time, Plain)
    assert isinstance(other, Plain)
    times, known = micros(plain_from(time, lists.within).take(pa.array(possible)))
    owners, times = lists.within.parents[possible][known], times[known]
    at, is_known = micros(plain_from(other, space).take(pa.array(rows)))
    of = space.rows_in(lists.space)[rows]
    if span.least <= -FAR or span.most >= FAR:
        within = _beyond(span, owners, times, lists.space.count, of, at)
    else:
        within = _among(span, owners, times, of, at)
    flags = np.zeros(space.count, np.bool_)
    flags[rows[within & is_known]] = True
    return Truth.of(space, flags)


def _is_time(value: object) -> bool:
    return isinstance(value, Plain) and bool(pt.is_temporal(value.column.type))


def _beyond(span: Span, owners: Ints, times: Ints, count: int, of: Ints, at: Ints) -> Bools:
    """Compare with the earliest or the latest time of each list."""
    has_any = np.zeros(count, np.bool_)
    has_any[owners] = True
    starts = run_starts(owners)
    extreme = np.zeros(count, np.int64)
    within = has_any[of]
    if len(starts) and span.least > -FAR:
        extreme[owners[starts]] = np.maximum.reduceat(times, starts)
        within &= extreme[of] >= at + span.least
    elif len(starts) and span.most < FAR:
        extreme[owners[starts]] = np.minimum.reduceat(times, starts)
        within &= extreme[of] <= at + span.most
    return within


def _among(span: Span, owners: Ints, times: Ints, of: Ints, at: Ints) -> Bools:
    """Look for a time within the span among the sorted ones of each list."""
    if not len(times) or span.least > span.most:
        return np.zeros(len(at), np.bool_)
    distinct, rank = np.unique(times, return_inverse=True)
    width = len(distinct) + 1
    keys = np.sort(owners * width + rank)
    first = of * width + np.searchsorted(distinct, at + span.least, side="left")
    beyond = of * width + np.searchsorted(distinct, at + span.most, side="right")
    place = np.searchsorted(keys, first)
    found: Bools = keys[np.minimum(place, len(keys) - 1)] < beyond
    return found & (place < len(keys))
