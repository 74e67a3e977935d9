"""Makes lists of lists, and values of lists: what is chosen, grouped, summed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as pt

from catalog.pql.nodes import Quantity
from service.engine.arrow_types import Column
from service.engine.kernel import text_ranks
from service.engine.ranking import Bools, Ints, ordered, run_numbers, run_starts
from service.engine.segments.comparing import codes_of, shared
from service.engine.segments.numbers import doubles, exact_sums
from service.engine.segments.spaces import Space, Truth, innermost, places, unpacked
from service.engine.segments.values import (
    Listing,
    Mapping,
    Plain,
    Value,
    alike,
    moved,
    plain_from,
    seen_from,
    spelt,
)


def filtered(lists: Listing, truth: Truth) -> Listing:
    """Keep the elements of which something is true."""
    truth = truth.seen_from(lists.within)
    kept = places(truth.marks) if lists.kept is None else lists.kept[truth.flags()[lists.kept]]
    return Listing(lists.space, lists.within, lists.element, kept, lists.is_null)


def mapped(lists: Listing, value: Value) -> Listing:
    """Put something in each element's place."""
    element = seen_from(value, lists.within)
    return Listing(lists.space, lists.within, element, lists.kept, lists.is_null)


def common(left: Listing, right: Listing) -> Listing:
    """Keep the elements of the first list that the second has too."""
    kept = left.rows()[shared(left, right)]
    nulls = _either(left.is_null, right.is_null)
    if nulls is not None:
        kept = kept[~nulls[left.within.parents[kept]]]
    return Listing(left.space, left.within, left.element, kept, nulls)


def _either(one: Bools | None, other: Bools | None) -> Bools | None:
    if one is None or other is None:
        return other if one is None else one
    return one | other


def distinct(lists: Listing) -> Listing:
    """Keep the first of equal elements; nulls are equal here."""
    rows, owners = lists.rows(), lists.owners()
    (codes,) = codes_of([_plain(lists.element).column.take(pa.array(rows))])
    order = ordered(owners, codes)
    firsts = np.sort(order[run_starts(owners[order], codes[order])])
    return Listing(lists.space, lists.within, lists.element, rows[firsts], lists.is_null)


def head(lists: Listing) -> Value:
    """Give the first element, null of none."""
    rows, owners = lists.rows(), lists.owners()
    first = np.full(lists.space.count, -1)
    starts = run_starts(owners)
    first[owners[starts]] = rows[starts]
    return moved(lists.element, lists.space, first)


def best(lists: Listing, value: Value, count: int, *, is_largest: bool) -> Listing:
    """Keep the elements with the largest or smallest values, best first; nulls come last."""
    rows, owners = lists.rows(), lists.owners()
    column = plain_from(_plain(value), lists.within).take(pa.array(rows))
    ranks = ranked(column)
    order = ordered(owners, ranks == 0, -ranks if is_largest else ranks)
    starts = run_starts(owners[order])
    place = np.arange(len(order)) - starts[run_numbers(starts, len(order))]
    kept = rows[order[place < count]]
    return Listing(lists.space, lists.within, lists.element, kept, lists.is_null)


def grouped(lists: Listing, value: Value) -> Listing:
    """Give lists of the elements that agree in a value, in order of first appearance."""
    rows, owners = lists.rows(), lists.owners()
    (codes,) = codes_of([plain_from(_plain(value), lists.within).take(pa.array(rows))])
    order = ordered(owners, codes)
    starts = run_starts(owners[order], codes[order])
    first = np.empty(len(rows), np.int64)  # of each element, the first of its group
    first[order] = np.repeat(order[starts], np.diff(starts, append=len(order)))
    order = ordered(first)
    starts = run_starts(first[order])
    groups = Space(len(starts), lists.space, owners[order[starts]])
    within = Space(len(order), groups, run_numbers(starts, len(order)))
    inner = Listing(groups, within, moved(lists.element, within, rows[order]))
    return Listing(lists.space, groups, inner, is_null=lists.is_null)


def from_elements(space: Space, elements: list[Plain]) -> Listing:
    """Make of several values of a row a list."""
    if not elements:
        nothing = Space(0, space, np.empty(0, np.int64))
        return Listing(space, nothing, Plain(nothing, pa.nulls(0)))
    columns = alike([plain_from(element, space) for element in elements])
    typed = [column.type for column in columns if not pt.is_null(column.type)]
    whole = pa.concat_arrays([column.cast(typed[0]) if typed else column for column in columns])
    size = len(elements)
    order = np.arange(space.count * size).reshape(size, space.count).T.ravel()
    within = Space(len(order), space, np.repeat(np.arange(space.count), size))
    return Listing(space, within, Plain(within, whole.take(pa.array(order))))


def joined(one: Listing, other: Listing, is_one: Bools, is_other: Bools) -> Listing:
    """Choose between two lists of plain values for each row; neither is null."""
    parents = np.concatenate((one.within.parents, other.within.parents))
    ours, theirs = alike((_plain(one.element).column, _plain(other.element).column))
    order = ordered(parents)
    within = Space(len(order), one.space, parents[order])
    element = Plain(within, pa.concat_arrays([ours, theirs]).take(pa.array(order)))
    none = np.zeros(one.space.count, np.bool_)
    nulls = np.where(
        is_one,
        none if one.is_null is None else one.is_null,
        none if other.is_null is None else other.is_null,
    )
    return Listing(one.space, within, element, is_null=nulls | ~(is_one | is_other))


