"""Plain values: when two are equal, and which a number may have."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

from tests.engine.segments.oracle.times import instant


class Object(dict):
    """An object, which is null when nothing beneath it has a value; a map is a plain dict."""


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


def equal_or_same(one: Any, other: Any) -> bool:
    return one == other if isinstance(one, dict | list) else equal(one, other)


def finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def fitting(number: int) -> int | None:
    return number if -(2**63) <= number < 2**63 else None
