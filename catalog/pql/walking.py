"""Going through a tree, and how large it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from catalog.pql.nodes import Binding, Node


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
