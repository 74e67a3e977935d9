"""Finds which identity of each namespace was named last, of the profiles of a look-up.

It is the one that tables of exports have (:mod:`~service.engine.flat_rows`): in the batch that was
ingested last, one that a row is about before one that a row only names beside it, and of those the
first in byte order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from catalog.store_files import StoreFileKind
from service.engine.gathering import Gathered, representatives
from service.engine.labels import keys_of
from service.engine.neighbours import numbers_in_order

#: Ingest number, and whether a row is about the identity: the larger was named later.
_Rank = tuple[int, bool]


def last_identities(gathered: Gathered) -> Mapping[int, dict[str, str]]:
    """Give the values by lower-case namespace, of each profile by its representative."""
    stands_for = representatives(gathered.components)
    best: dict[int, dict[str, tuple[_Rank, str]]] = defaultdict(dict)
    for held in gathered.of_kind(StoreFileKind.IDENTITIES):
        if "value" not in held.rows.schema.names:
            continue
        named = zip(
            held.owners,
            numbers_in_order(keys_of(held.rows, "id_hi", "id_lo")),
            held.rows.column("namespace").to_pylist(),
            held.rows.column("value").to_pylist(),
            held.ingest_number.tolist(),
            strict=True,
        )
        for owner, identity, namespace, value, number in named:
            found, rank = best[stands_for[owner]], (number, owner == identity)
            if namespace not in found or _goes_before((rank, value), found[namespace]):
                found[namespace] = rank, value
    return {
        profile: {namespace: value for namespace, (_, value) in found.items()}
        for profile, found in best.items()
    }


def _goes_before(one: tuple[_Rank, str], other: tuple[_Rank, str]) -> bool:
    (rank, value), (other_rank, other_value) = one, other
    return rank > other_rank or (rank == other_rank and value.encode() < other_value.encode())
