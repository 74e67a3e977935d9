"""Which rows of one data set nobody will miss: later ones that cannot be taken back say it all.

A row is dropped only for the sake of rows whose batch is *settled*, which is to say that it can no
longer be taken back without the store files being made anew. Whatever is decided here must hold
under every merge policy, so only rows of one identity are compared: identities are one profile
under some policies and several under others, rows of one identity are never parted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.schemas import SEGMENT_MEMBERSHIP
from catalog.store_files import StoreFileKind
from service.engine.columns import validity
from service.engine.nesting import whole
from service.engine.projection import EVENT_ID
from service.engine.ranking import Bools, Ints, Uint64s, ordered, repeated, run_numbers, run_starts
from service.engine.store_files import KEY_HI, KEY_LO, MARK, SEQ, SOURCE

_OWN = frozenset({KEY_HI, KEY_LO, SOURCE, SEQ, MARK})
#: How sure it is that somebody is who an identity says: three grades, see ``identities.state``.
_GRADES = range(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """What is known of the batches whose rows are looked at, by their number in the file."""

    is_settled: Bools
    #: Their records patch others instead of replacing them.
    is_patch: Bools

    def all_settled(self) -> Batches:
        """The same batches when they will be old enough."""
        return Batches(is_settled=np.ones_like(self.is_settled), is_patch=self.is_patch)


@dataclass(slots=True)
class Superseded:
    """Rows that may go, and the batches for whose sake."""

    #: Per row.
    is_dropped: Bools
    #: By batch: rows of others go for its sake, so that without it they would be missed.
    is_relied_on: Bools

    def kept(self) -> Ints:
        """The places of the rows that stay."""
        return np.flatnonzero(~self.is_dropped)

    def drop(self, rows: Ints, for_sake_of: Ints) -> None:
        """Let rows go, each for the sake of a batch; of its own it is no loss."""
        self.is_dropped[rows] = True
        self.is_relied_on[for_sake_of] = True


def superseded(kind: StoreFileKind, rows: pa.Table, batches: Batches) -> Superseded:
    """Say which rows may go. Rows are sorted as a compacted file has them, with :data:`SOURCE`."""
    found = Superseded(
        is_dropped=np.zeros(rows.num_rows, np.bool_),
        is_relied_on=np.zeros_like(batches.is_settled),
    )
    if not rows.num_rows:
        return found
    match kind:
        case StoreFileKind.RECORDS:
            _replaced_records(rows, batches, found)
            if batches.is_patch.any():
                _overwritten_patches(rows, batches, found)
        case StoreFileKind.EVENTS:
            _repeated_events(rows, batches, found)
        case StoreFileKind.IDENTITIES:
            _repeated_identities(rows, batches, found)
        case StoreFileKind.LINKS | StoreFileKind.MEMBERSHIPS:
            pass  # a link outlives whatever made it
    return found


def _replaced_records(rows: pa.Table, batches: Batches, found: Superseded) -> None:
    """Drop records that a settled one replaces whole."""
    source = _source(rows)
    runs = _Runs(_numbers(rows, KEY_HI), _numbers(rows, KEY_LO))
    last = runs.last((batches.is_settled & ~batches.is_patch)[source])
    dropped = np.flatnonzero(np.arange(len(source)) < last)
    found.drop(dropped, source[last[dropped]])


def _overwritten_patches(rows: pa.Table, batches: Batches, found: Superseded) -> None:
    """Drop patches of whose values none is the last: settled ones that came later have others.

    The last settled patch of an identity stays, whatever it has: it says how new all of them are.
    """
    source, at = _source(rows), np.arange(rows.num_rows)
    runs = _Runs(_numbers(rows, KEY_HI), _numbers(rows, KEY_LO))
    is_settled = batches.is_settled[source]
    newest = runs.last(is_settled)
    goes = batches.is_patch[source] & (at < newest) & ~found.is_dropped
    if not goes.any():
        return
    lasts: list[tuple[Bools, Ints]] = []
    for name, is_valid in _leaves(rows):
        if name == SEGMENT_MEMBERSHIP.name:  # merged entry by entry: an older one may have the say
            goes &= ~is_valid
            continue
        last = runs.last(is_settled & is_valid)
        goes &= ~is_valid | (at < last)
        lasts.append((is_valid, last))
    found.drop(np.flatnonzero(goes), source[newest[goes]])
    for is_valid, last in lasts:
        found.is_relied_on[source[last[goes & is_valid]]] = True


def _leaves(rows: pa.Table) -> Iterator[tuple[str, Bools]]:
    for name in rows.column_names:
        if name not in _OWN:
            is_valid = validity(rows.column(name))
            yield name, np.ones(rows.num_rows, np.bool_) if is_valid is None else is_valid


def _repeated_events(rows: pa.Table, batches: Batches, found: Superseded) -> None:
    """Drop events of which a settled batch, or their own, has a later one with the same id."""
    if EVENT_ID.name not in rows.column_names:
        return
    hi, lo = _numbers(rows, KEY_HI), _numbers(rows, KEY_LO)
    key = run_numbers(run_starts(hi, lo), len(hi))
    marks = cast("Uint64s", whole(rows.column(MARK)).fill_null(0).to_numpy())
    suspects = np.sort(repeated(key, marks))
    ids = whole(rows.column(EVENT_ID.name)).take(pa.array(suspects))
    codes = pc.dictionary_encode(ids).indices.fill_null(-1).to_numpy().astype(np.int64)
    suspects, codes = suspects[codes >= 0], codes[codes >= 0]
    if not len(suspects):
        return
    seq = np.asarray(rows.column(SEQ).to_numpy(), np.int64)
    source = _source(rows)
    order = ordered(key[suspects], codes, source[suspects], seq[suspects])
    places, source = suspects[order], source[suspects][order]
    runs = _Runs(key[places], codes[order])
    last = runs.last(batches.is_settled[source])
    is_older = np.arange(len(places)) < last
    found.drop(places[is_older], source[last[is_older]])
    again = np.append(source[1:] == source[:-1], False)
    again[runs.ends] = False
    found.is_dropped[places[again]] = True


def _repeated_identities(rows: pa.Table, batches: Batches, found: Superseded) -> None:
    """Drop mentions of an identity that a settled batch repeats later, at least as surely."""
    source, at = _source(rows), np.arange(rows.num_rows)
    runs = _Runs(*(_numbers(rows, name) for name in (KEY_HI, KEY_LO, "id_hi", "id_lo")))
    state = np.asarray(rows.column("state").to_numpy(), np.int64)
    is_settled = batches.is_settled[source]
    for grade in _GRADES:
        last = runs.last(is_settled & (state >= grade))
        dropped = np.flatnonzero((state == grade) & (at < last))
        found.drop(dropped, source[last[dropped]])


class _Runs:
    """Runs of rows that agree in some columns, by which they are sorted."""

    def __init__(self, *columns: np.ndarray[tuple[int], np.dtype[np.generic]]) -> None:
        self._row_count = len(columns[0])
        self._starts = run_starts(*columns)
        #: Where each run ends: its last row.
        self.ends = np.append(self._starts[1:], self._row_count) - 1

    def last(self, is_meant: Bools) -> Ints:
        """Give each row the place of the last one of its run that is meant, -1 when none is."""
        places = np.where(is_meant, np.arange(self._row_count), -1)
        last = np.maximum.reduceat(places, self._starts)
        repeats = np.diff(self._starts, append=self._row_count)
        return cast("Ints", np.repeat(last, repeats))


def _source(rows: pa.Table) -> Ints:
    return np.asarray(rows.column(SOURCE).to_numpy(), np.int64)


def _numbers(rows: pa.Table, name: str) -> Uint64s:
    return cast("Uint64s", rows.column(name).to_numpy())
