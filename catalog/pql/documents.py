"""Rules as documents: ``pql/json``, a tree of objects that each say their ``nodeType``.

What public samples have is read as it is there: ``fnApply`` of ``fnName`` to ``params``,
``fieldLookup``, ``literal``, ``parameterReference``, and ``select`` of ``variables``, which are
``varDecl`` and referred to by ``varRef``. What they leave open is ours: ``exists`` and ``forall``
beside ``select``, ``lambda`` for what is asked of each element, ``contextReference`` for an element
without a name, so many levels ``up``, and ``let``. Functions have the names that they have in text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Any

from catalog.pql import functions, making
from catalog.pql.nodes import (
    PROFILE,
    Arithmetic,
    Binding,
    Compare,
    Comparison,
    Exists,
    Filter,
    ForAll,
    In,
    Let,
    ListOf,
    Literal,
    Node,
    Now,
    Operator,
    Variable,
)
from catalog.pql.problems import Problem, nearest
from catalog.pql.reading import LONGEST, MOST_NODES
from catalog.pql.scopes import Scope, reserved
from catalog.pql.spelling import is_plain, well_formed
from catalog.pql.walking import size

Document = Mapping[str, Any]

#: Characters of a document: it needs about ten times those of a text.
_LONGEST = LONGEST * 10
#: Trees need fewer levels than texts with brackets.
_DEEPEST = 100
_COMPARISONS: Mapping[str, Comparison] = MappingProxyType(
    {**{str(each): each for each in Comparison}, "==": Comparison.EQUAL}
)
_OPERATORS: Mapping[str, Operator] = MappingProxyType({str(each): each for each in Operator})


def read_document(text: str) -> Node:
    """Understand a rule that is a document. Raises InvalidRule, which says where in it."""
    try:
        return _read(text)
    except Problem as problem:
        raise problem.refusal(None) from None


def _read(text: str) -> Node:
    if len(text) > _LONGEST:
        problem = f"a tree has at most {_LONGEST:,} characters, but this one has {len(text):,}"
        raise Problem(problem, 0)
    try:
        document = json.loads(text)
    except ValueError as error:
        raise Problem(f"this is no JSON: {error}", 0) from None
    except RecursionError:
        raise Problem(_TOO_DEEP, 0) from None
    node = making.condition(_Reader(document, Scope()).node())
    if size(node) > MOST_NODES:
        raise Problem("the rule says too much at once: ask less of it in one place", 0)
    return node


_TOO_DEEP = f"the tree goes more than {_DEEPEST} levels deep"


class _Placed(Problem):
    """A problem that says where in the document it is."""


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one object of a document, at its place and in its scope."""

    document: Any
    scope: Scope
    path: str = ""
    depth: int = 0

    def node(self) -> Node:
        kind = self.text("nodeType")
        read = _KINDS.get(kind)
        if read is None:
            raise self.problem(f"there is no nodeType {kind}{nearest(kind, _KINDS)}")
        try:
            return read(self)
        except _Placed:
            raise
        except Problem as problem:
            raise self.problem(problem.message) from None

    def problem(self, message: str) -> _Placed:
        return _Placed(f"{self.path}: {message}" if self.path else message, 0)

    def below(self, name: str, index: int | None = None) -> _Reader:
        """The reader of an object beneath, which must be there."""
        document = self.member(name)
        path = f"{self.path}.{name}" if self.path else name
        if index is not None:
            document = self.items(name)[index]
            path += f"[{index}]"
        if self.depth == _DEEPEST:
            raise self.problem(_TOO_DEEP)
        return _Reader(document, self.scope, path, self.depth + 1)

    def within(self, scope: Scope) -> _Reader:
        return replace(self, scope=scope)

    def member(self, name: str) -> Any:
        if not isinstance(self.document, dict):
            raise self.problem("expected an object with a nodeType")
        if name not in self.document:
            raise self.problem(f"expected a member {name}")
        return self.document[name]

    def has(self, name: str) -> bool:
        return isinstance(self.document, dict) and self.document.get(name) is not None

    def text(self, name: str) -> str:
        value = self.member(name)
        if not isinstance(value, str):
            raise self.problem(f"expected {name} to be a text")
        return value

    def items(self, name: str) -> list[Any]:
        value = self.member(name)
        if not isinstance(value, list):
            raise self.problem(f"expected {name} to be a list")
        return value

    def all_below(self, name: str) -> list[_Reader]:
        return [self.below(name, index) for index in range(len(self.items(name)))]

    def name(self) -> str:
        """The name of a variable."""
        name = self.text("varName")
        if not is_plain(name):
            raise self.problem(f"expected varName to be a word, but found {name}")
        return name


def _field(reader: _Reader) -> Node:
    of = reader.below("object").node() if reader.has("object") else PROFILE
    return making.member(of, reader.text("fieldName"))


def _parameter(reader: _Reader) -> Node:
    if reader.member("position") != 1:
        raise reader.problem("expected position to be 1: that of the profile")
    return PROFILE


def _variable(reader: _Reader) -> Node:
    name = reader.text("varName")
    if name not in reader.scope.names:
        guess = nearest(name, reader.scope.names)
        raise reader.problem(f"there is no variable {name} here{guess}")
    return reader.scope.names[name]


def _context(reader: _Reader) -> Node:
    up = reader.member("up")
    if type(up) is not int or up < 0:
        raise reader.problem("expected up to be a number of levels")
    return reader.scope.level(up, 0)


