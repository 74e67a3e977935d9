"""Conditions that compare no more than two times: their order, or how far they lie apart.

Whether there is an element early or late enough is then decided by the earliest and the latest
one, or by a search among the sorted ones, instead of by pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from pyarrow import types as pt

from catalog.pql.nodes import Between, Compare, Comparison, Distance, Literal, Node, Shifted
from service.engine.ranking import Bools, Ints
from service.engine.segments.comparing import MIRRORED
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
#: Larger than any distance of two instants of the years 1 to 9999, and far from overflow.
_FAR = 1 << 60


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
    left, right = node.left, node.right
    if isinstance(left, Literal) and isinstance(right, Distance):
        left, right, comparison = right, left, MIRRORED[comparison]
    if isinstance(left, Distance):
        if not (isinstance(right, Literal) and left.unit in LENGTHS):
            return None
        bounds = _distances(comparison, right.value, LENGTHS[left.unit])
        return _between(shapes, left.start, left.end, bounds, name) if bounds else None
    # left - right, in whole microseconds
    bounds = {
        Comparison.LESS: (-_FAR, -1),
        Comparison.AT_MOST: (-_FAR, 0),
        Comparison.GREATER: (1, _FAR),
        Comparison.AT_LEAST: (0, _FAR),
    }[comparison]
    return _between(shapes, right, left, bounds, name)


def _distances(comparison: Comparison, limit: object, length: int) -> tuple[int, int] | None:
    """Give the whole distances that compare with a number of units as they would when divided."""
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        return None
    if not abs(limit) * length < _FAR:
        return None
    at = round(limit * length)
    while (at - 1) / length >= limit:
        at -= 1
    while at / length < limit:
        at += 1
    after = at  # the first distance that is more than the limit
    while after / length <= limit:
        after += 1
    return {
        Comparison.LESS: (-_FAR, at - 1),
        Comparison.AT_MOST: (-_FAR, after - 1),
        Comparison.GREATER: (after, _FAR),
        Comparison.AT_LEAST: (at, _FAR),
    }[comparison]


def _between(
    shapes: Shapes, start: Node, end: Node, bounds: tuple[int, int], name: str
) -> Span | None:
    """Give the span of the variable's time after the other, where ``end - start`` has bounds."""
    (start, before), (end, after) = _unshifted(start), _unshifted(end)
    least, most = (bound if abs(bound) == _FAR else bound + before - after for bound in bounds)
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
        and abs(shift + node.amount.value * LENGTHS[node.unit]) < _FAR >> 2
    ):
        shift += node.amount.value * LENGTHS[node.unit]
        node = node.of
    return node, shift


def reached(
    see: Evaluates,
    span: Span,
    scope: Scope,
    lists: Listing,
    possible: Ints,
    other_scope: Scope,
    space: Space,
) -> Truth | None:
    """Say for the rows of a space where an element lies within a span; None if times are no times.

    Only the elements at the places ``possible`` count.
    """
    time, other = see.value(span.time, scope), see.value(span.other, other_scope)
    if not (_is_time(time) and _is_time(other)):
        return None
    assert isinstance(time, Plain)
    assert isinstance(other, Plain)
    times, known = micros(plain_from(time, lists.within))
    possible = possible[known[possible]]
    owners, times = lists.within.parents[possible], times[possible]
    at, is_known = micros(plain_from(other, space))
    of = space.rows_in(lists.space)
    if span.least <= -_FAR or span.most >= _FAR:
        flags = _beyond(span, owners, times, lists.space.count, of, at)
    else:
        flags = _among(span, owners, times, of, at)
    return Truth.of(space, flags & is_known)


def _is_time(value: object) -> bool:
    return isinstance(value, Plain) and bool(pt.is_temporal(value.column.type))


def _beyond(span: Span, owners: Ints, times: Ints, count: int, of: Ints, at: Ints) -> Bools:
    """Compare with the earliest or the latest time of each list."""
    has_any = np.zeros(count, np.bool_)
    has_any[owners] = True
    if span.least > -_FAR:
        latest = np.full(count, np.iinfo(np.int64).min)
        np.maximum.at(latest, owners, times)
        return has_any[of] & (latest[of] >= at + span.least)
    earliest = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(earliest, owners, times)
    within = has_any[of]
    if span.most < _FAR:
        within &= earliest[of] <= at + span.most
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
