"""Trees of rules, written shortly: three fields, some values, and what is made of them."""

from __future__ import annotations

from catalog.pql.making import ELEMENT
from catalog.pql.nodes import (
    PROFILE,
    Aggregate,
    Binding,
    Call,
    Compare,
    Comparison,
    Distance,
    Function,
    Literal,
    Member,
    Node,
    Now,
    Quantity,
    StartOf,
    Unit,
    Variable,
)

A, B, X = (Member(PROFILE, name) for name in "abx")
ONE, TWO, THREE = Literal(1), Literal(2), Literal(3)
TODAY = StartOf(Unit.DAY, Now())
THIS_WEEK = StartOf(Unit.WEEK, Now())
ITEM = Variable("$item1")
E = Variable("E")
TRUE, FALSE = Literal(value=True), Literal(value=False)


def equal(left: Node, right: Node) -> Compare:
    return Compare(Comparison.EQUAL, left, right)


def of_item(name: str) -> Member:
    return Member(ITEM, name)


def count(of: Node) -> Aggregate:
    return Aggregate(Quantity.COUNT, Binding(ELEMENT, of), None)


def days_to(end: Node) -> Distance:
    return Distance(Unit.DAY, A, end)


def compared(by: str, left: Node, right: Node) -> Compare:
    return Compare(Comparison(by), left, right)


def is_null(node: Node) -> Call:
    return Call(Function.IS_NULL, (node,))
