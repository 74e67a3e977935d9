"""Rules of segments as their authors wrote them, understood against the fields there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from catalog.pql import checking, document_writing, documents, reading, words, writing
from catalog.pql.nodes import Node
from catalog.segments import RuleFormat
from catalog.unions import Union


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """A rule for people to read, and in both spellings as the service writes them."""

    words: str
    text: str
    tree: Any


def canonical(format: RuleFormat, expression: str, union: Union) -> str:
    """A rule as text that the service wrote.

    Raises InvalidRule when it cannot be understood, or when it asks of profiles and events what
    their fields do not allow.
    """
    rule = _read(format, expression)
    text = expression if format is RuleFormat.TEXT else None
    checked = checking.check(rule, union.profile_fields, union.event_fields, text=text)
    return writing.write(checked.node)


def understood(format: RuleFormat, expression: str) -> Understood:
    """What was understood of a rule, whatever fields there are; raises InvalidRule."""
    rule = _read(format, expression)
    return Understood(
        words=words.say(rule), text=writing.write(rule), tree=document_writing.document(rule)
    )


def _read(format: RuleFormat, expression: str) -> Node:
    if format is RuleFormat.JSON:
        return documents.read_document(expression)
    return reading.read(expression)
