"""Instants, moved and rounded."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

from catalog.pql.nodes import Unit

SECONDS = {
    Unit.SECOND: 1,
    Unit.MINUTE: 60,
    Unit.HOUR: 3600,
    Unit.DAY: 86400,
    Unit.WEEK: 604800,
}
MONTHS = {Unit.MONTH: 1, Unit.QUARTER: 3, Unit.YEAR: 12}


def instant(at: date | datetime) -> datetime:
    return at if isinstance(at, datetime) else datetime.combine(at, time(), UTC)


def by_months(at: datetime, months: int) -> datetime:
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    last = monthrange(year, month + 1)[1]
    return at.replace(year=year, month=month + 1, day=min(at.day, last))


STARTS: dict[Unit, Callable[[datetime], datetime]] = {
    Unit.SECOND: lambda at: at.replace(microsecond=0),
    Unit.MINUTE: lambda at: at.replace(second=0, microsecond=0),
    Unit.HOUR: lambda at: at.replace(minute=0, second=0, microsecond=0),
    Unit.DAY: lambda at: at.replace(hour=0, minute=0, second=0, microsecond=0),
    Unit.WEEK: lambda at: STARTS[Unit.DAY](at) - timedelta(days=at.weekday()),
    Unit.MONTH: lambda at: STARTS[Unit.DAY](at).replace(day=1),
    Unit.QUARTER: lambda at: STARTS[Unit.MONTH](at).replace(month=at.month - (at.month - 1) % 3),
    Unit.YEAR: lambda at: STARTS[Unit.MONTH](at).replace(month=1),
}
