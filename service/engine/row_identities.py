"""Finds out whom rows are about: their identities, and of each row the primary one.

Identities come from the fields that descriptors name and from ``identityMap``. They are kept as
flat columns with the position of their row, ascending, so that all is decided by whole columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from catalog.identities import (
    IDENTITY_VALUE_LENGTH,
    NAMESPACE_CODE_LENGTH,
    AuthenticatedState,
)
from catalog.schemas import IDENTITY_MAP, Kind
from service.engine.arrow_types import Column
from service.engine.identity_keys import Keys, keys
from service.engine.nesting import Marks, Misfit, Positions, opened, opened_map, whole
from service.engine.orders import Identity, IdentityRules
from service.engine.plain_values import plain
from service.engine.rows import TOO_MANY_NAMESPACES, FileRefused

States = npt.NDArray[np.int8]

#: The namespace whose values have a form, in lower case.
ECID = "ecid"
ANYTHING_GOES = IdentityRules()

#: From weakest to strongest; no state or an unknown one is the weakest.
STATES = {state.value: number for number, state in enumerate(AuthenticatedState)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """Whom rows are about: one primary identity each, and all that they name."""

    #: Key of each row's primary identity.
    primary_hi: Keys
    primary_lo: Keys
    #: Of each identity the position of its row, ascending.
    rows: Positions
    #: Of each identity the key, the number of its namespace in ``codes``, value and state.
    hi: Keys
    lo: Keys
    namespaces: Positions
    values: Column
    states: States
    #: Namespaces as first spelled, in order of first sight, distinct without regard to case.
    codes: tuple[str, ...]
    #: Rows with an ECID that is none; they are to be left out of the profile store.
    skipped: Positions


class _Named(NamedTuple):
    """Identities from one source, or from all of them in the order of the rows."""

    rows: Positions
    #: Numbers into a list of codes as spelled.
    spellings: Positions
    values: Column
    states: States
    #: Given as primary by a descriptor, or by a flag in the row's map.
    is_described: Marks
    is_flagged: Marks


class Brought:
    """Namespaces that rows name and nobody has registered."""

    def __init__(self, rules: IdentityRules) -> None:
        self._known = frozenset(code.lower() for code in rules.codes.values())
        self._most = rules.most_brought
        self._found: set[str] = set()

    def add(self, codes: Iterable[str]) -> None:
        """Take more of them; raises FileRefused when there are more than there may be."""
        if self._most is None:
            return
        self._found.update(code.lower() for code in codes)
        self._found -= self._known
        if len(self._found) > self._most:
            raise FileRefused(
                f"identityMap: rows name more than {self._most:,} namespaces that nobody has"
                " registered; register those that are meant",
                code=TOO_MANY_NAMESPACES,
            )


def identify(
    table: pa.Table,
    descriptors: Sequence[Identity],
    secret: bytes,
    rules: IdentityRules = ANYTHING_GOES,
) -> tuple[Identified | None, list[Misfit]]:
    """Find the identities of rows; misfits are rows whose primary one cannot be told.

    The primary identity is the one in a primary descriptor's field; else the one that
    ``identityMap`` flags as primary; else the only one there is. Identities are None when there
    are misfits. Raises FileRefused when these rows alone bring more namespaces than a batch may.
    """
    spelt: list[str] = []
    parts = [_of_field(table, descriptor, spelt) for descriptor in descriptors]
    if IDENTITY_MAP.name in table.column_names:
        parts.append(_of_map(whole(table.column(IDENTITY_MAP.name)), spelt, rules.codes))
    named = _in_row_order(parts)
    too_long = _marks(pc.greater(pc.utf8_length(named.values), IDENTITY_VALUE_LENGTH))
    message = f"an identity of more than {IDENTITY_VALUE_LENGTH:,} characters"
    misfits = [Misfit(named.rows[too_long], message)] if too_long.any() else []
    misfits += _crowded(named, rules.most_per_row)
    misfits += _nowhere(named, spelt)
    namespaces, codes = _distinct_codes(named.spellings, spelt)
    Brought(rules).add(codes)  # before the keys, which take time for each of them
    hi, lo = _keys(namespaces, codes, named.values, secret)
    primary, without_primary = _primary(named, hi, lo, table.num_rows)
    misfits += without_primary
    if misfits:
        return None, misfits
    identified = Identified(
        primary_hi=hi[primary],
        primary_lo=lo[primary],
        rows=named.rows,
        hi=hi,
        lo=lo,
        namespaces=namespaces,
        values=named.values,
        states=named.states,
        codes=codes,
        skipped=_without_form(named, namespaces, codes, rules.ecid_digits),
    )
    return identified, []


def _crowded(named: _Named, most: int) -> list[Misfit]:
    counts = np.bincount(named.rows) if most else named.rows[:0]
    rows = np.flatnonzero(counts > most)
    return [Misfit(rows, f"more than {most} identities in one row")] if len(rows) else []


def _nowhere(named: _Named, spelt: Sequence[str]) -> list[Misfit]:
    """Refuse rows with an identity in what can be no namespace: those not known are registered."""
    numbers = [
        number
        for number, code in enumerate(spelt)
        if len(code) > NAMESPACE_CODE_LENGTH or "\0" in code
    ]
    if not numbers:
        return []
    message = (
        f"identityMap: a namespace of more than {NAMESPACE_CODE_LENGTH} characters, or with"
        " the character U+0000"
    )
    return [Misfit(np.unique(named.rows[np.isin(named.spellings, numbers)]), message)]


def _without_form(
    named: _Named, namespaces: Positions, codes: Sequence[str], digits: int
) -> Positions:
    """Give the rows with an ECID that has not as many digits as it must, and nothing else."""
    if not digits or ECID not in (lower := [code.lower() for code in codes]):
        return named.rows[:0]
    chosen = namespaces == lower.index(ECID)
    is_one = pc.match_substring_regex(named.values.filter(pa.array(chosen)), f"^[0-9]{{{digits}}}$")
    return np.unique(named.rows[chosen][~_marks(is_one)])


def _of_field(table: pa.Table, descriptor: Identity, spelt: list[str]) -> _Named:
    """Give the identities in the field that a descriptor names; blank ones are absent."""
    column = whole(table.column(descriptor.path[0]))
    for name in descriptor.path[1:]:
        column = pc.struct_field(column, name)
    texts = plain(column, Kind.STRING)
    if texts is None:
        texts = column.cast(pa.string())
    written = _marks(pc.not_equal(pc.utf8_trim_whitespace(texts), ""))
    rows = np.flatnonzero(written)
    spelt.append(descriptor.namespace)
    return _Named(
        rows=rows,
        spellings=np.full(len(rows), len(spelt) - 1),
        values=texts.filter(pa.array(written)),
        states=np.zeros(len(rows), np.int8),
        is_described=np.full(len(rows), descriptor.is_primary),
        is_flagged=np.zeros(len(rows), bool),
    )


def _of_map(column: Column, spelt: list[str], by_number: Mapping[str, str]) -> _Named:
    """Give the identities of identity maps, which are tidy: nothing in them is null or blank."""
    maps = opened_map(column)
    codes, values = maps.children.flatten()
    lists = opened(values)
    ids, states, primary = lists.children.flatten()
    spellings: Any = pc.dictionary_encode(codes)
    first = len(spelt)
    spelt += [by_number.get(code, code) for code in spellings.dictionary.to_pylist()]
    return _Named(
        rows=maps.parents[lists.parents],
        spellings=spellings.indices.to_numpy().astype(np.int64)[lists.parents] + first,
        values=ids,
        states=_strengths(states),
        is_described=np.zeros(len(ids), bool),
        is_flagged=_marks(primary),
    )


def _strengths(states: Column) -> States:
    distinct: Any = pc.dictionary_encode(states.fill_null(""))
    by_number = [STATES.get(state, 0) for state in distinct.dictionary.to_pylist()]
    return cast("States", np.array(by_number, np.int8)[distinct.indices.to_numpy()])


def _in_row_order(parts: Iterable[_Named]) -> _Named:
    """Bring all identities into the order of their rows; those of fields before those of maps."""
    parts = [_NOBODY, *parts]
    rows = np.concatenate([part.rows for part in parts])
    order = np.argsort(rows, kind="stable")
    return _Named(
        rows=rows[order],
        spellings=np.concatenate([part.spellings for part in parts])[order],
        values=pa.concat_arrays([part.values for part in parts]).take(pa.array(order)),
        states=np.concatenate([part.states for part in parts])[order],
        is_described=np.concatenate([part.is_described for part in parts])[order],
        is_flagged=np.concatenate([part.is_flagged for part in parts])[order],
    )


_NOBODY = _Named(
    rows=np.empty(0, np.int64),
    spellings=np.empty(0, np.int64),
    values=pa.array([], pa.string()),
    states=np.empty(0, np.int8),
    is_described=np.empty(0, bool),
    is_flagged=np.empty(0, bool),
)


def _distinct_codes(
    spellings: Positions, spelt: Sequence[str]
) -> tuple[Positions, tuple[str, ...]]:
    """Number the namespaces that occur without regard to case, in order of first sight."""
    seen, firsts = np.unique(spellings, return_index=True)
    places: dict[str, int] = {}
    codes: list[str] = []
    numbers = np.zeros(len(spelt), np.int64)
    for spelling in seen[np.argsort(firsts)].tolist():
        lower = spelt[spelling].lower()
        if lower not in places:
            places[lower] = len(codes)
            codes.append(spelt[spelling])
        numbers[spelling] = places[lower]
    return numbers[spellings], tuple(codes)


def _keys(
    namespaces: Positions, codes: Sequence[str], values: Column, secret: bytes
) -> tuple[Keys, Keys]:
    hi = np.empty(len(namespaces), np.uint64)
    lo = np.empty(len(namespaces), np.uint64)
    for number, code in enumerate(codes):
        chosen = namespaces == number
        hi[chosen], lo[chosen] = keys(code.lower(), values.filter(pa.array(chosen)), secret)
    return hi, lo


def _primary(named: _Named, hi: Keys, lo: Keys, row_count: int) -> tuple[Positions, list[Misfit]]:
    """Choose each row's primary identity, by position; misfits are rows without one."""
    every = np.ones(len(hi), bool)
    primary = np.full(row_count, -1)
    has_any = np.zeros(row_count, bool)
    rows, firsts, are_one = _first_of_each(named.rows, hi, lo, every)
    has_any[rows] = True
    primary[rows] = np.where(are_one, firsts, -1)

    is_torn = np.zeros(row_count, bool)
    rows, firsts, are_one = _first_of_each(named.rows, hi, lo, named.is_flagged)
    primary[rows] = firsts
    is_torn[rows] = ~are_one

    rows, firsts, _ = _first_of_each(named.rows, hi, lo, named.is_described)
    primary[rows] = firsts
    is_torn[rows] = False

    problems = {
        "no primary identity: the row names none": ~has_any,
        "no primary identity: the row names several and marks none": (primary < 0) & has_any,
        "no primary identity: identityMap marks several": is_torn,
    }
    return primary, [
        Misfit(np.flatnonzero(marks), message) for message, marks in problems.items() if marks.any()
    ]


def _first_of_each(
    rows: Positions, hi: Keys, lo: Keys, chosen: Marks
) -> tuple[Positions, Positions, Marks]:
    """Give the rows with a chosen identity, its first position, and whether all chosen are one."""
    at = np.flatnonzero(chosen)
    if not len(at):
        return at, at, chosen[:0]
    starts = np.flatnonzero(np.diff(rows[at], prepend=-1))
    hi, lo = hi[at], lo[at]
    are_one = np.ones(len(starts), bool)
    for half in (hi, lo):
        are_one &= np.minimum.reduceat(half, starts) == np.maximum.reduceat(half, starts)
    return rows[at[starts]], at[starts], are_one


def _marks(column: Column) -> Marks:
    marks = pc.fill_null(column, False)  # noqa: FBT003
    return cast("Marks", marks.to_numpy(zero_copy_only=False))
