"""What the functions of the language say of plain values."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from catalog.pql.nodes import Function
from tests.engine.segments.oracle.values import Object, equal, equal_or_same


def includes(among: Any, element: Any) -> Any:
    if element is None or among is None:
        return None
    return any(each is not None and equal(element, each) for each in among)


def lower(text: str) -> str:
    """Lower case, character by character."""
    return "".join(each.lower()[:1] for each in text)


def _tested(test: Callable[[str, str], bool]) -> Callable[..., Any]:
    def of(text: Any, other: Any, is_case_sensitive: object) -> Any:
        if text is None or other is None:
            return None
        return test(text, other) if is_case_sensitive else test(lower(text), lower(other))

    return of


def _like(text: Any, pattern: str) -> Any:
    meant = {"%": ".*", "_": "."}
    expression = "".join(meant.get(each, re.escape(each)) for each in pattern)
    return None if text is None else bool(re.fullmatch(expression, text, re.DOTALL))


def _regex_group(text: Any, expression: str, number: int) -> Any:
    match = None if text is None else re.search(expression, text)
    return match[number] if match else None


def _is_null(of: Any) -> bool:
    if isinstance(of, Object):
        return all(_is_null(each) for each in of.values())
    return of is None


def _over_both(work: Callable[[list, list], Any]) -> Callable[..., Any]:
    return lambda one, other: None if one is None or other is None else work(one, other)


def _is_member(each: Any, among: list) -> bool:
    return each is not None and any(other is not None and equal(each, other) for other in among)


def _is_subset(one: list, other: list) -> bool:
    return all(each is None or _is_member(each, other) for each in one)


def _distinct(of: list | None) -> Any:
    if of is None:
        return None
    kept: list = []
    for each in of:
        if not any(equal_or_same(each, other) for other in kept):
            kept.append(each)
    return kept


FUNCTIONS: dict[Function, Callable[..., Any]] = {
    Function.EQUALS: _tested(lambda text, other: text == other),
    Function.STARTS_WITH: _tested(str.startswith),
    Function.ENDS_WITH: _tested(str.endswith),
    Function.CONTAINS: _tested(lambda text, other: other in text),
    Function.LIKE: _like,
    Function.MATCHES: lambda text, by: None if text is None else bool(re.search(by, text)),
    Function.REGEX_GROUP: _regex_group,
    Function.INTERSECTS: _over_both(lambda a, b: any(_is_member(each, b) for each in a)),
    Function.INTERSECTION: _over_both(lambda a, b: [each for each in a if _is_member(each, b)]),
    Function.SUBSET_OF: _over_both(_is_subset),
    Function.SUPERSET_OF: _over_both(lambda a, b: _is_subset(b, a)),
    Function.INCLUDES: includes,
    Function.DISTINCT: _distinct,
    Function.HEAD: lambda of: of[0] if of else None,
    Function.GET: lambda of, key: None if of is None or key is None else of.get(key),
    Function.KEYS: lambda of: None if of is None else sorted(of),
    Function.VALUES: lambda of: None if of is None else [of[key] for key in sorted(of)],
    Function.IS_NULL: _is_null,
    Function.YEAR_OF: lambda at: None if at is None else at.year,
    Function.MONTH_OF: lambda at: None if at is None else at.month,
    Function.DAY_OF_MONTH_OF: lambda at: None if at is None else at.day,
}
