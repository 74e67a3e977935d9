"""The rows of the profile store: what one row of a data set becomes in its three store files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from catalog.schemas import Field, Kind, leaves
from service.engine.arrow_types import Column, arrow_type, has_column
from service.engine.marks import marks
from service.engine.nesting import Marks, Positions, taken, whole
from service.engine.packed_sort import ordered
from service.engine.row_checks import EVENT_TIME
from service.engine.row_identities import Identified
from service.engine.store_files import KEY_HI, KEY_LO, MARK, SEQ

Numbers = npt.NDArray[np.int64]

EVENT_ID = "_id"

_KEY = [pa.field(KEY_HI, pa.uint64()), pa.field(KEY_LO, pa.uint64())]

#: As stored. While sorting, namespaces are numbers, since dictionaries differ from run to run.
IDENTITIES = pa.schema(
    [
        *_KEY,
        pa.field("id_hi", pa.uint64()),
        pa.field("id_lo", pa.uint64()),
        pa.field("namespace", pa.dictionary(pa.int32(), pa.string())),
        pa.field("value", pa.string()),
        pa.field("state", pa.int8()),
    ]
)
NUMBERED_IDENTITIES = IDENTITIES.set(4, pa.field("namespace", pa.int32()))
LINKS = pa.schema([*_KEY, pa.field("other_hi", pa.uint64()), pa.field("other_lo", pa.uint64())])


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRows:
    """What a run of rows brings to the profile store; namespaces are numbers into ``codes``."""

    fragments: pa.Table
    identities: pa.Table
    links: pa.Table
    codes: tuple[str, ...]


class Shape:
    """How rows of one schema lie in the profile store."""

    def __init__(
        self, fields: tuple[Field, ...], *, is_event: bool, unlinked: Sequence[str]
    ) -> None:
        # What records say of identities is in the identities file, once per profile.
        self._leaves = [
            (path, leaf)
            for path, leaf in leaves(fields)
            if has_column(leaf) and (is_event or leaf.kind is not Kind.IDENTITY_MAP)
        ]
        self._unlinked = frozenset(unlinked)
        columns = [pa.field(".".join(path), arrow_type(leaf)) for path, leaf in self._leaves]
        own = [*_KEY, pa.field(SEQ, pa.int64())]
        if is_event:
            own.append(pa.field(MARK, pa.uint64()))
        #: Of record or event store files.
        self.schema = pa.schema([*own, *columns])

    def store_rows(self, table: pa.Table, numbers: Positions, identified: Identified) -> StoreRows:
        """Take rows apart; ``numbers`` are those they have in their file."""
        return StoreRows(
            fragments=self._fragments(table, numbers, identified),
            identities=_identities(identified),
            links=self._links(identified),
            codes=identified.codes,
        )

    def _fragments(self, table: pa.Table, numbers: Positions, identified: Identified) -> pa.Table:
        columns = [_leaf(table, path) for path, _ in self._leaves]
        own = [pa.array(identified.primary_hi), pa.array(identified.primary_lo), pa.array(numbers)]
        if MARK in self.schema.names:
            own.append(self._marks(table))
        return pa.Table.from_arrays([*own, *columns], schema=self.schema)

    def _marks(self, table: pa.Table) -> Column:
        if EVENT_ID not in self.schema.names:
            return pa.nulls(table.num_rows, pa.uint64())
        return marks(whole(table.column(EVENT_ID)))

    def _links(self, identified: Identified) -> pa.Table:
        """Give for each row the pairs of its smallest linking identity with each other one."""
        linking = np.array([code.lower() not in self._unlinked for code in identified.codes], bool)
        chosen = linking[identified.namespaces]
        rows, hi, lo = identified.rows[chosen], identified.hi[chosen], identified.lo[chosen]
        if not len(rows):
            return LINKS.empty_table()
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        row = np.cumsum(np.diff(rows, prepend=-1) != 0) - 1
        least_hi = np.minimum.reduceat(hi, starts)[row]
        far = np.where(hi == least_hi, lo, np.uint64((1 << 64) - 1))
        least_lo = np.minimum.reduceat(far, starts)[row]
        other = (hi != least_hi) | (lo != least_lo)
        columns = [least_hi[other], least_lo[other], hi[other], lo[other]]
        return pa.Table.from_arrays([pa.array(each) for each in columns], schema=LINKS)


def _identities(identified: Identified) -> pa.Table:
    return pa.Table.from_arrays(
        [
            pa.array(identified.primary_hi[identified.rows]),
            pa.array(identified.primary_lo[identified.rows]),
            pa.array(identified.hi),
            pa.array(identified.lo),
            pa.array(identified.namespaces.astype(np.int32)),
            identified.values,
            pa.array(identified.states),
        ],
        schema=NUMBERED_IDENTITIES,
    )


def _leaf(table: pa.Table, path: tuple[str, ...]) -> Any:
    column: Any = table.column(path[0])
    return pc.struct_field(column, list(path[1:])) if len(path) > 1 else column


def sorted_records(rows: pa.Table) -> pa.Table:
    """Sort records by key and running number; each row of a key is kept."""
    return taken(rows, ordered(_key(rows), [_numbers(rows, SEQ)]))


def latest_records(rows: pa.Table) -> pa.Table:
    """Sort records by key and keep the last of each: a later row replaces the earlier whole."""
    order = ordered(_key(rows), [_numbers(rows, SEQ)])
    hi, lo = (half[order] for half in _key(rows))
    return taken(rows, order[_changes(hi, lo, at_end=True)])


def sorted_events(rows: pa.Table) -> pa.Table:
    """Sort events by key, time and running number."""
    times = rows.column(EVENT_TIME).cast(pa.int64()).to_numpy()
    return taken(rows, ordered(_key(rows), [times], [_numbers(rows, SEQ)]))


def distinct_identities(rows: pa.Table) -> pa.Table:
    """Sort identities by owner and key, one row each, with the strongest state seen."""
    order = ordered(_key(rows), _key(rows, "id"))
    starts = _changes(*(half[order] for half in (*_key(rows), *_key(rows, "id"))))
    if not len(starts):
        return rows
    states = np.maximum.reduceat(_numbers(rows, "state")[order], starts)
    place = rows.schema.get_field_index("state")
    return taken(rows, order[starts]).set_column(place, rows.schema.field(place), pa.array(states))


def distinct_links(rows: pa.Table) -> pa.Table:
    """Sort links, one row each."""
    order = ordered(_key(rows), _key(rows, "other"))
    halves = (half[order] for half in (*_key(rows), *_key(rows, "other")))
    return taken(rows, order[_changes(*halves)])


def _changes(*keys: npt.NDArray[Any], at_end: bool = False) -> Positions:
    """Give where runs of equal keys start, or where they end."""
    if not len(keys[0]):
        return np.empty(0, np.int64)
    differs: Marks = np.zeros(len(keys[0]) - 1, bool)
    for key in keys:
        differs |= key[1:] != key[:-1]
    return np.flatnonzero(np.append(differs, True) if at_end else np.append(True, differs))


def _key(rows: pa.Table, name: str = "_key") -> list[npt.NDArray[Any]]:
    return [_numbers(rows, f"{name}_hi"), _numbers(rows, f"{name}_lo")]


def _numbers(rows: pa.Table, name: str) -> npt.NDArray[Any]:
    return cast("npt.NDArray[Any]", rows.column(name).to_numpy())
