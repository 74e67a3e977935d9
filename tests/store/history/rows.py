"""Rows that are no more than the name of an item, and what some of them say together."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from catalog.store_files import StoreFileKind

#: What records may have values of.
LEAVES = "xy"

#: Data set, kind and item of which something is said; of a record also the leaf, "" for all of it.
Place = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file, with the number that its batch has there."""

    number: int
    batch_id: str
    kind: StoreFileKind
    item: str
    #: Of a record: those that it has a value of.
    leaves: str = ""


def say(said: dict[Place, str], dataset_id: str, row: Row, *, is_patch: bool) -> None:
    """Let a row say what it has, after all earlier ones: who said it last is kept by place."""
    if not is_patch:
        for leaf in LEAVES:
            said.pop((dataset_id, row.kind, row.item, leaf), None)
    for leaf in ("", *row.leaves):
        said[dataset_id, row.kind, row.item, leaf] = row.batch_id


def superseded(
    rows: Collection[Row], settled: Collection[int], patches: Collection[int]
) -> dict[Row, set[int]]:
    """Which rows of one file the engine may drop, each with the batches for whose sake it goes."""
    found = {row: _causes(row, rows, settled, patches) for row in rows}
    return {row: causes for row, causes in found.items() if causes}


def _causes(
    row: Row, rows: Iterable[Row], settled: Collection[int], patches: Collection[int]
) -> set[int]:
    """For whose sake a row may go; links never do."""
    later = [
        other
        for other in rows
        if other.item == row.item and other.number > row.number and other.number in settled
    ]
    if row.kind is StoreFileKind.LINKS or not later:
        return set()
    numbers = [other.number for other in later]
    whole = [number for number in numbers if number not in patches]
    if whole or row.kind is not StoreFileKind.RECORDS:
        return {max(whole or numbers)}
    if row.number not in patches:
        return set()
    by_leaf = [[other.number for other in later if leaf in other.leaves] for leaf in row.leaves]
    return {max(numbers), *map(max, by_leaf)} if all(by_leaf) else set()
