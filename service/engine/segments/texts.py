"""What rules ask of texts."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.dtypes import StringDType
from pyarrow import types as pt

from catalog.pql.nodes import Function
from service.engine.arrow_types import Column
from service.engine.segments.comparing import by_words, codes_of
from service.engine.segments.spaces import innermost
from service.engine.segments.values import Plain, plain_from, spelt

_WITH_CONSTANT: dict[Function, Callable[[Column, str], Column]] = {
    Function.EQUALS: lambda texts, other: pc.equal(texts, pa.scalar(other, texts.type)),
    Function.STARTS_WITH: pc.starts_with,
    Function.ENDS_WITH: pc.ends_with,
    Function.CONTAINS: pc.match_substring,
}
_BY_PAIR: dict[Function, Callable[[Any, Any], Any]] = {
    Function.EQUALS: np.equal,
    Function.STARTS_WITH: np.strings.startswith,
    Function.ENDS_WITH: np.strings.endswith,
    Function.CONTAINS: lambda texts, others: np.strings.find(texts, others) >= 0,
}
#: What means something in an expression.
_SIGNS = re.compile(r"([\\.+*?()|\[\]{}^$])")
#: An escaped character, a class, or the beginning of a group.
_PARTS = re.compile(
    r"\\Q.*?(?:\\E|$)|\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]"
    r"|(?P<group>\((?:\?P?<\w+>|(?!\?)))",
    re.DOTALL,
)


def tested(function: Function, text: Plain, other: Plain, *, is_case_sensitive: bool) -> Plain:
    """Say whether a text equals, begins with, ends with or contains another."""
    space = innermost((text.space, other.space))
    if pt.is_null(text.column.type) or pt.is_null(other.column.type):
        return Plain(space, pa.nulls(space.count, pa.bool_()))
    if other.space.is_constant:
        sought = _lowered(spelt(other.column), is_case_sensitive)[0].as_py()
        if sought is None:
            return Plain(space, pa.nulls(space.count, pa.bool_()))
        test = _WITH_CONSTANT[function]
        found = by_words(
            text.column,
            (function, sought, is_case_sensitive),
            lambda texts: test(_lowered(texts, is_case_sensitive), sought),
        )
        return Plain(text.space, found)
    texts, others = plain_from(text, space), plain_from(other, space)
    return Plain(space, _by_pair(function, spelt(texts), spelt(others), is_case_sensitive))


def _lowered(texts: Column, is_case_sensitive: bool) -> Column:  # noqa: FBT001
    return texts if is_case_sensitive else pc.utf8_lower(texts)


def _by_pair(
    function: Function,
    texts: Column,
    others: Column,
    is_case_sensitive: bool,  # noqa: FBT001
) -> Column:
    """Test texts of rows against others of the same rows, every distinct pair once."""
    code, other = codes_of((texts, others))
    known = (code >= 0) & (other >= 0)
    rows = np.flatnonzero(known)
    width = int(other.max(initial=0)) + 1
    _, first, pair = np.unique(code[rows] * width + other[rows], True, True)  # noqa: FBT003
    one, two = (
        np.array(
            _lowered(column.take(pa.array(rows[first])), is_case_sensitive).to_pylist(),
            StringDType(),
        )
        for column in (texts, others)
    )
    found = np.zeros(len(texts), np.bool_)
    if len(rows):
        found[rows] = _BY_PAIR[function](one, two)[pair]
    return pa.array(found, mask=~known)


def like(text: Plain, pattern: str) -> Plain:
    """Say whether a whole text is like a pattern, where % is any characters and _ is one."""
    if pt.is_null(text.column.type):
        return Plain(text.space, pa.nulls(text.space.count, pa.bool_()))
    return Plain(
        text.space, by_words(text.column, ("like", pattern), lambda texts: _like(texts, pattern))
    )


def _like(texts: Column, pattern: str) -> Column:
    inner = pattern.strip("%")
    if not inner or "%" in inner or "_" in inner:
        return pc.match_substring_regex(texts, _expression_like(pattern))
    match pattern.startswith("%"), pattern.endswith("%"):
        case True, True:
            return pc.match_substring(texts, inner)
        case True, False:
            return pc.ends_with(texts, inner)
        case False, True:
            return pc.starts_with(texts, inner)
        case _:
            return pc.equal(texts, pa.scalar(inner, texts.type))


def _expression_like(pattern: str) -> str:
    meant = {"%": ".*", "_": "."}
    return r"(?s)\A" + "".join(meant.get(c, _SIGNS.sub(r"\\\1", c)) for c in pattern) + r"\z"


def matching(text: Plain, expression: str) -> Plain:
    """Say whether an expression is found anywhere in a text. Raises ValueError."""
    check(expression)
    if pt.is_null(text.column.type):
        return Plain(text.space, pa.nulls(text.space.count, pa.bool_()))
    asked = ("matches", expression)
    found = by_words(text.column, asked, lambda texts: pc.match_substring_regex(texts, expression))
    return Plain(text.space, found)


def group(text: Plain, expression: str, number: int) -> Plain:
    """Give what a group of an expression matched; 0 is all of it. Raises ValueError."""
    named, group_count = check(expression)
    if not 0 <= number <= group_count:
        raise ValueError(f"the expression {expression!r} has {group_count} groups: no {number}")
    if pt.is_null(text.column.type):
        return Plain(text.space, pa.nulls(text.space.count, pa.string()))
    column = text.column
    if pt.is_dictionary(column.type):
        return Plain(text.space, _group(column.dictionary, named, number).take(column.indices))
    return Plain(text.space, _group(column, named, number))


def _group(texts: Column, named: str, number: int) -> Column:
    matched = pc.extract_regex(texts, named).flatten()[number]
    span = pc.extract_regex_span(texts, named).flatten()[number]
    return pc.if_else(span.is_valid(), matched, pa.scalar(None, matched.type))


@lru_cache(maxsize=1024)
def check(expression: str) -> tuple[str, int]:
    """Give an expression all of whose groups have names, and how many there are.

    Raises :class:`ValueError` when RE2 does not understand it.
    """
    try:
        pc.match_substring_regex(pa.array([""]), expression)
    except pa.ArrowInvalid as problem:
        reason = str(problem).removeprefix("Invalid regular expression: ")
        raise ValueError(f"{expression!r} is no regular expression of RE2: {reason}") from problem
    count = 0

    def named(part: re.Match[str]) -> str:
        nonlocal count
        if part["group"] is None:
            return part[0]
        count += 1
        return f"(?P<g{count}>"

    return f"(?P<g0>{_PARTS.sub(named, expression)})", count
