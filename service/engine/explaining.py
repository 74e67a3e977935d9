"""Says of each leaf of a profile which row won it, and why.

The merge itself is asked: in a small store every value is replaced by the name of the row it
lies in, and the names that the merge then chooses are the winners.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.merge_policies import AttributeMerge
from catalog.schemas import IDENTITY_MAP, Field, Kind
from catalog.store_files import StoreFileKind
from service.engine.columns import validity
from service.engine.gathering import PLAN, Changing, Gathered, Held, representatives
from service.engine.labels import keys_of
from service.engine.lookup_orders import Explained, Linked, Source
from service.engine.merging import Merge
from service.engine.neighbours import key_text, numbers_in_order
from service.engine.orders import ExportOrder
from service.engine.projection import Projection
from service.engine.tallies import Tally

#: These are made of all rows, entry by entry: no one row wins them.
_UNITED = frozenset({Kind.IDENTITY_MAP, Kind.SEGMENT_MEMBERSHIP})


class Names:
    """What keys and files of gathered rows are called."""

    def __init__(self, gathered: Gathered) -> None:
        self._identities: dict[int, tuple[str, str]] = {}
        for held in gathered.of_kind(StoreFileKind.IDENTITIES):
            rows = held.rows
            if "value" not in rows.schema.names:
                continue
            named = zip(
                numbers_in_order(keys_of(rows, "id_hi", "id_lo")),
                rows.column("namespace").to_pylist(),
                rows.column("value").to_pylist(),
                strict=True,
            )
            for key, namespace, value in named:
                self._identities.setdefault(key, (namespace, value))

    def of(self, key: int) -> Linked:
        namespace, value = self._identities.get(key, (None, None))
        return Linked(key=key_text(key), namespace=namespace, value=value)


@dataclass(frozen=True, slots=True, order=True)
class _Say:
    """One row that has a value for a leaf."""

    ingest_number: int
    row: int
    dataset_id: str
    owner: int

    @property
    def name(self) -> str:
        return f"{self.ingest_number} {self.row}"


def explain(gathered: Gathered, names: Names) -> dict[int, tuple[Explained, ...]]:
    """Explain the leaves of each gathered profile that has a record, by its representative."""
    stands_for = representatives(gathered.components)
    says: dict[tuple[int, str], list[_Say]] = defaultdict(list)
    leaves = _leaves(gathered.order)
    for held in gathered.of_kind(StoreFileKind.RECORDS):
        for path, say in _says(held, leaves.keys()):
            says[stands_for[say.owner], path].append(say)
    winners = _winners(gathered)
    explained: dict[int, list[Explained]] = defaultdict(list)
    for (profile, path), candidates in says.items():
        winner = winners.get(profile, {}).get(path)
        if winner is None:
            continue
        source = next(say for say in candidates if say.name == winner)
        explained[profile].append(
            Explained(
                path=leaves[path],
                rule=_rule(gathered.order, source, candidates),
                source=Source(
                    dataset_id=source.dataset_id,
                    ingest_number=source.ingest_number,
                    row=source.row,
                    identity=names.of(source.owner),
                ),
                beaten_count=len(candidates) - 1,
            )
        )
    return {
        profile: tuple(sorted(each, key=lambda e: e.path)) for profile, each in explained.items()
    }


def _rule(order: ExportOrder, winner: _Say, candidates: list[_Say]) -> Any:
    if len(candidates) == 1:
        return "onlyValue"
    if order.attribute_merge is AttributeMerge.DATASET_PRECEDENCE and any(
        say.dataset_id != winner.dataset_id for say in candidates
    ):
        return "dataSetPrecedence"
    return "newestFragment"


def _leaves(order: ExportOrder) -> dict[str, tuple[str, ...]]:
    """Give the leaves that rows win, by dotted path."""
    leaves: dict[str, tuple[str, ...]] = {}

    def walk(fields: tuple[Field, ...], above: tuple[str, ...]) -> None:
        for field in fields:
            path = (*above, field.name)
            if field.kind is Kind.OBJECT:
                walk(field.fields, path)
            elif field.kind not in _UNITED:
                leaves[".".join(path)] = path

    walk(Projection.of(order).fields, ())
    return leaves


def _says(held: Held, leaves: AbstractSet[str]) -> Iterator[tuple[str, _Say]]:
    owners, seqs = held.owners, held.seqs
    for path in leaves & set(held.rows.schema.names):
        is_valid = validity(held.rows.column(path))
        at = range(len(seqs)) if is_valid is None else np.flatnonzero(is_valid).tolist()
        for row in at:
            number = int(held.ingest_number[row])
            yield path, _Say(number, seqs[row], held.file.dataset_id, owners[row])


def _winners(gathered: Gathered) -> dict[int, dict[str, str]]:
    """Merge the names of rows instead of their values: per profile, the winner of each leaf."""
    fields = _named(Projection.of(gathered.order).fields)
    if not fields:
        return {}
    small, files = gathered.small_store(
        {StoreFileKind.RECORDS: _naming(_leaves(gathered.order).keys())}
    )
    changes = {
        "profile_fields": tuple(field.to_json() for field in fields),
        "fields": tuple((field.name,) for field in fields),
        "events": None,
        "with_empty_profiles": False,
    }
    merge = Merge(small.model_copy(update=changes), PLAN, files)
    rows = [row for _, table in merge.slice(0, {0: Tally()}) for row in table.to_pylist()]
    stands_for = representatives(gathered.components)
    present = {
        stands_for[owner]
        for held in gathered.of_kind(StoreFileKind.RECORDS)
        for owner in held.owners
    }
    return {profile: dict(_flat(row)) for profile, row in zip(sorted(present), rows, strict=True)}


def _naming(leaves: AbstractSet[str]) -> Changing:
    """Put in place of every leaf's value the name of its row."""

    def named(held: Held) -> pa.Table:
        names = pa.array(
            [f"{n} {seq}" for n, seq in zip(held.ingest_number, held.seqs, strict=True)]
        )
        columns = dict(zip(held.rows.schema.names, held.rows.columns, strict=True))
        for path in leaves & columns.keys():
            column = columns[path]
            columns[path] = pc.if_else(column.is_valid(), names, pa.scalar(None, pa.string()))
        return pa.table(columns)

    return named


def _named(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    """The same tree with names of rows at its leaves."""
    named = []
    for field in fields:
        if field.kind is Kind.OBJECT:
            inner = _named(field.fields)
            named += [Field(field.name, Kind.OBJECT, fields=inner)] if inner else []
        elif field.kind not in _UNITED and field.name != IDENTITY_MAP.name:
            named.append(Field(field.name, Kind.STRING))
    return tuple(named)


def _flat(row: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        elif value is not None:
            yield f"{above}{name}", value
