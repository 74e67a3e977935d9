"""Comparisons of a distance between two instants with a number, in whole microseconds."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.pql.nodes import Compare, Comparison, Distance, Literal, Node
from service.engine.segments.comparing import MIRRORED
from service.engine.segments.instants import LENGTHS

#: Larger than any distance of two instants of the years 1 to 9999, and far from overflow.
FAR = 1 << 60


@dataclass(frozen=True, slots=True)
class AskedDistance:
    """How far an instant must lie after another, in microseconds, both bounds included.

    One of the bounds is :data:`FAR`, and none at all.
    """

    start: Node
    end: Node
    least: int
    most: int


def asked_distance(node: Compare, comparison: Comparison) -> AskedDistance | None:
    """Read a comparison as one of a distance with a constant, where its unit has one length."""
    left, right = node.left, node.right
    if isinstance(left, Literal):
        left, right, comparison = right, left, MIRRORED[comparison]
    if not (isinstance(left, Distance) and isinstance(right, Literal) and left.unit in LENGTHS):
        return None
    bounds = _distances(comparison, right.value, LENGTHS[left.unit])
    return AskedDistance(left.start, left.end, *bounds) if bounds else None


def _distances(comparison: Comparison, limit: object, length: int) -> tuple[int, int] | None:
    """Give the whole distances that compare with a number of units as they would when divided."""
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        return None
    if comparison in (Comparison.EQUAL, Comparison.NOT_EQUAL) or abs(limit) * length >= FAR:
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
        Comparison.LESS: (-FAR, at - 1),
        Comparison.AT_MOST: (-FAR, after - 1),
        Comparison.GREATER: (after, FAR),
        Comparison.AT_LEAST: (at, FAR),
    }[comparison]
