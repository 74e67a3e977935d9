"""Constants and names as they are written, and what holds together how tightly."""

from __future__ import annotations

import re
from datetime import date, datetime
from enum import IntEnum

from catalog.pql.occasions import is_date
from catalog.pql.problems import Problem

_NAME = re.compile(r"[^\W\d]\w*")
_ESCAPES = str.maketrans(
    {
        # No database keeps a zero in a text, and no terminal shows the others.
        **{chr(code): f"\\u{code:04x}" for code in (*range(32), 127)},
        "\\": "\\\\",
        '"': '\\"',
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
    }
)


Constant = bool | int | float | str | date | datetime | None


class Tightness(IntEnum):
    """What binds tighter is greater: an operand that binds less needs brackets."""

    WHOLE = 0
    OR = 1
    AND = 2
    NOT = 3
    COMPARED = 4
    SUM = 5
    PRODUCT = 6
    SIGNED = 7
    CHAIN = 8


def spelt(value: Constant) -> str:
    """A constant as a literal."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPES)}"'
    if is_date(value):
        return f"date({value.year}, {value.month}, {value.day})"
    if isinstance(value, datetime):
        return f'timestamp("{value.isoformat().replace("+00:00", "Z")}")'
    return repr(value)


def well_formed(text: str, at: int) -> str:
    """A text with halves of characters put together. Raises Problem when one has no other half."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise Problem(
            "the text holds half a character, such as \\ud800 without another", at
        ) from None


def is_plain(name: str) -> bool:
    """Whether a name can be written without quotes after a dot."""
    return _NAME.fullmatch(name) is not None


def quoted(name: str) -> str:
    """A name after a dot."""
    return name if is_plain(name) else escaped(name)


def escaped(name: str) -> str:
    """A name that means a field whatever else it might mean."""
    return "`" + name.replace("`", "``") + "`"
