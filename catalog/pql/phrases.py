"""Phrases that nodes were once: what ``occurs`` and ``notIn`` say, found again to be written.

A phrase is found only when reading it makes the very nodes that it is found in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import product
from types import MappingProxyType
from typing import Protocol

from catalog.pql import making, occasions
from catalog.pql.nodes import (
    Between,
    Compare,
    Comparison,
    Distance,
    In,
    Literal,
    Node,
    Not,
    Now,
    Shifted,
    StartOf,
    Unit,
)
from catalog.pql.occasions import Distanced, is_date
from catalog.pql.spelling import Tightness, spelt

#: What follows occurs and is no field there.
_WORDS_OF_OCCURS = frozenset({"this", "last", "next", "before", "after", "on", "between"})

#: Words for the first instants of days.
WORDS: Mapping[Node, str] = MappingProxyType(
    {occasions.day(word): word for word in occasions.WORDS}
)


class Writer(Protocol):
    """Who knows how nodes are written here."""

    def held(self, node: Node, at_least: Tightness = ...) -> str: ...


def _periods() -> Mapping[tuple[Node, Node], str]:
    """What periods are called, by their start and end; the shortest name last and so winning."""
    found: dict[tuple[Node, Node], str] = {}
    for which, unit in product(("last", "this", "next"), Unit):
        period = occasions.relative(which, unit)
        found[period.start, period.end] = f"{which} {unit}"
    for start, word in WORDS.items():
        day = occasions.named_day(start)
        assert day
        found[day.start, day.end] = word
    return MappingProxyType(found)


_PERIODS = _periods()
_BY_START = MappingProxyType({start: name for (start, _), name in _PERIODS.items()})
_BY_END = MappingProxyType({end: name for (_, end), name in _PERIODS.items()})


def within(node: Between, writer: Writer) -> str | None:
    """``occurs`` in a period, on a day, or between two times."""
    instant = writer.held(node.instant, Tightness.SUM)
    name = _PERIODS.get((node.start, node.end))
    if name:
        return f"{instant} occurs {name}"
    start, end = node.start, node.end
    if isinstance(start, StartOf) and occasions.during(node.instant, start.of) == node:
        return f"{instant} occurs on {_time(start.of, writer)}"
    if isinstance(start, Literal) and occasions.during(node.instant, start) == node:
        return f"{instant} occurs on {spelt(start.value)}"
    first, last = _beginning(start, writer), _ending(end, writer)
    if first is None or last is None:
        return None
    return f"{instant} occurs between {first} and {last}"


def joined(operands: Sequence[Node], writer: Writer) -> list[str]:
    """Operands of an And, two or three of them at once where they are one phrase."""
    written = []
    waiting = list(operands)
    while waiting:
        for count in (3, 2):
            phrase = _not_in(waiting[:count], writer) or at_distance(waiting[:count], writer)
            if phrase and len(waiting) >= count:
                written.append(phrase)
                del waiting[:count]
                break
        else:
            written.append(writer.held(waiting.pop(0), Tightness.NOT))
    return written


def _not_in(operands: Sequence[Node], writer: Writer) -> str | None:
    last = operands[-1]
    if isinstance(last, Not) and isinstance(last.operand, In):
        element, of = last.operand.element, last.operand.of
        if making.conjunction(operands) == making.not_in(element, of):
            return f"{writer.held(element, Tightness.SUM)} notIn {writer.held(of, Tightness.SUM)}"
    return None


def at_distance(operands: Sequence[Node], writer: Writer) -> str | None:
    """``occurs`` at a distance: one comparison of it, or two."""
    last = operands[-1]
    if not (isinstance(last, Compare) and isinstance(last.left, Distance)):
        return None
    distance = last.left
    both = making.conjunction(operands)
    for comparison, count in _possible(operands):
        for direction in _directions(distance):
            ends = (distance.start, distance.end)
            instant, time = ends if direction != "after" else ends[::-1]
            asked = Distanced(comparison, count, distance.unit, direction)
            if occasions.at_distance(instant, asked, time) == both:
                words = f"{comparison} {count} {distance.unit}{'' if count == 1 else 's'}"
                subject = writer.held(instant, Tightness.SUM)
                return f"{subject} occurs {words} {direction} {_time(time, writer)}"
    return None


def _possible(operands: Sequence[Node]) -> list[tuple[Comparison, int]]:
    """What may have been asked of a distance, given the comparisons that it became."""
    found = []
    for each in operands:
        if not (isinstance(each, Compare) and isinstance(each.right, Literal)):
            return []
        if type(each.right.value) is int and each.right.value >= 0:
            found += [(each.comparison, each.right.value), (Comparison.EQUAL, each.right.value)]
    return found


def _directions(distance: Distance) -> tuple[str, ...]:
    """Which way to say it first: before or after what is not a field, where one is not."""
    if isinstance(distance.start, Now | StartOf | Shifted | Literal):
        return ("after", "before", "from")
    return ("before", "after", "from")


def _time(node: Node, writer: Writer) -> str:
    """A time after ``occurs``, which may not begin with a word that means something there."""
    text = writer.held(node, Tightness.SUM)
    head = text.split(".", 1)[0].split(" ", 1)[0].split("[", 1)[0]
    return f"({text})" if head.lower() in _WORDS_OF_OCCURS else text


def _beginning(node: Node, writer: Writer) -> str | None:
    """The first time of a span that begins at an instant."""
    if node in _BY_START:
        return _BY_START[node]
    return _time(node, writer)


def _ending(node: Node, writer: Writer) -> str | None:
    """The last time of a span that ends before an instant."""
    if node in _BY_END:
        return _BY_END[node]
    if isinstance(node, Literal) and is_date(node.value):
        if node.value == date.min:
            return None
        return spelt(node.value - timedelta(days=1))
    return None if occasions.named_day(node) else _time(node, writer)
