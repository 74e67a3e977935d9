"""What functions and operators take, and what they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from catalog.pql import expressions, types
from catalog.pql.knowledge import Typed
from catalog.pql.nodes import Call, Comparison, Function, Literal, Operator
from catalog.pql.problems import Problem
from catalog.pql.types import BOOLEAN, DOUBLE, TEXT, WHOLE, Type, described, list_of
from catalog.schemas import Field, Kind

Operands = Sequence[Typed]

_EQUALITY = frozenset({Comparison.EQUAL, Comparison.NOT_EQUAL})


def result(node: Call, operands: Operands) -> Type:
    """The type of what a function gives. Raises Problem when an operand is not what it takes."""
    return _RESULTS[node.function](operands)


def expect(typed: Typed, *groups: str) -> None:
    """Raise Problem unless a value is of one of some groups, or null."""
    if typed.type is not None and types.group(typed.type) not in groups:
        raise _unlike(typed, " or ".join(groups))


def expect_list(typed: Typed) -> Type:
    """What the elements of a list are. Raises Problem when it is none."""
    if typed.type is None or typed.type.kind is not Kind.ARRAY:
        raise _unlike(typed, "a list")
    return typed.type.element


def expect_plain(typed: Typed) -> None:
    """Raise Problem unless equal values can be told from others: objects and maps cannot."""
    if typed.type is not None and types.group(typed.type) is None:
        raise _unlike(typed, "a plain value")


def compared(comparison: Comparison, left: Typed, right: Typed) -> None:
    """Raise Problem unless two values can be compared so."""
    for each in (left, right):
        if each.type is None:
            raise Problem("nothing is equal to null: say .isNull() or .isNotNull()", each.node.at)
    if not types.fit(left.type, right.type):
        raise Problem(_unfit(left, right), right.node.at)
    if comparison not in _EQUALITY and types.group(left.type) not in types.ORDERED:
        raise Problem(
            f"expected = or != of {described(left.type)}: it is neither more nor less",
            left.node.at,
        )


def calculated(operator: Operator, left: Typed, right: Typed) -> Type:
    for each in (left, right):
        expect(each, types.NUMBER)
    if operator is Operator.DIVIDE:
        return DOUBLE
    return types.wider(left.type, right.type) or WHOLE


def together(first: Typed, second: Typed) -> Type:
    """The type of either of two values. Raises Problem when no type holds both."""
    if not types.fit(first.type, second.type):
        raise Problem(_unfit(first, second), second.node.at)
    return types.wider(first.type, second.type)


def _unlike(typed: Typed, expected: str) -> Problem:
    return Problem(f"expected {expected}, but this is {described(typed.type)}", typed.node.at)


def _unfit(left: Typed, right: Typed) -> str:
    words = f"{described(left.type)} and {described(right.type)} do not compare"
    groups = {types.group(left.type), types.group(right.type)}
    if groups == {types.TIME, types.TEXTS}:
        return f'{words}: write date(2020, 3, 14) or timestamp("2020-03-14T15:09:26Z")'
    if groups == {types.NUMBER, types.TEXTS}:
        return f"{words}: write a number without quotes"
    kinds = {each.type.kind for each in (left, right) if each.type}
    if Kind.ARRAY in kinds and len(kinds) == 2:  # noqa: PLR2004 (a list and something else)
        return f"{words}: a list .includes() its elements"
    return words


def _of_texts(operands: Operands) -> Type:
    for each in operands[:2]:
        expect(each, types.TEXTS)
    return BOOLEAN


def _matches(operands: Operands) -> Type:
    _of_texts(operands)
    _groups(operands[1])
    return BOOLEAN


def _regex_group(operands: Operands) -> Type:
    _of_texts(operands)
    there, number = _groups(operands[1]), operands[2].node
    assert isinstance(number, Literal)
    assert isinstance(number.value, int)
    if not 0 <= number.value <= there:
        raise Problem(f"the expression has {there} groups, and 0 is all of it", number.at)
    return TEXT


def _groups(expression: Typed) -> int:
    assert isinstance(expression.node, Literal)
    try:
        return expressions.groups_of(str(expression.node.value))
    except expressions.Unfit as unfit:
        problem = f"this is no regular expression: {unfit}"
        raise Problem(problem, expression.node.at) from None


def _of_two_lists(operands: Operands) -> Type:
    first, second = operands
    for each in operands:
        _plain_elements(each)
    if not types.fit(first.type, second.type):
        raise Problem(_unfit(first, second), second.node.at)
    return BOOLEAN


def _intersection(operands: Operands) -> Type:
    _of_two_lists(operands)
    return operands[0].type


def _includes(operands: Operands) -> Type:
    element = _plain_elements(operands[0])
    expect_plain(operands[1])
    if not types.fit(element, operands[1].type):
        wanted = Typed(operands[0].node, element)
        raise Problem(_unfit(wanted, operands[1]), operands[1].node.at)
    return BOOLEAN


def contained(element: Typed, of: Typed) -> None:
    """Raise Problem unless a value may be an element of a list."""
    _includes((of, element))


def _distinct(operands: Operands) -> Type:
    return list_of(_plain_elements(operands[0]))


def _plain_elements(typed: Typed) -> Type:
    element = expect_list(typed)
    if element is not None and types.group(element) is None:
        problem = f"{described(element)} is not equal to any other: name a field of it"
        raise Problem(problem, typed.node.at)
    return element


def _held(typed: Typed) -> Type:
    held = types.held(typed.type) if typed.type else None
    if held is None:
        raise _unlike(typed, "a map")
    return held


def _get(operands: Operands) -> Type:
    expect(operands[1], types.TEXTS)
    return _held(operands[0])


def _keys(operands: Operands) -> Type:
    _held(operands[0])
    return list_of(TEXT)


def _part_of_time(operands: Operands) -> Type:
    expect(operands[0], types.TIME)
    return WHOLE


_RESULTS: Mapping[Function, Callable[[Operands], Field | None]] = MappingProxyType(
    {
        Function.EQUALS: _of_texts,
        Function.STARTS_WITH: _of_texts,
        Function.ENDS_WITH: _of_texts,
        Function.CONTAINS: _of_texts,
        Function.LIKE: _of_texts,
        Function.MATCHES: _matches,
        Function.REGEX_GROUP: _regex_group,
        Function.INTERSECTS: _of_two_lists,
        Function.INTERSECTION: _intersection,
        Function.SUBSET_OF: _of_two_lists,
        Function.SUPERSET_OF: _of_two_lists,
        Function.INCLUDES: _includes,
        Function.DISTINCT: _distinct,
        Function.HEAD: lambda operands: expect_list(operands[0]),
        Function.GET: _get,
        Function.KEYS: _keys,
        Function.VALUES: lambda operands: list_of(_held(operands[0])),
        Function.IS_NULL: lambda _: BOOLEAN,
        Function.YEAR_OF: _part_of_time,
        Function.MONTH_OF: _part_of_time,
        Function.DAY_OF_MONTH_OF: _part_of_time,
    }
)
