"""Finds whether elements of lists meet a condition together.

Nothing is joined that need not be. What a condition says of one variable is worked out for all
elements of its list, whoever asks. Variables that nothing else is compared with, and those only
compared by their times with one other, are then reduced away. Of what is left, pairs are made,
a piece at a time, of the elements that still can be part of an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from catalog.pql.nodes import Binding, Node
from service.engine.ranking import Bools, Ints, run_offsets
from service.engine.segments import chunks
from service.engine.segments.scopes import Bound, Evaluates, Memory, Scope
from service.engine.segments.shapes import conjuncts
from service.engine.segments.spaces import Space, Truth, any_within, both, innermost, places
from service.engine.segments.spans import Elements, Span, reached, span_of
from service.engine.segments.values import Listing, Value, moved, seen_from


@dataclass(slots=True, eq=False)
class _Opened:
    """A variable and the list it runs through."""

    name: str
    source: Node
    #: Null where the source compares variables with each other: then it is known of pairs only.
    lists: Listing | None
    bound: Bound | None
    #: The variables that the list lies within, outermost first, and this one.
    chain: tuple[str, ...]
    #: What has been found out about the elements.
    truths: list[Truth] = field(default_factory=list)

    def still_possible(self, lists: Listing) -> Ints:
        """Give the rows of elements that meet all that is said of them alone."""
        if not self.truths:
            return lists.rows()
        truth = _together(self.truths)
        return places(truth.marks) if lists.kept is None else lists.kept[truth.flags()[lists.kept]]


@dataclass(frozen=True, slots=True, eq=False)
class _Condition:
    """What couples variables with each other, or with one from outside."""

    node: Node
    wanted: bool
    #: Those bound here.
    names: frozenset[str]


def found(
    see: Evaluates, bindings: Sequence[Binding], condition: Node, scope: Scope, *, wanted: bool
) -> Truth:
    """Say where any choice of elements makes a condition true, or else false."""
    search = _Search(see, scope)
    for binding in bindings:
        search.open(binding)
    for node, as_wanted in conjuncts(condition, wanted):
        search.require(node, as_wanted)
    search.reduce()
    return search.joined()


class _Search:
    def __init__(self, see: Evaluates, scope: Scope) -> None:
        self._see = see
        self._scope = scope
        self._opened: dict[str, _Opened] = {}
        self._coupled: list[_Condition] = []
        #: What has been found out about the rows that are searched for.
        self._around = Truth.everywhere(see.constants, is_true=True)

    def open(self, binding: Binding) -> None:
        """Open a list; later variables may lie within it."""
        free = self._see.shapes.free(binding.source)
        names = [name for name in free if name in self._opened]
        chain = self._chain_of(names)
        name = binding.variable
        if chain is None or not self._lies_along(chain, free):
            together = tuple(dict.fromkeys(n for each in names for n in self._opened[each].chain))
            opened = _Opened(name, binding.source, None, None, (*together, name))
        else:
            lists, bound = self._see.listing(binding, self._along(chain))
            opened = _Opened(name, binding.source, lists, bound, (*chain, name))
        self._opened[name] = opened

    def require(self, node: Node, wanted: bool) -> None:  # noqa: FBT001
        """Add a condition that must be met as wanted."""
        free = self._see.shapes.free(node)
        names = [name for name in free if name in self._opened]
        chain = self._chain_of(names)
        if not names:
            truth = self._see.truth(node, self._scope, wanted=wanted)
            self._around = both(self._around, truth)
        elif chain is not None and self._lies_along(chain, free):
            last = self._opened[chain[-1]]
            truth = self._see.truth(node, self._along(chain), wanted=wanted)
            last.truths.append(truth.seen_from(self._list_of(chain[-1]).within))
        else:
            self._coupled.append(_Condition(node, wanted, frozenset(names)))

    def reduce(self) -> None:
        """Drop, as long as there are any, variables that need not be joined with others."""
        while any(self._is_dropped(opened) for opened in reversed(self._opened.values())):
            pass

    def joined(self) -> Truth:
        """Join the variables that are left, and say where that succeeds."""
        if not self._opened:
            return self._around
        spaces = [self._around.space]
        spaces += [
            opened.lists.space
            for opened in self._opened.values()
            if opened.lists is not None and len(opened.chain) == 1
        ]
        spaces += [self._outside(self._see.shapes.free(each.node)) for each in self._coupled]
        spaces += [
            self._outside(self._see.shapes.free(opened.source))
            for opened in self._opened.values()
            if opened.lists is None
        ]
        space = innermost(spaces)
        rows = np.flatnonzero(self._around.seen_from(space).flags())
        start = _Joining(Space(len(rows), space, rows), self._memory_depth(), {}, {})
        flags = np.zeros(space.count, np.bool_)
        flags[rows[self._succeeds(start, tuple(self._opened.values()), self._coupled)]] = True
        return Truth.of(space, flags)

    def _chain_of(self, names: Sequence[str]) -> tuple[str, ...] | None:
        """Give the variables that some lie within, if these lie within one another."""
        if not names:
            return ()
        chains = [self._opened[name].chain for name in names]
        longest = max(chains, key=len)
        alone = all(set(chain) <= set(longest) for chain in chains)
        known = all(self._opened[name].lists is not None for name in longest)
        return longest if alone and known else None

    def _lies_along(self, chain: Sequence[str], free: Sequence[str]) -> bool:
        """Tell whether what else is mentioned is the same all along the outermost list."""
        return not chain or self._outside(free).depth <= self._list_of(chain[0]).space.depth

    def _along(self, chain: Sequence[str]) -> Scope:
        bounds = {name: self._opened[name].bound for name in chain}
        return {**self._scope, **{name: bound for name, bound in bounds.items() if bound}}

    def _list_of(self, name: str) -> Listing:
        lists = self._opened[name].lists
        assert lists is not None
        return lists

    def _outside(self, free: Sequence[str]) -> Space:
        """Give the innermost space of the variables that are bound elsewhere."""
        spaces = [self._scope[n].value.space for n in free if n not in self._opened]
        return innermost([self._see.constants, *spaces])

    def _memory_depth(self) -> int:
        return max((bound.memory.depth for bound in self._scope.values()), default=0)

    def _is_dropped(self, opened: _Opened) -> bool:
        if opened.lists is None or self._is_around_others(opened):
            return False
        conditions = [each for each in self._coupled if opened.name in each.names]
        if not conditions:
            self._drop_alone(opened, opened.lists)
        elif not self._drop_by_times(opened, opened.lists, conditions):
            return False
        self._coupled = [each for each in self._coupled if each not in conditions]
        del self._opened[opened.name]
        return True

    def _is_around_others(self, opened: _Opened) -> bool:
        return any(
            opened.name in other.chain for other in self._opened.values() if other is not opened
        )

    def _drop_alone(self, opened: _Opened, lists: Listing) -> None:
        """Ask only that there is an element."""
        kept = Space(0, lists.space, np.empty(0, np.int64))
        if opened.truths and lists.kept is None:
            truth = any_within(_together(opened.truths))
        else:
            owners = lists.within.parents[opened.still_possible(lists)]
            kept = Space(len(owners), lists.space, owners)
            truth = any_within(Truth.everywhere(kept, is_true=True))
        self._said_around(opened, truth)

    def _said_around(self, opened: _Opened, truth: Truth) -> None:
        """Keep what an element's absence means for the row around it."""
        if len(opened.chain) > 1:
            around = self._opened[opened.chain[-2]]
            around.truths.append(truth.seen_from(self._list_of(around.name).within))
        else:
            self._around = both(self._around, truth)

    def _drop_by_times(
        self, opened: _Opened, lists: Listing, conditions: Sequence[_Condition]
    ) -> bool:
        """Ask only that there is an element early or late enough, if that is all that is asked."""
        others = {name for each in conditions for name in each.names} - {opened.name}
        if len(others) > 1 or len(opened.chain) > 1:
            return False
        other = self._opened[others.pop()] if others else None
        space, scope = self._other_side(other, conditions)
        if space is None or space.depth < lists.space.depth:
            return False
        span: Span | None = None
        for each in conditions:
            one = span_of(self._see.shapes, each.node, opened.name, wanted=each.wanted)
            span = one if span is None or one is None else span.within(one)
            if span is None:
                return False
        assert span is not None
        elements = Elements(lists, opened.still_possible(lists), self._along(opened.chain))
        if other is None or other.lists is None:
            rows = np.arange(space.count)
        else:
            rows = other.still_possible(other.lists)
        truth = reached(self._see, span, elements, scope, space, rows)
        if truth is None:
            return False
        if other is None:
            self._around = both(self._around, truth)
        else:
            other.truths.append(truth)
        return True

    def _other_side(
        self, other: _Opened | None, conditions: Sequence[_Condition]
    ) -> tuple[Space | None, Scope]:
        """Give the space of what a variable is compared with, and how it is seen there."""
        outside = innermost(self._outside(self._see.shapes.free(each.node)) for each in conditions)
        if other is None:
            return outside, self._scope
        if other.lists is None or outside.depth > self._list_of(other.chain[0]).space.depth:
            return None, self._scope
        return other.lists.within, self._along(other.chain)

    def _succeeds(
        self, here: _Joining, left: Sequence[_Opened], conditions: Sequence[_Condition]
    ) -> Bools:
        """Say for which rows of a join the variables that are left can be added."""
        opened, *others = left
        flags = np.zeros(here.space.count, np.bool_)
        names = {opened.name, *here.rows}
        decided = [each for each in conditions if each.names <= names]
        later = [each for each in conditions if not each.names <= names]
        lists, of = self._lists_for(opened, here)
        possible = opened.still_possible(lists)
        offsets = run_offsets(lists.within.parents[possible], lists.space.count)
        for row, place in _pairs(offsets, of):
            joining = here.with_elements(opened.name, lists, row, possible[place])
            stays = np.ones(len(row), np.bool_)
            for each in decided:
                scope = joining.scope(self._scope)
                truth = self._see.truth(each.node, scope, wanted=each.wanted)
                stays &= truth.seen_from(joining.space).flags()
            rows = np.flatnonzero(stays)
            if others:
                rows = rows[self._succeeds(joining.chosen(rows), others, later)]
            flags[row[rows]] = True
        return flags

    def _lists_for(self, opened: _Opened, here: _Joining) -> tuple[Listing, Ints]:
        """Give a variable's lists, and for each row of a join which of them is its own."""
        lists = opened.lists
        if lists is None:
            value = self._see.value(opened.source, here.scope(self._scope))
            spread = seen_from(value, here.space)
            assert isinstance(spread, Listing)
            return spread, np.arange(here.space.count)
        if len(opened.chain) > 1:
            around = self._list_of(opened.chain[-2])
            rows = here.rows[opened.chain[-2]]
            return lists, around.within.rows_in(lists.space)[rows]
        return lists, here.space.rows_in(lists.space)


