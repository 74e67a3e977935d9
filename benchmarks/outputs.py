"""Tells whether two outputs say the same: profile for profile, in flat memory.

Every profile is reduced to its primary identity and one hash over all its values in a canonical
spelling, in order: fields as they are, identities sorted, events as listed. The two lists of
hashes, sorted by identity, are then compared row by row.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
from scenarios import Request

MEMORY = "3GB"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How two outputs differ, in profiles."""

    equal: int
    different: int
    only_first: int
    only_second: int
    #: A few primary identities that are not equal, to look into.
    examples: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        return self.equal > 0 and not (self.different or self.only_first or self.only_second)


def digest(output: Path, request: Request, target: Path) -> None:
    """Write the hashes of an output's profiles, sorted by primary identity."""
    db = _connect(target.parent)
    source = f"read_parquet('{output}/*.parquet')"
    types = {name: kind for name, kind, *_ in db.execute(f"DESCRIBE FROM {source}").fetchall()}
    values = [_canonical_identities("identities"), *request.fields]
    if request.event_fields:
        values.append(_canonical_events(request))
    entries = (
        "map_entries(identityMap)" if types["identityMap"].startswith("MAP") else "identityMap"
    )
    db.execute(f"""
        COPY (
            SELECT list_filter(identities, lambda i: i.id.primary)[1].id.id AS identity,
                   hash({", ".join(values)}) AS digest
              FROM (SELECT *, flatten(list_transform({entries}, lambda e:
                        list_transform(e.value, lambda i: {{'namespace': e.key, 'id': i}})))
                        AS identities
                      FROM {source})
             ORDER BY identity
        ) TO '{target}' (FORMAT parquet, COMPRESSION zstd)""")


def compare(first: Path, second: Path) -> Comparison:
    """Compare two digests."""
    db = _connect(first.parent)
    joined = f"""
        SELECT a.identity AS a, b.identity AS b, a.digest = b.digest AS same
          FROM read_parquet('{first}') a
          FULL JOIN read_parquet('{second}') b ON a.identity = b.identity"""
    ((equal, different, only_first, only_second),) = db.execute(f"""
        SELECT count(*) FILTER (same), count(*) FILTER (NOT same),
               count(*) FILTER (b IS NULL), count(*) FILTER (a IS NULL)
          FROM ({joined})""").fetchall()
    examples = db.execute(
        f"SELECT coalesce(a, b) FROM ({joined}) WHERE same IS DISTINCT FROM true LIMIT 5"
    ).fetchall()
    return Comparison(
        equal=equal,
        different=different,
        only_first=only_first,
        only_second=only_second,
        examples=tuple(str(identity) for (identity,) in examples),
    )


def _canonical_identities(identities: str) -> str:
    spelt = "concat_ws('/', i.namespace, i.id.id, i.id.authenticatedState, i.id.primary::VARCHAR)"
    return f"list_sort(list_transform({identities}, lambda i: {spelt}))"


def _canonical_events(request: Request) -> str:
    """Events in their order; a profile without any may have an empty list or none."""
    fields = ", ".join(
        f"'{name}': " + (f"epoch_us(e.{name})" if name == "timestamp" else f"e.{name}")
        for name in request.event_fields
    )
    return f"coalesce(list_transform(timeSeriesEvents, lambda e: {{{fields}}}), [])"


def _connect(scratch: Path) -> duckdb.DuckDBPyConnection:
    spill = str(scratch / "compare-spill")
    return duckdb.connect(config={"threads": 2, "memory_limit": MEMORY, "temp_directory": spill})
