"""Instants and the calendar, all of it in UTC; years 1 to 9999 and beyond."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as pt

from catalog.pql.nodes import Function, Unit
from service.engine.arrow_types import Column
from service.engine.ranking import Bools, Ints
from service.engine.segments.spaces import innermost, unpacked
from service.engine.segments.values import INSTANT, Plain, instants, plain_from

#: Microseconds of the units that are always as long.
LENGTHS: Mapping[Unit, int] = MappingProxyType(
    {
        Unit.SECOND: 1_000_000,
        Unit.MINUTE: 60_000_000,
        Unit.HOUR: 3_600_000_000,
        Unit.DAY: 86_400_000_000,
        Unit.WEEK: 604_800_000_000,
    }
)
#: Months of the others.
MONTHS: Mapping[Unit, int] = MappingProxyType({Unit.MONTH: 1, Unit.QUARTER: 3, Unit.YEAR: 12})
_PARTS = {
    Function.YEAR_OF: pc.year,
    Function.MONTH_OF: pc.month,
    Function.DAY_OF_MONTH_OF: pc.day,
}
_LAST = np.iinfo(np.int64).max
#: Any more units move an instant out of what 64 bits of microseconds can hold.
_MOST_MONTHS = 12 * 200_000


def start_of(unit: Unit, of: Plain) -> Plain:
    """Give the beginning of the period that holds an instant; weeks begin on Monday."""
    return Plain(of.space, pc.floor_temporal(instants(of.column), unit=unit.value))


def part_of(function: Function, of: Plain) -> Plain:
    """Give year, month or day of the month."""
    if pt.is_null(of.column.type):
        return Plain(of.space, pa.nulls(of.space.count, pa.int64()))
    return Plain(of.space, _PARTS[function](of.column))


def shifted(of: Plain, amount: Plain, unit: Unit) -> Plain:
    """Move instants by some units; null where that leads out of range.

    Of seconds to weeks there may be fractions; months, quarters and years are whole.
    """
    space = innermost((of.space, amount.space))
    at, known = micros(plain_from(of, space))
    amounts = plain_from(amount, space).cast(pa.float64())
    known = known & unpacked(amounts.is_valid())
    many = amounts.fill_null(0).to_numpy()
    if unit in LENGTHS:
        steps = np.rint(many * LENGTHS[unit])
        known &= np.abs(at + steps) < float(_LAST)
        return Plain(space, _instants(at + np.where(known, steps, 0).astype(np.int64), known))
    months = np.floor(many) * MONTHS[unit]
    known &= np.abs(months) < _MOST_MONTHS
    return Plain(space, _instants(_by_months(at, np.where(known, months, 0).astype(int)), known))


def distance(unit: Unit, start: Plain, end: Plain) -> Plain:
    """Say how many units lie from one instant to another, a fraction of one included."""
    space = innermost((start.space, end.space))
    since, known = micros(plain_from(start, space))
    until, also = micros(plain_from(end, space))
    known = known & also
    if unit in LENGTHS:
        return Plain(space, pa.array((until - since) / LENGTHS[unit], mask=~known))
    length = MONTHS[unit]
    whole = (_month(until) - _month(since)) // length
    whole -= _by_months(since, whole * length) > until
    low, high = _by_months(since, whole * length), _by_months(since, (whole + 1) * length)
    return Plain(space, pa.array(whole + (until - low) / (high - low), mask=~known))


def within_distance(start: Plain, end: Plain, least: int, most: int) -> Plain:
    """Say whether an instant lies so far after another, in microseconds; one of both is constant.

    Only one of the bounds counts, that which is no :data:`~asked_distances.FAR`.
    """
    is_far_enough, limit = (
        (pc.greater_equal, least) if abs(least) < abs(most) else (pc.less_equal, most)
    )
    since, until = instants(start.column), instants(end.column)
    if start.space.is_constant:
        shift = _instants(*_moved(since, limit))
        return Plain(end.space, is_far_enough(until, shift[0]))
    mirrored = pc.less_equal if is_far_enough is pc.greater_equal else pc.greater_equal
    return Plain(start.space, mirrored(since, _instants(*_moved(until, -limit))[0]))


def _moved(column: Column, by: int) -> tuple[Ints, Bools]:
    numbers, known = micros(column)
    return numbers + by, known


def micros(column: Column) -> tuple[Ints, Bools]:
    """Give instants as microseconds since 1970, 0 where there is none, and mark where one is."""
    numbers = instants(column).view(pa.int64())
    return numbers.fill_null(0).to_numpy(), unpacked(numbers.is_valid())


def _instants(numbers: Ints, known: Bools) -> Column:
    return pa.array(numbers, mask=~known).view(INSTANT)


def _month(at: Ints) -> Ints:
    """Count months since January 1970."""
    return at.view("datetime64[us]").astype("datetime64[M]").astype(np.int64)


def _by_months(at: Ints, months: Ints) -> Ints:
    """Move instants by whole months; a day that the month lacks becomes its last."""
    month = _month(at)
    target = month + months
    into = at - _starts(month)
    day, time = np.divmod(into, LENGTHS[Unit.DAY])
    begins = _starts(target)
    last = (_starts(target + 1) - begins) // LENGTHS[Unit.DAY] - 1
    moved: Ints = begins + np.minimum(day, last) * LENGTHS[Unit.DAY] + time
    return moved


def _starts(month: Ints) -> Ints:
    return month.view("datetime64[M]").astype("datetime64[us]").astype(np.int64)