@dataclass(frozen=True, slots=True, eq=False)
class _Joining:
    """Some variables joined: a row for each choice of their elements."""

    space: Space
    memory_depth: int
    #: By variable: the row of its element within its list's space.
    rows: Mapping[str, Ints]
    #: By variable: what its elements are, in that space.
    elements: Mapping[str, Value]

    def with_elements(self, name: str, lists: Listing, row: Ints, place: Ints) -> _Joining:
        """Add an element to some rows."""
        return _Joining(
            Space(len(row), self.space, row),
            self.memory_depth + 1,
            {**{each: rows[row] for each, rows in self.rows.items()}, name: place},
            {**self.elements, name: lists.element},
        )

    def chosen(self, rows: Ints) -> _Joining:
        return _Joining(
            Space(len(rows), self.space, rows),
            self.memory_depth + 1,
            {name: places[rows] for name, places in self.rows.items()},
            self.elements,
        )

    def scope(self, outer: Scope) -> Scope:
        """See the joined variables from the rows of the join."""
        memory = Memory(self.memory_depth)
        return {
            **outer,
            **{
                name: Bound(moved(element, self.space, self.rows[name]), memory)
                for name, element in self.elements.items()
            },
        }


def _together(truths: Sequence[Truth]) -> Truth:
    first, *others = truths
    for other in others:
        first = both(first, other)
    return first


def _pairs(offsets: Ints, of: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Pair each row with the elements of its list, so many pairs at a time as a piece may have.

    ``of`` is for each row the number of its list; elements are numbered list by list, each from
    its offset. A row with very many has them in several pieces.
    """
    lengths = np.diff(offsets)[of] if len(of) else of
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    for start in range(0, total, chunks.PAIRS):
        stop = min(start + chunks.PAIRS, total)
        first = int(np.searchsorted(ends, start, side="right"))
        last = int(np.searchsorted(ends, stop, side="left")) + 1
        rows = np.arange(first, last)
        begins = np.maximum(ends[rows] - lengths[rows], start)
        row = np.repeat(rows, np.minimum(ends[rows], stop) - begins)
        yield row, np.arange(start, stop) - (ends - lengths)[row] + offsets[of[row]]
