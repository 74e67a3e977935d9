"""Rules of segments as their authors wrote them, understood against the fields there are."""

from __future__ import annotations

from catalog.pql import checking, documents, reading, writing
from catalog.pql.nodes import Node
from catalog.segments import RuleFormat
from catalog.unions import Union


def canonical(format: RuleFormat, expression: str, union: Union) -> str:
    """A rule as text that the service wrote.

    Raises InvalidRule when it cannot be understood, or when it asks of profiles and events what
    their fields do not allow.
    """
    rule = _read(format, expression)
    text = expression if format is RuleFormat.TEXT else None
    checking.check(rule, union.profile_fields, union.event_fields, text=text)
    return writing.write(rule)


def _read(format: RuleFormat, expression: str) -> Node:
    if format is RuleFormat.JSON:
        return documents.read_document(expression)
    return reading.read(expression)
