"""Going through a tree, and how large it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Generic, TypeVar, cast

from catalog.pql.nodes import (
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

T = TypeVar("T")


def children(node: Node) -> Iterator[Node]:
    """The nodes right beneath one, in the order in which they are written; sources of bindings
    among them."""
    for each in fields(node):
        value = getattr(node, each.name)
        yield from _nodes(value)


def everything(node: Node) -> Iterator[Node]:
    """A node and all beneath it, each before what is beneath it."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(list(children(node)))


def size(node: Node) -> int:
    """How many nodes going through a tree meets: one that stands in two places counts twice.

    Takes as long as there are different nodes, however often they are met.
    """
    known: dict[int, int] = {}

    def counted(node: Node) -> int:
        found = known.get(id(node))
        if found is None:
            found = known[id(node)] = 1 + sum(map(counted, children(node)))
        return found

    return counted(node)


def _nodes(value: object) -> Iterator[Node]:
    if isinstance(value, tuple):
        for each in value:
            yield from _nodes(each)
    elif isinstance(value, Binding):
        yield value.source
    elif isinstance(value, Node):
        yield value


class Visitor(ABC, Generic[T]):
    """Makes something of a node by what it is: one method for each kind."""

    def visit(self, node: Node) -> T:
        return cast("T", getattr(self, _METHODS[type(node)])(node))

    @abstractmethod
    def literal(self, node: Literal) -> T: ...
    @abstractmethod
    def now(self, node: Now) -> T: ...
    @abstractmethod
    def start_of(self, node: StartOf) -> T: ...
    @abstractmethod
    def shifted(self, node: Shifted) -> T: ...
    @abstractmethod
    def variable(self, node: Variable) -> T: ...
    @abstractmethod
    def events(self, node: Events) -> T: ...
    @abstractmethod
    def member(self, node: Member) -> T: ...
    @abstractmethod
    def list_of(self, node: ListOf) -> T: ...
    @abstractmethod
    def negation(self, node: Not) -> T: ...
    @abstractmethod
    def conjunction(self, node: And) -> T: ...
    @abstractmethod
    def disjunction(self, node: Or) -> T: ...
    @abstractmethod
    def choice(self, node: If) -> T: ...
    @abstractmethod
    def comparison(self, node: Compare) -> T: ...
    @abstractmethod
    def arithmetic(self, node: Arithmetic) -> T: ...
    @abstractmethod
    def containment(self, node: In) -> T: ...
    @abstractmethod
    def between(self, node: Between) -> T: ...
    @abstractmethod
    def distance(self, node: Distance) -> T: ...
    @abstractmethod
    def call(self, node: Call) -> T: ...
    @abstractmethod
    def exists(self, node: Exists) -> T: ...
    @abstractmethod
    def for_all(self, node: ForAll) -> T: ...
    @abstractmethod
    def filtered(self, node: Filter) -> T: ...
    @abstractmethod
    def mapped(self, node: Map) -> T: ...
    @abstractmethod
    def best(self, node: Best) -> T: ...
    @abstractmethod
    def grouped(self, node: GroupBy) -> T: ...
    @abstractmethod
    def aggregate(self, node: Aggregate) -> T: ...
    @abstractmethod
    def let(self, node: Let) -> T: ...


_METHODS: Mapping[type, str] = MappingProxyType(
    {
        Literal: "literal",
        Now: "now",
        StartOf: "start_of",
        Shifted: "shifted",
        Variable: "variable",
        Events: "events",
        Member: "member",
        ListOf: "list_of",
        Not: "negation",
        And: "conjunction",
        Or: "disjunction",
        If: "choice",
        Compare: "comparison",
        Arithmetic: "arithmetic",
        In: "containment",
        Between: "between",
        Distance: "distance",
        Call: "call",
        Exists: "exists",
        ForAll: "for_all",
        Filter: "filtered",
        Map: "mapped",
        Best: "best",
        GroupBy: "grouped",
        Aggregate: "aggregate",
        Let: "let",
    }
)