def got(maps: Mapping, key: Plain) -> Value:
    """Give the item of a key, null where it is absent."""
    space = innermost((maps.space, key.space))
    if space is not maps.space:
        spread = moved(maps, space, space.rows_in(maps.space))
        assert isinstance(spread, Mapping)
        maps = spread
    if pt.is_null(key.column.type):
        hits = np.empty(0, np.int64)
    else:
        keys, sought = spelt(maps.keys.column), plain_from(key, maps.within)
        keys, sought = alike((keys, sought))
        hits = pc.indices_nonzero(pc.equal(keys, sought)).to_numpy().astype(np.int64)
    at = np.full(space.count, -1)
    at[maps.within.parents[hits]] = hits
    return moved(maps.item, space, at)


def keys_of(maps: Mapping) -> Listing:
    """List the keys in ascending order."""
    return Listing(maps.space, maps.within, maps.keys, _by_key(maps), maps.is_null)


def items_of(maps: Mapping) -> Listing:
    """List the items in the order of their keys."""
    return Listing(maps.space, maps.within, maps.item, _by_key(maps), maps.is_null)


def _by_key(maps: Mapping) -> Ints:
    return ordered(maps.within.parents, text_ranks(spelt(maps.keys.column)))


def counted(lists: Listing) -> Plain:
    """Count elements: 0 where there is no list."""
    return Plain(lists.space, pa.array(np.bincount(lists.owners(), minlength=lists.space.count)))


def aggregated(quantity: Quantity, lists: Listing, value: Value) -> Plain:
    """Give sum, average, least or largest of the values that are not null; null if all are."""
    plain = _plain(value)
    column = plain_from(plain, lists.within)
    if pt.is_null(column.type):
        return Plain(lists.space, pa.nulls(lists.space.count, pa.float64()))
    rows, owners = lists.rows(), lists.owners()
    if column.null_count or lists.kept is not None:
        if column.null_count:
            known = unpacked(column.is_valid())[rows]
            rows, owners = rows[known], owners[known]
        column = column.take(pa.array(rows))
    starts = run_starts(owners)
    reduced = _REDUCE[quantity](column, starts) if len(starts) else pa.nulls(0, column.type)
    at = np.full(lists.space.count, -1)
    at[owners[starts]] = np.arange(len(starts))
    return Plain(lists.space, reduced.take(pa.array(at, mask=at < 0)))


def _sum(column: Column, starts: Ints) -> Column:
    if pt.is_integer(column.type):
        sums, fits, _ = exact_sums(column.cast(pa.int64()).to_numpy(), starts)
        return pa.array(sums, mask=~fits)
    return _finite(np.add.reduceat(doubles(column), starts))


def _average(column: Column, starts: Ints) -> Column:
    counts = np.diff(starts, append=len(column))
    if pt.is_integer(column.type):
        return pa.array(exact_sums(column.cast(pa.int64()).to_numpy(), starts)[2] / counts)
    return _finite(np.add.reduceat(doubles(column), starts) / counts)


def _finite(numbers: np.typing.NDArray[np.float64]) -> Column:
    return pa.array(numbers, mask=~np.isfinite(numbers))


def _extreme(pick: np.ufunc) -> Callable[[Column, Ints], Column]:
    def of(column: Column, starts: Ints) -> Column:
        if pt.is_integer(column.type) or pt.is_floating(column.type):
            return pa.array(pick.reduceat(column.to_numpy(), starts))
        if pt.is_temporal(column.type):
            width = pa.int32() if column.type.bit_width == pa.int32().bit_width else pa.int64()
            return pa.array(pick.reduceat(column.view(width).to_numpy(), starts)).view(column.type)
        ranks = ranked(column)
        at = np.empty(int(ranks.max()) + 1, np.int64)
        at[ranks] = np.arange(len(ranks))
        return column.take(pa.array(at[pick.reduceat(ranks, starts)]))

    return of


_REDUCE: dict[Quantity, Callable[[Column, Ints], Column]] = {
    Quantity.SUM: _sum,
    Quantity.AVERAGE: _average,
    Quantity.MIN: _extreme(np.minimum),
    Quantity.MAX: _extreme(np.maximum),
}


def ranked(column: Column) -> Ints:
    """Number values in their order from 1, equal ones alike; nulls 0."""
    if pt.is_null(column.type):
        return np.zeros(len(column), np.int64)
    if pt.is_dictionary(column.type):
        ranks = text_ranks(column.dictionary)
        codes = column.indices.fill_null(0).to_numpy() if len(ranks) else np.zeros(len(column), int)
        found = ranks[codes] if len(ranks) else codes
        return np.where(unpacked(column.is_valid()), found, 0)
    if pt.is_boolean(column.type):
        column = column.cast(pa.int8())
    return text_ranks(column)


def _plain(value: Value) -> Plain:
    if not isinstance(value, Plain):
        raise TypeError("objects, lists and maps have no order and do not add up")
    return value
