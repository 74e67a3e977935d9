"""Names that people give to projects, spaces and properties, in any language."""

from __future__ import annotations

import re
from typing import Final

from catalog.errors import InvalidField

#: Characters of a name, as documented of segments and user properties.
NAME_LENGTH: Final = 30
#: Characters of what is said beside it. Ours: pages of a thousand things stay small.
DESCRIPTION_LENGTH: Final = 1000

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def check_name(name: str, *, most: int = NAME_LENGTH) -> None:
    """Refuse with InvalidField what people cannot read: it heads columns and stands in lists."""
    if not name.strip() or len(name) > most:
        raise InvalidField("name", f"must have 1 to {most} characters, and not blanks alone")
    if _CONTROL.search(name):
        raise InvalidField("name", "control characters, such as line ends, are not allowed")


def check_description(description: str) -> None:
    """Refuse with InvalidField what is too long to be shown in a list."""
    if len(description) > DESCRIPTION_LENGTH:
        raise InvalidField("description", f"must have at most {DESCRIPTION_LENGTH} characters")
