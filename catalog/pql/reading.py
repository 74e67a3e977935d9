"""Text into nodes."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import cast

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from catalog.pql.building import Builder
from catalog.pql.nodes import Node
from catalog.pql.parts import Part
from catalog.pql.problems import Problem
from catalog.pql.scopes import Scope
from catalog.pql.walking import size

#: Characters that a rule may have: some thousand conditions.
LONGEST = 50_000

#: Nodes that a rule may have. A short rule can have many, since occurs asks more than once of what
#: stands before it.
MOST_NODES = 100_000

#: What may stand somewhere, in readers' words: tokens of one meaning have the same.
_WORDS = {
    "AGGREGATE": "a value",
    "BANG": "not",
    "DOUBLE": "a value",
    "ESCAPED": "a field",
    "INTEGER": "a value",
    "LAMBDA": "",
    "LEVELS": "",
    "NAME": "a field",
    "PARAMETER": "a field",
    "STRING": "a value",
    "LPAR": "(",
    "RPAR": ")",
    "LSQB": "[",
    "RSQB": "]",
    "COMMA": ",",
    "DOT": ".",
    "EQUAL": "a comparison",
    "COMPARISON": "a comparison",
    "SIGN": "+ or -",
    "FACTOR": "arithmetic",
    "NEXT_BINDING": ", and another variable from a list",
    "NOT_IN": "notIn",
    "UNIT": "a unit of time",
    "DIRECTION": "before, after or from",
    "RELATIVE": "this, last or next",
    "$END": "the end of the rule",
}


def read(text: str) -> Node:
    """Understand a rule. Raises InvalidRule, which says where it cannot be understood."""
    try:
        return _read(text)
    except Problem as problem:
        raise problem.refusal(text) from None
    except UnexpectedInput as unexpected:
        raise _problem(unexpected, text).refusal(text) from None


def _read(text: str) -> Node:
    if len(text) > LONGEST:
        problem = f"a rule has at most {LONGEST:,} characters, but this one has {len(text):,}"
        raise Problem(problem, LONGEST)
    node = cast("Part", _parser().parse(text)).build(Scope())
    if size(node) > MOST_NODES:
        raise Problem("the rule says too much at once: ask less of it in one place", 0)
    return node


@cache
def _parser() -> Lark:
    grammar = files("catalog.pql").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(
        grammar, parser="lalr", start="rule", transformer=Builder(), maybe_placeholders=False
    )


def _problem(unexpected: UnexpectedInput, text: str) -> Problem:
    expected: set[str] = set()
    if isinstance(unexpected, UnexpectedToken):
        expected = unexpected.accepts or unexpected.expected
        token = cast("Token", unexpected.token)
        if token.type == "$END":
            return Problem(f"the rule ends where {_any_of(expected)}", len(text))
        return Problem(
            f"found {_shown(str(token))} where {_any_of(expected)}", token.start_pos or 0
        )
    if isinstance(unexpected, UnexpectedCharacters):
        expected = unexpected.allowed or set()
    at = unexpected.pos_in_stream or 0
    if text[at : at + 1] in ('"', "'", "`"):
        return Problem(f"the text that begins with {text[at]} here does not end", at)
    return Problem(f"found {_shown(text[at : at + 1])} where {_any_of(expected)}", at)


def _shown(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"  # noqa: PLR2004 (fits a line of a terminal)


def _any_of(tokens: set[str]) -> str:
    """``expected a value, a field or (``."""
    words = sorted({_WORDS.get(each, each.lower()) for each in tokens} - {""})
    if len(words) > 1:
        words = [*words[:-2], f"{words[-2]} or {words[-1]}"]
    return f"expected {', '.join(words)}"