def _literal(reader: _Reader) -> Node:
    value = reader.member("value")
    kind = reader.text("literalType") if reader.has("literalType") else None
    if kind == "XDMObject":
        if value != "profile":
            raise reader.problem("expected value to be profile")
        return PROFILE
    if kind in ("Date", "Timestamp") and isinstance(value, str):
        return _time(reader, value, is_date=kind == "Date")
    if isinstance(value, list):
        return ListOf(tuple(_constant(reader, each) for each in value))
    return _constant(reader, value)


def _constant(reader: _Reader, value: Any) -> Node:
    if isinstance(value, dict):
        raise reader.problem("expected value to be plain, or a list of plain values")
    if isinstance(value, str):
        return Literal(well_formed(value, 0))
    if isinstance(value, int) and abs(value) >= 2**63:
        raise reader.problem(f"{value} does not fit 64 bits")
    if isinstance(value, float) and value - value != 0:
        raise reader.problem(f"{value} is no number")
    return Literal(value)


def _time(reader: _Reader, value: str, *, is_date: bool) -> Node:
    try:
        if is_date:
            return Literal(date.fromisoformat(value))
        return functions.called("timestamp", [Literal(value)], 0)
    except (ValueError, Problem) as error:
        raise reader.problem(f"{value} is no date, or no instant") from error


def _selected(reader: _Reader) -> Node:
    bindings, asked = _bindings(reader)
    return Exists(bindings, asked) if len(bindings) > 1 else Filter(bindings[0], asked)


def _bindings(reader: _Reader) -> tuple[tuple[Binding, ...], Node]:
    """The variables of a quantifier, each in the scope of those before it."""
    scope = reader.scope
    bindings, conditions = [], []
    for each in reader.all_below("variables"):
        name = each.name()
        bindings.append(Binding(name, each.within(scope).below("from").node()))
        scope = scope.bound(name, 0)
        if each.has("where"):
            conditions.append(each.within(scope).below("where").node())
    if not bindings:
        raise reader.problem("expected variables to hold a varDecl")
    if reader.has("where"):
        conditions.append(reader.within(scope).below("where").node())
    return tuple(bindings), making.conjunction(conditions)


def _let(reader: _Reader) -> Node:
    name = reader.name()
    body = reader.within(reader.scope.bound(name, 0)).below("body")
    return Let(name, reader.below("value").node(), body.node())


def _applied(reader: _Reader) -> Node:
    name = reader.text("fnName")
    given = reader.all_below("params")
    if name in functions.OF_ELEMENTS:
        return _of_elements(reader, name, given)
    nodes = [each.node() for each in given]
    special = _SPECIAL.get(name)
    if special is None:
        return _plain(name, nodes)
    fewest, most, make = special
    if not fewest <= len(nodes) <= most:
        raise Problem(f"{name} does not take {len(nodes)} params", 0)
    return make(nodes)


def _plain(name: str, nodes: Sequence[Node]) -> Node:
    if name in _COMPARISONS and len(nodes) == 2:  # noqa: PLR2004 (a left and a right side)
        return Compare(_COMPARISONS[name], *nodes)
    if name in _OPERATORS and len(nodes) == 2:  # noqa: PLR2004
        return Arithmetic(_OPERATORS[name], *nodes)
    word = reserved(name) if not nodes else None
    return word if word is not None else functions.called(name, nodes, 0)


def _of_elements(reader: _Reader, name: str, given: Sequence[_Reader]) -> Node:
    expected = functions.arguments_of(name)
    if len(given) - 1 not in expected:
        counts = " or ".join(str(count + 1) for count in expected)
        raise Problem(f"{name} takes {counts} params, but has {len(given)}", 0)
    source = given[0].node()
    if len(given) == 1:
        binding = making.over(making.ELEMENT, source)
        return functions.of_elements(name, binding, Variable(making.ELEMENT), 0, 0)
    asked = given[1]
    if asked.text("nodeType") != "lambda":
        raise asked.problem("expected a lambda: what is asked of each element")
    if asked.has("varName"):
        variable = asked.name()
        inside = reader.scope.bound(variable, 0)
    else:
        variable, inside = reader.scope.entered()
    value = asked.within(inside).below("body").node()
    count = functions.whole_of(given[2].node(), "how many") if len(given) > 2 else 0  # noqa: PLR2004
    return functions.of_elements(name, Binding(variable, source), value, count, 0)


_KINDS: Mapping[str, Callable[[_Reader], Node]] = MappingProxyType(
    {
        "fnApply": _applied,
        "fieldLookup": _field,
        "literal": _literal,
        "parameterReference": _parameter,
        "varRef": _variable,
        "contextReference": _context,
        "select": _selected,
        "exists": lambda reader: Exists(*_bindings(reader)),
        "forall": lambda reader: ForAll(*_bindings(reader)),
        "let": _let,
    }
)
_MANY = 1_000_000
#: Functions that are operators in text: how many params they take, and what they make.
_SPECIAL: Mapping[str, tuple[int, int, Callable[[Sequence[Node]], Node]]] = MappingProxyType(
    {
        "and": (1, _MANY, making.conjunction),
        "or": (1, _MANY, making.disjunction),
        "not": (1, 1, lambda given: making.negation(given[0])),
        "!": (1, 1, lambda given: making.negation(given[0])),
        "in": (2, 2, lambda given: In(given[0], given[1])),
        "notIn": (2, 2, lambda given: making.not_in(given[0], given[1])),
        "list": (0, _MANY, lambda given: ListOf(tuple(given))),
        "now": (0, 0, lambda _: Now()),
    }
)
