"""Creates that may be sent again: whoever names one by a key is answered as the first time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

#: How long a key stands for its first answer.
LASTS = timedelta(hours=24)

#: The most characters of a key.
KEY_LENGTH = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call of a create that its caller may repeat."""

    #: What it does; a key counts for one operation alone.
    operation: str
    #: Of the caller's choosing.
    key: str
    #: Tells requests apart: those that repeat one another agree in it.
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """What the first call was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes
