"""Rules of segments as their authors wrote them, understood against the fields there are."""

from __future__ import annotations

from catalog.pql import reading, writing
from catalog.segments import RuleFormat
from catalog.unions import Union


def canonical(format: RuleFormat, expression: str, union: Union) -> str:  # noqa: ARG001
    """A rule as text that the service wrote; raises InvalidRule when it cannot be understood."""
    return writing.write(reading.read(expression))
