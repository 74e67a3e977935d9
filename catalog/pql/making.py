"""Nodes made so that rules that mean the same by construction are the same."""

from __future__ import annotations

from collections.abc import Iterable

from catalog.pql.nodes import (
    PROFILE,
    Aggregate,
    And,
    Binding,
    Call,
    Events,
    Exists,
    Filter,
    Function,
    In,
    ListOf,
    Literal,
    Member,
    Node,
    Not,
    Or,
    Quantity,
    Variable,
)

#: The variable of an element that nobody can speak of: one that is only counted, or summed itself.
ELEMENT = "$element"


def condition(node: Node) -> Node:
    """A node where something true or false is asked: a selection stands for there being any."""
    if isinstance(node, Filter):
        return Exists((node.binding,), node.condition, at=node.at)
    return node


def conjunction(operands: Iterable[Node], at: int = 0) -> Node:
    """All of them, without an And inside an And; of none, true."""
    flat: list[Node] = []
    for operand in map(condition, operands):
        flat += operand.operands if isinstance(operand, And) else (operand,)
    if not flat:
        return Literal(value=True, at=at)
    return flat[0] if len(flat) == 1 else And(tuple(flat), at=at)


def disjunction(operands: Iterable[Node], at: int = 0) -> Node:
    """Any of them, without an Or inside an Or; of none, false."""
    flat: list[Node] = []
    for operand in map(condition, operands):
        flat += operand.operands if isinstance(operand, Or) else (operand,)
    if not flat:
        return Literal(value=False, at=at)
    return flat[0] if len(flat) == 1 else Or(tuple(flat), at=at)


def negation(operand: Node, at: int = 0) -> Node:
    return Not(condition(operand), at=at)


def member(of: Node, name: str, at: int = 0) -> Node:
    """A field; the profile's events are no field of it."""
    if name == "xEvent" and of == PROFILE:
        return Events(at=at)
    return Member(of, name, at=at)


def is_null(operand: Node, at: int = 0) -> Node:
    return Call(Function.IS_NULL, (operand,), at=at)


def not_in(element: Node, of: Node, at: int = 0) -> Node:
    """``notIn``, which asks that neither side is null besides; a list written out never is."""
    there = [negation(is_null(element, at), at)]
    if not isinstance(of, ListOf):
        there.append(negation(is_null(of, of.at), of.at))
    return conjunction([*there, negation(In(element, of, at=at), at)], at)


def over(variable: str, source: Node) -> Binding:
    return Binding(variable, source, at=source.at)


def aggregate(quantity: Quantity, binding: Binding, value: Node | None, at: int = 0) -> Node:
    """A number made of a list: of its elements themselves, or of a value that each has.

    Counting a value counts the elements that have it.
    """
    is_itself = value is None or value == Variable(binding.variable)
    if quantity is Quantity.COUNT:
        if not is_itself:
            assert value is not None
            there = negation(is_null(value, value.at), value.at)
            binding = over(binding.variable, Filter(binding, there, at=at))
        return Aggregate(quantity, over(ELEMENT, binding.source), None, at=at)
    if is_itself:
        return Aggregate(quantity, over(ELEMENT, binding.source), Variable(ELEMENT, at=at), at=at)
    return Aggregate(quantity, binding, value, at=at)
