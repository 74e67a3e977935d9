"""Works out in pieces what runs through whole lists once for each row of another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from catalog.pql.nodes import Node
from service.engine.ranking import Ints
from service.engine.segments.scopes import Bound, Evaluates, Memory, Scope
from service.engine.segments.shapes import parts
from service.engine.segments.spaces import Space, innermost
from service.engine.segments.values import (
    Listing,
    Plain,
    Value,
    alike,
    moved,
    plain_from,
)

#: How many pairs of rows are looked at at once: some tens of megabytes. A guess that was not tuned.
PAIRS = 1 << 20


def in_pieces(
    see: Evaluates, node: Node, scope: Scope, work: Callable[[Any, Node, Scope], Value]
) -> Value:
    """Work out a plain value for some rows at a time, so few that their lists fit a piece."""
    bounds = [scope[name] for name in see.shapes.free(node)]
    space = innermost(bound.value.space for bound in bounds)
    costs = np.ones(space.count, np.int64)
    for lists in _lists(see, node, scope):
        if lists.space.depth < space.depth:
            costs += np.diff(lists.offsets())[space.rows_in(lists.space)]
    if costs.sum() <= PAIRS:
        return work(see, node, scope)
    pieces = []
    memory_depth = max(bound.memory.depth for bound in bounds)
    for start, stop in pieces_of(costs):
        rows = np.arange(start, stop)
        piece, memory = Space(len(rows), space, rows), Memory(memory_depth + 1)
        inside = {
            name: Bound(moved(bound.value, piece, rows), memory)
            if bound.value.space is space
            else bound
            for name, bound in scope.items()
        }
        value = work(see, node, inside)
        if not isinstance(value, Plain):
            raise TypeError("only plain values are worked out in pieces")
        pieces.append(plain_from(value, piece))
    return Plain(space, pa.concat_arrays(alike(pieces)))


def pieces_of(costs: Ints) -> Iterator[tuple[int, int]]:
    """Cut rows into runs that cost no more than a piece may, or are one row."""
    total, start = np.cumsum(costs), 0
    while start < len(costs):
        before = int(total[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(total, before + PAIRS, side="right")))
        yield start, stop
        start = stop


def _lists(see: Evaluates, node: Node, scope: Scope) -> Iterator[Listing]:
    """Give the lists beneath a node that can be told before it is worked out."""
    for part, names in parts(node):
        if names:
            continue
        if all(name in scope for name in see.shapes.free(part)):
            if see.shapes.of(part).is_coupled:
                yield from _lists(see, part, scope)
                continue
            value = see.value(part, scope)
            if isinstance(value, Listing):
                yield value
