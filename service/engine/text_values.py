"""What texts mean where something else than text is expected: one grammar, two readers of it.

Columns are converted whole where every text is of the common form; whatever is not goes through
the reader of single texts, once per distinct text, which alone decides what is a value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.schemas import Kind
from service.engine.arrow_types import INSTANT, Column

#: Doubles hold every whole number up to here, so a whole double below is the number meant.
EXACT_DOUBLE = 1 << 53

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: Years 1 to 9999, the ones that RFC 3339 and Python can write, in days and in microseconds.
FIRST_DAY, LAST_DAY = date.min.toordinal() - _EPOCH_DAY, date.max.toordinal() - _EPOCH_DAY
FIRST_INSTANT = FIRST_DAY * 86_400_000_000
LAST_INSTANT = (LAST_DAY + 1) * 86_400_000_000 - 1

_RANGE = {Kind.INTEGER: 1 << 31, Kind.LONG: 1 << 63}
_WHOLE = re.compile(r"[+-]?[0-9]{1,40}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DAY = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?"
    r"(?:([Zz])|([+-])([01][0-9]|2[0-3]):?([0-5][0-9]))?)?"
)


def boolean(text: str) -> bool | None:
    """Read ``true`` or ``false`` in any case; None if it is neither."""
    return {"true": True, "false": False}.get(text.lower())


def whole(value: float, kind: Kind) -> int | None:
    """Give the number as a whole one that the kind holds; None if it is not exactly one."""
    if isinstance(value, float):
        if not value.is_integer() or abs(value) > EXACT_DOUBLE:
            return None
        value = int(value)
    return value if -_RANGE[kind] <= value < _RANGE[kind] else None


def finite(value: float) -> float | None:
    """Give the number as a double; None if none is near. There is no negative zero."""
    try:
        double = float(value)
    except OverflowError:
        return None
    return double + 0.0 if math.isfinite(double) else None


def integer(text: str) -> int | None:
    return _whole_text(text, Kind.INTEGER)


def long(text: str) -> int | None:
    return _whole_text(text, Kind.LONG)


def _whole_text(text: str, kind: Kind) -> int | None:
    if _WHOLE.fullmatch(text):
        return whole(int(text), kind)
    number = double(text)
    return None if number is None else whole(number, kind)


def double(text: str) -> float | None:
    return finite(float(text)) if _NUMBER.fullmatch(text) else None


def day(text: str) -> int | None:
    """Read ``2004-09-25`` as days since 1970; None if there is no such day.

    Month and day may lack their leading zero, as in Adobe's own sample records.
    """
    found = _DAY.fullmatch(text)
    if found is None:
        return None
    try:
        year, month, day_ = map(int, found.groups())
        return date(year, month, day_).toordinal() - _EPOCH_DAY
    except ValueError:
        return None


def instant(text: str) -> int | None:
    """Read an RFC 3339 instant as microseconds since 1970; None if it is none.

    A text without an offset is UTC, one without a time is midnight, and digits beyond
    microseconds are cut off.
    """
    found = _INSTANT.fullmatch(text)
    if found is None:
        return None
    day_, hour, minute, second, fraction, _, sign, zone_hours, zone_minutes = found.groups()
    zone = timedelta(hours=int(zone_hours or 0), minutes=int(zone_minutes or 0))
    try:
        local = datetime.fromisoformat(day_).replace(
            hour=int(hour or 0),
            minute=int(minute or 0),
            second=int(second or 0),
            microsecond=int((fraction or "")[:6].ljust(6, "0")),
            tzinfo=timezone(-zone if sign == "-" else zone),
        )
    except ValueError:
        return None
    return in_range((local - _EPOCH) // _MICROSECOND)


def in_range(microseconds: int) -> int | None:
    """Give the instant back; None outside of the years 1 to 9999."""
    return microseconds if FIRST_INSTANT <= microseconds <= LAST_INSTANT else None


class _Grammar(NamedTuple):
    """How texts of one kind are read."""

    #: What nearly all texts look like, in RE2's words; all that match may be converted at once.
    common: str
    #: Converts a column of such texts, or raises ArrowInvalid.
    convert: Callable[[Any], Column]
    #: Reads any one text, or gives None.
    single: Callable[[str], Any]
    type: pa.DataType
    #: Brings a column closer to the common form without a change of meaning.
    normalise: Callable[[Any], Any] | None = None


_ZONE = r"(Z|[+-]([01][0-9]|2[0-3]):?[0-5][0-9])"
_TIME = r"[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"


def _zoned(texts: Any) -> Any:
    """Write instants out: upper case, six digits after the point at most, time and zone given."""
    texts = pc.replace_substring_regex(pc.utf8_upper(texts), r"(\.[0-9]{6})[0-9]+", r"\1")
    texts = pc.replace_substring_regex(texts, f"^({_DATE})$", r"\1T00:00Z")
    return pc.replace_substring_regex(texts, f"^({_DATE}{_TIME})$", r"\1Z")


def _padded(texts: Any) -> Any:
    """Give months and days their leading zero."""
    texts = pc.replace_substring_regex(texts, r"-([0-9])-", r"-0\1-")
    return pc.replace_substring_regex(texts, r"-([0-9])$", r"-0\1")


def _cast_to(type: pa.DataType) -> Callable[[Any], Column]:
    return lambda texts: pc.cast(texts, type)


_GRAMMARS = {
    Kind.BOOLEAN: _Grammar(
        "^(true|false)$", lambda texts: pc.equal(texts, "true"), boolean, pa.bool_()
    ),
    Kind.INTEGER: _Grammar("^-?[0-9]{1,9}$", _cast_to(pa.int32()), integer, pa.int32()),
    Kind.LONG: _Grammar("^-?[0-9]{1,18}$", _cast_to(pa.int64()), long, pa.int64()),
    Kind.DOUBLE: _Grammar(
        # At most 200 digits before and two of exponent: never infinite.
        r"^-?[0-9]{1,200}(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?$",
        lambda texts: pc.add(pc.cast(texts, pa.float64()), 0.0),
        double,
        pa.float64(),
    ),
    Kind.DATE: _Grammar(f"^{_DATE}$", _cast_to(pa.date32()), day, pa.date32(), _padded),
    Kind.TIMESTAMP: _Grammar(
        f"^{_DATE}{_TIME}{_ZONE}$", _cast_to(INSTANT), instant, INSTANT, _zoned
    ),
}


def read_texts(texts: Column, kind: Kind) -> Column:
    """Convert a string column to the kind's type; texts that are no such value become null."""
    grammar = _GRAMMARS[kind]
    common = texts
    if grammar.normalise is not None and not _are_common(texts, grammar):
        common = grammar.normalise(texts)
    if _are_common(common, grammar):
        try:
            converted = grammar.convert(common)
        except pa.ArrowInvalid:
            pass  # some text looks right and is not, such as February 30th
        else:
            if not outside(converted, kind).any():
                return converted
    return _one_by_one(texts, grammar)


def outside(values: Column, kind: Kind) -> Any:
    """Mark the days or instants outside of the years 1 to 9999, as a numpy array of booleans."""
    if kind is Kind.DATE:
        first, last, type = FIRST_DAY, LAST_DAY, pa.int32()
    elif kind is Kind.TIMESTAMP:
        first, last, type = FIRST_INSTANT, LAST_INSTANT, pa.int64()
    else:
        return np.zeros(len(values), bool)
    numbers = values.cast(type).fill_null(0).to_numpy(zero_copy_only=False)
    return (numbers < first) | (numbers > last)


def _are_common(texts: Any, grammar: _Grammar) -> bool:
    return pc.all(pc.match_substring_regex(texts, grammar.common)).as_py() is not False


def _one_by_one(texts: Column, grammar: _Grammar) -> Column:
    distinct: Any = pc.dictionary_encode(texts)
    read = [grammar.single(text) for text in distinct.dictionary.to_pylist()]
    return pa.array(read, grammar.type).take(distinct.indices)
