"""Nodes into documents of ``pql/json``, which :mod:`~catalog.pql.documents` reads again equal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from catalog.pql.making import ELEMENT
from catalog.pql.nodes import (
    PROFILE,
    Aggregate,
    And,
    Arithmetic,
    Best,
    Between,
    Binding,
    Call,
    Compare,
    Distance,
    Events,
    Exists,
    Filter,
    ForAll,
    GroupBy,
    If,
    In,
    Let,
    ListOf,
    Literal,
    Map,
    Member,
    Node,
    Not,
    Now,
    Or,
    Shifted,
    StartOf,
    Variable,
)
from catalog.pql.scopes import element_name
from catalog.pql.walking import Visitor

Document = dict[str, Any]

#: In this order: an instant is a date to Python, and true a number.
_LITERAL_TYPES = (
    (bool, "Boolean"),
    (int, "Integer"),
    (float, "Double"),
    (str, "String"),
    (datetime, "Timestamp"),
    (date, "Date"),
)


def document(node: Node) -> Document:
    """The rule as a tree of objects that JSON can say."""
    return _Writer(levels=1).visit(node)


class _Writer(Visitor[Document]):
    def __init__(self, levels: int) -> None:
        self._levels = levels

    def _all(self, nodes: Iterable[Node]) -> list[Document]:
        return [self.visit(each) for each in nodes]

    def _applied(self, name: str, *nodes: Node) -> Document:
        return {"nodeType": "fnApply", "fnName": name, "params": self._all(nodes)}

    def literal(self, node: Literal) -> Document:
        value = node.value
        kind = next((name for of, name in _LITERAL_TYPES if isinstance(value, of)), "Null")
        if isinstance(value, date):
            value = value.isoformat()
        return {"nodeType": "literal", "literalType": kind, "value": value}

    def now(self, _: Now) -> Document:
        return self._applied("now")

    def events(self, _: Events) -> Document:
        return {
            "nodeType": "fieldLookup",
            "fieldName": "xEvent",
            "object": self.visit(PROFILE),
        }

    def variable(self, node: Variable) -> Document:
        if node == PROFILE:
            return {"nodeType": "parameterReference", "position": 1}
        names = [element_name(level) for level in range(1, self._levels)]
        if node.name in names:
            up = len(names) - 1 - names.index(node.name)
            return {"nodeType": "contextReference", "up": up}
        return {"nodeType": "varRef", "varName": node.name}

    def member(self, node: Member) -> Document:
        return {"nodeType": "fieldLookup", "fieldName": node.name, "object": self.visit(node.of)}

    def start_of(self, node: StartOf) -> Document:
        return self._applied("startOf", node.of, Literal(node.unit.value))

    def shifted(self, node: Shifted) -> Document:
        return self._applied("shiftedBy", node.of, node.amount, Literal(node.unit.value))

    def distance(self, node: Distance) -> Document:
        return self._applied("distanceTo", node.start, node.end, Literal(node.unit.value))

    def list_of(self, node: ListOf) -> Document:
        return self._applied("list", *node.elements)

    def negation(self, node: Not) -> Document:
        return self._applied("not", node.operand)

    def conjunction(self, node: And) -> Document:
        return self._applied("and", *node.operands)

    def disjunction(self, node: Or) -> Document:
        return self._applied("or", *node.operands)

    def choice(self, node: If) -> Document:
        return self._applied("if", node.condition, node.then, node.otherwise)

    def comparison(self, node: Compare) -> Document:
        return self._applied(node.comparison, node.left, node.right)

    def arithmetic(self, node: Arithmetic) -> Document:
        return self._applied(node.operator, node.left, node.right)

    def containment(self, node: In) -> Document:
        return self._applied("in", node.element, node.of)

    def between(self, node: Between) -> Document:
        return self._applied("isBetween", node.instant, node.start, node.end)

    def call(self, node: Call) -> Document:
        return self._applied(node.function, *node.operands)

    def exists(self, node: Exists) -> Document:
        first = node.bindings[0]
        if first.variable == element_name(self._levels):
            return self._of_each("filter", first, node.condition)
        return self._quantified("exists", node)

    def for_all(self, node: ForAll) -> Document:
        return self._quantified("forall", node)

    def _quantified(self, kind: str, node: Exists | ForAll) -> Document:
        variables = [
            {"nodeType": "varDecl", "varName": each.variable, "from": self.visit(each.source)}
            for each in node.bindings
        ]
        variables[-1]["where"] = self.visit(node.condition)
        return {"nodeType": kind, "variables": variables}

    def filtered(self, node: Filter) -> Document:
        return self._of_each("filter", node.binding, node.condition)

    def mapped(self, node: Map) -> Document:
        return self._of_each("map", node.binding, node.value)

    def grouped(self, node: GroupBy) -> Document:
        return self._of_each("groupBy", node.binding, node.value)

    def best(self, node: Best) -> Document:
        made = self._of_each("topN" if node.is_largest else "bottomN", node.binding, node.value)
        made["params"].append(self.visit(Literal(node.count)))
        return made

    def aggregate(self, node: Aggregate) -> Document:
        if node.binding.variable == ELEMENT:
            return self._applied(node.quantity, node.binding.source)
        assert node.value is not None
        return self._of_each(node.quantity, node.binding, node.value)

    def _of_each(self, name: str, binding: Binding, value: Node) -> Document:
        if binding.variable == element_name(self._levels):
            asked = {"nodeType": "lambda", "body": _Writer(self._levels + 1).visit(value)}
        else:
            body = self.visit(value)
            asked = {"nodeType": "lambda", "varName": binding.variable, "body": body}
        return {
            "nodeType": "fnApply",
            "fnName": str(name),
            "params": [self.visit(binding.source), asked],
        }

    def let(self, node: Let) -> Document:
        return {
            "nodeType": "let",
            "varName": node.variable,
            "value": self.visit(node.value),
            "body": self.visit(node.body),
        }
