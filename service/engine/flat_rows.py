"""Builds the rows of a table: leaves that were merged, identities of profiles, their numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.engine.arrow_types import Column
from service.engine.kernel import ordered_with_text
from service.engine.maps import spelt
from service.engine.members import Members, Owned
from service.engine.numbers import open_numbers
from service.engine.orders.tables import Source, Table, TableColumn
from service.engine.plan import Plan
from service.engine.ranking import (
    Bools,
    Ints,
    Keys,
    equal,
    grouped,
    ordered,
    run_offsets,
    run_starts,
)
from service.engine.snapshot import Snapshot
from service.storage.files import Files

_NAMESPACE = pa.dictionary(pa.int32(), pa.string())


class FlatRows:
    """Builds rows of one table, slice by slice, for one thread."""

    def __init__(self, table: Table, snapshot: Snapshot, plan: Plan, files: Files) -> None:
        self._table = table
        self._snapshot = snapshot
        self._depth = plan.depth
        self._numbers = None if plan.numbers is None else open_numbers(plan.numbers, files)

    def rows(
        self, prefix: int, members: Members, leaves: Mapping[str, Column], mentions: Owned
    ) -> pa.Table:
        """Give one row for each member, but for those without a value where one is asked for.

        ``leaves`` are by dotted path, parallel to the members; ``mentions`` are the rows of
        identities files under the prefix.
        """
        named = _Named(mentions, members, self._snapshot)
        columns = {
            column.key: self._column(column, prefix, members, leaves, named)
            for column in self._table.columns
        }
        rows = pa.table(columns)
        if self._table.having is None:
            return rows
        return rows.filter(_has_value(leaves[".".join(self._table.having)]))

    def _column(
        self,
        column: TableColumn,
        prefix: int,
        members: Members,
        leaves: Mapping[str, Column],
        named: _Named,
    ) -> Column:
        match column.source:
            case Source.GIO_ID:
                if self._numbers is None:
                    raise ValueError("the plan has no numbers of profiles")
                return pa.array(self._numbers.of(members.profiles, prefix, self._depth))
            case Source.LEAF:
                return leaves[".".join(column.path)]
            case Source.LAST_IDENTITY:
                return named.last(column.namespace or "")
            case Source.ALL_IDENTITIES:
                return named.all(column.namespace or "")


class _Named:
    """The identities of some profiles, as rows name them."""

    def __init__(self, mentions: Owned, members: Members, snapshot: Snapshot) -> None:
        number = members.number(mentions.profile)
        self._count = len(members)
        named = Owned(rows=mentions.rows, profile=number).kept(number >= 0)
        self._rows, self._profile, self._snapshot = named.rows, named.profile, snapshot
        self._places: dict[str, Ints] = {}

    def last(self, namespace: str) -> Column:
        """Give of each profile the identity of a namespace that was named last, null without one.

        That is the one in the batch that was ingested last. Of several in one batch, one that
        rows are about goes before those that rows only name beside it; of those, the first in byte
        order. Neither the order of files nor that of rows in a batch has a say, so every attempt,
        and an export after a compaction, tells the same.
        """
        at = self._of(namespace)
        if not len(at):
            return pa.nulls(self._count, pa.string())
        profile, ingested = self._profile[at], self._snapshot.ingest_number[self._rows.source[at]]
        is_owner = self._is_owner(at)
        order = ordered(profile, ingested, is_owner)
        ends = np.append(run_starts(profile[order])[1:], len(order)) - 1
        best = np.empty(self._count, np.int64)
        best[profile[order[ends]]] = order[ends]
        winner = best[profile]
        stands = (ingested == ingested[winner]) & (is_owner == is_owner[winner])
        at, profile = at[stands], profile[stands]
        values = self._values(at)
        first = ordered_with_text([profile], lambda rows: values.take(pa.array(rows)))
        first = first[run_starts(profile[first])]
        found = np.full(self._count, -1)
        found[profile[first]] = first
        return values.take(pa.array(found, mask=found < 0))

    def all(self, namespace: str) -> Column:
        """Give of each profile all identities of a namespace in byte order, null without one."""
        at = self._of(namespace)
        identity = Keys(
            self._rows.numbers("id_hi", np.uint64)[at], self._rows.numbers("id_lo", np.uint64)[at]
        )
        order = grouped(self._profile[at], identity)
        profile, identity = self._profile[at][order], identity.at(order)
        starts = run_starts(profile, identity.hi, identity.lo)
        at, profile = at[order[starts]], profile[starts]
        values = self._values(at)
        sorting = ordered_with_text([profile], lambda rows: values.take(pa.array(rows)))
        offsets = run_offsets(profile, self._count)
        is_empty = np.append(np.diff(offsets) == 0, False)
        return pa.ListArray.from_arrays(
            pa.array(offsets, pa.int32(), mask=is_empty), values.take(pa.array(sorting))
        )

    def _of(self, namespace: str) -> Ints:
        """Find the rows that name an identity of a namespace, in whatever case."""
        wanted = namespace.lower()
        if wanted not in self._places:
            column = self._rows.stack.column("namespace", _NAMESPACE)
            numbers, codes = spelt(column, {})
            is_wanted = np.array([code.lower() == wanted for code in codes.to_pylist()], np.bool_)
            at = self._rows.at
            mask = is_wanted[numbers[at]] if len(at) else np.empty(0, np.bool_)
            self._places[wanted] = np.flatnonzero(mask)
        return self._places[wanted]

    def _is_owner(self, at: Ints) -> Bools:
        rows = self._rows
        identity = Keys(rows.numbers("id_hi", np.uint64), rows.numbers("id_lo", np.uint64))
        return equal(identity.at(at), rows.key.at(at))

    def _values(self, at: Ints) -> Column:
        return self._rows.stack.values("value", pa.string(), self._rows.at[at])


def _has_value(column: Column) -> Column:
    """Say where there is a value; a list without elements is none."""
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return pc.fill_null(pc.greater(pc.list_value_length(column), 0), False)  # noqa: FBT003
    return column.is_valid()
