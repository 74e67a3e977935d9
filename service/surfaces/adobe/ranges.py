"""Byte ranges as HTTP asks for them (RFC 9110, section 14): one at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass

# More digits than any file has bytes, and few enough for int(), which refuses thousands.
_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,100})-([0-9]{0,100})[ \t]*", re.IGNORECASE)


class Unsatisfiable(ValueError):
    """The range is well formed and no byte of the file lies in it."""


@dataclass(frozen=True, slots=True)
class Span:
    """Some bytes of a file: at least one, all within it."""

    start: int
    length: int


def asked_span(header: str | None, size: int) -> Span | None:
    """The bytes a Range header asks for of a file of ``size`` bytes, or None: all of it.

    A header that is malformed, asks for several ranges or counts in other units is ignored, as
    the standard has it. Raises :class:`Unsatisfiable` for a range beyond the end.
    """
    match = _RANGE.fullmatch(header.strip()) if header is not None else None
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        length = min(int(match[2]), size)
        return _within(size - length, size - 1, size)
    first, last = int(match[1]), int(match[2]) if match[2] else size - 1
    if match[2] and last < first:
        return None
    return _within(first, last, size)


def _within(first: int, last: int, size: int) -> Span:
    length = min(last, size - 1) - first + 1
    if length < 1:
        raise Unsatisfiable
    return Span(first, length)
