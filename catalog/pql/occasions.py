"""What ``occurs`` says, in comparisons of instants and of distances between them.

A *period* has a start and an end: ``last week`` and its like. A day that is named, by ``today``,
``yesterday``, ``tomorrow`` or a date, is one too, but distances are counted from its first instant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import TypeGuard

from catalog.pql.making import conjunction, disjunction, negation
from catalog.pql.nodes import (
    Between,
    Compare,
    Comparison,
    Distance,
    Literal,
    Node,
    Now,
    Shifted,
    StartOf,
    Unit,
)
from catalog.pql.problems import Problem


@dataclass(frozen=True, slots=True)
class Period:
    start: Node
    #: The first instant after it.
    end: Node


#: A time after ``occurs``: a period, or any other instant.
Time = Period | Node

#: Units by the words callers use; those that no calendar has are multiples of one that it has.
_UNITS: Mapping[str, tuple[Unit, float]] = MappingProxyType(
    {
        "millisecond": (Unit.SECOND, 0.001),
        **{str(unit): (unit, 1) for unit in Unit},
        "decade": (Unit.YEAR, 10),
        "century": (Unit.YEAR, 100),
        "centurie": (Unit.YEAR, 100),
        "millennium": (Unit.YEAR, 1000),
        "millennia": (Unit.YEAR, 1000),
    }
)
TODAY = StartOf(Unit.DAY, Now())
_DAYS = (TODAY, Shifted(TODAY, Literal(-1), Unit.DAY), Shifted(TODAY, Literal(1), Unit.DAY))
_OFFSETS: Mapping[str, int] = MappingProxyType({"last": -1, "this": 0, "next": 1})
#: How words for days lie to today.
WORDS: Mapping[str, int] = MappingProxyType({"yesterday": -1, "today": 0, "tomorrow": 1})
_ZERO = Literal(0)


def unit(word: str, at: int) -> Unit:
    """The unit a word names, in singular or plural. Raises Problem for one no calendar has."""
    found, count = _UNITS.get(_singular(word), (Unit.DAY, 0))
    if count != 1:
        known = ", ".join(Unit)
        raise Problem(f"expected a unit of time, one of {known}, but found {word}", at)
    return found


def shifted(of: Node, amount: int, by: Unit, at: int = 0) -> Node:
    return Shifted(of, Literal(amount, at=at), by, at=at) if amount else of


def day(word: str, at: int = 0) -> Node:
    """The first instant of today, yesterday or tomorrow."""
    return shifted(StartOf(Unit.DAY, Now(at=at), at=at), WORDS[word], Unit.DAY, at)


def relative(which: str, word: str, at: int = 0) -> Period:
    """``this``, ``last`` or ``next`` of a unit."""
    of = unit(word, at)
    start = StartOf(of, Now(at=at), at=at)
    offset = _OFFSETS[which.lower()]
    return Period(shifted(start, offset, of, at), shifted(start, offset + 1, of, at))


def named_day(time: Time) -> Period | None:
    """The day that a time names, or the period it is; None of any other instant."""
    if isinstance(time, Period):
        return time
    if isinstance(time, Literal) and is_date(time.value) and time.value < date.max:
        return Period(time, Literal(time.value + timedelta(days=1), at=time.at))
    if time in _DAYS:
        offset = _offset(time)
        start = StartOf(Unit.DAY, Now(at=time.at), at=time.at)
        return Period(time, shifted(start, offset + 1, Unit.DAY, time.at))
    return None


def is_date(value: object) -> TypeGuard[date]:
    """Whether a value is a day and no instant, which Python calls a day too."""
    return isinstance(value, date) and not isinstance(value, datetime)


def during(instant: Node, time: Time) -> Node:
    """``occurs on``: within a period, or within the day that holds an instant."""
    period = named_day(time)
    if period is None:
        assert not isinstance(time, Period)
        start = StartOf(Unit.DAY, time, at=time.at)
        period = Period(start, shifted(start, 1, Unit.DAY, time.at))
    return Between(instant, period.start, period.end, at=instant.at)


def between(instant: Node, first: Time, last: Time) -> Node:
    """From the start of the first to the end of the last; an instant is both of its own."""
    start, end = named_day(first), named_day(last)
    return Between(
        instant,
        start.start if start else _plain(first),
        end.end if end else _plain(last),
        at=instant.at,
    )


def before(instant: Node, time: Time) -> Node:
    """Before the start of a period, or strictly before an instant."""
    period = named_day(time)
    start = period.start if period else _plain(time)
    return Compare(Comparison.LESS, instant, start, at=instant.at)


def after(instant: Node, time: Time) -> Node:
    """From the end of a period on, or strictly after an instant."""
    period = named_day(time)
    if period:
        return Compare(Comparison.AT_LEAST, instant, period.end, at=instant.at)
    return Compare(Comparison.GREATER, instant, _plain(time), at=instant.at)


@dataclass(frozen=True, slots=True)
class Distanced:
    """``<= 3 days before``, in the caller's words."""

    comparison: Comparison
    count: int
    word: str
    #: ``before``, ``after``, or ``from`` for either.
    direction: str


