"""Byte ranges as HTTP spells them (RFC 9110, section 14): asked for, sent, and received."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from catalog import large_files
from catalog.errors import InvalidField

# More digits than any file has bytes, and few enough for int(), which refuses thousands.
_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,100})-([0-9]{0,100})[ \t]*", re.IGNORECASE)
_CONTENT_RANGE = re.compile(
    r"bytes[ =]+([0-9]{1,16})-([0-9]{1,16})/([0-9]{1,16}|\*)", re.IGNORECASE
)


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


def sent_span(header: str | None) -> large_files.Span:
    """The bytes a Content-Range header says are in a body; refuses with InvalidField."""
    match = _CONTENT_RANGE.fullmatch(header.strip()) if header is not None else None
    if match is None:
        raise InvalidField("Content-Range", "write it as bytes 0-99/200, or bytes 0-99/*")
    first, last = int(match[1]), int(match[2])
    total = None if match[3] == "*" else int(match[3])
    if last < first or (total is not None and last >= total) or last >= large_files.MOST_BYTES:
        raise InvalidField("Content-Range", f"{header} is no part of a file")
    return large_files.Span(first_byte=first, size_bytes=last - first + 1, total_bytes=total)


def received_header(spans: Sequence[large_files.Span]) -> dict[str, str]:
    """The Range header that says which bytes have come; none before there are any."""
    each = ",".join(f"{span.first_byte}-{span.end - 1}" for span in spans)
    return {"Range": f"bytes={each}"} if each else {}


def _within(first: int, last: int, size: int) -> Span:
    length = min(last, size - 1) - first + 1
    if length < 1:
        raise Unsatisfiable
    return Span(first, length)