def at_distance(instant: Node, asked: Distanced, time: Time) -> Node:
    """``occurs`` so many units before, after or, on either side, from a time.

    Counted are whole units: ``= 3 days before now`` holds until the fourth is full.
    """
    at = instant.at
    of, each = _UNITS[_singular(asked.word)]
    number = asked.count * each
    if asked.direction == "after":
        end = time.end if isinstance(time, Period) else time
        return _beyond(
            Distance(of, end, instant, at=instant.at), asked.comparison, number, instant.at
        )
    start = time.start if isinstance(time, Period) else time
    distance = Distance(of, instant, start, at=at)
    if asked.direction == "before":
        return _beyond(distance, asked.comparison, number, at)
    return _around(distance, asked.comparison, number, at)


def _beyond(distance: Node, comparison: Comparison, number: float, at: int) -> Node:
    """A distance on one side alone: not negative, and compared."""

    def compared(by: Comparison, with_: float) -> Node:
        return Compare(by, distance, Literal(with_, at=at), at=at)

    there = Compare(Comparison.AT_LEAST, distance, _ZERO, at=at)
    if comparison in (Comparison.GREATER, Comparison.AT_LEAST):
        return compared(comparison, number)
    if comparison is Comparison.EQUAL:
        return conjunction(
            [compared(Comparison.AT_LEAST, number), compared(Comparison.LESS, number + 1)], at
        )
    if comparison is Comparison.NOT_EQUAL:
        other = [compared(Comparison.LESS, number), compared(Comparison.AT_LEAST, number + 1)]
        return conjunction([there, disjunction(other, at)], at)
    return conjunction([there, compared(comparison, number)], at)


def _around(distance: Node, comparison: Comparison, number: float, at: int) -> Node:
    """A distance on either side."""

    def compared(by: Comparison, with_: float) -> Node:
        return Compare(by, distance, Literal(with_, at=at), at=at)

    if comparison is Comparison.NOT_EQUAL:
        return negation(_around(distance, Comparison.EQUAL, number, at), at)
    if comparison is Comparison.EQUAL:
        after = [compared(Comparison.AT_LEAST, number), compared(Comparison.LESS, number + 1)]
        before = [
            compared(Comparison.AT_MOST, -number),
            compared(Comparison.GREATER, -number - 1),
        ]
        return disjunction([conjunction(after, at), conjunction(before, at)], at)
    mirrored = compared(_MIRRORED[comparison], -number)
    both = [compared(comparison, number), mirrored]
    if comparison in (Comparison.LESS, Comparison.AT_MOST):
        return conjunction(both, at)
    return disjunction(both, at)


_MIRRORED: Mapping[Comparison, Comparison] = MappingProxyType(
    {
        Comparison.LESS: Comparison.GREATER,
        Comparison.AT_MOST: Comparison.AT_LEAST,
        Comparison.GREATER: Comparison.LESS,
        Comparison.AT_LEAST: Comparison.AT_MOST,
    }
)


def _singular(word: str) -> str:
    return word.lower().removesuffix("s")


def _offset(time: Node) -> int:
    """How a word for a day lies to today."""
    if isinstance(time, Shifted) and isinstance(time.amount, Literal):
        return -1 if time.amount.value == -1 else 1
    return 0


def _plain(time: Time) -> Node:
    assert not isinstance(time, Period)
    return time
