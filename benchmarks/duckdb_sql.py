"""The same export in DuckDB SQL, from the raw files.

Several ways to write it were measured (``bench.py --tune``); the fastest is the default. Like the
other peers it may use what its user knows of the raw files: a profile has at most one row in
each record data set, so there is no older row of the same source to leave out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import duckdb
from contender import Order, compete
from segment_rules import segments
from workload import COVERAGE, EVENTS, Identity, Workload

#: More than the workload needs at a million profiles; beyond, DuckDB spills.
MEMORY = "16GB"
#: How the newest values are found, and how repeated events are left out.
FORMS = ("arg_max+arg_max", "arg_max+uuid", "arg_max+row_number", "window+arg_max", "last+arg_max")


def export(order: Order) -> dict[str, Any] | None:
    db = _connected(order)
    if order.request.segments:
        return _evaluate(db, order)
    profile_form, event_form = (order.form or FORMS[0]).split("+")
    details: dict[str, Any] = {}
    if order.request.is_stitched:
        details["rounds"] = _make_labels(db, order.workload)
        db.execute(f"CREATE TEMP TABLE merged AS {_profiles(order, profile_form)}")
        select = f"SELECT * FROM merged JOIN ({_identity_maps(order.workload)}) USING (profile)"
    else:
        own = "[{'id': profile, 'authenticatedState': 'ambiguous', 'primary': true}]"
        merged = _profiles(order, profile_form)
        select = f"SELECT *, MAP {{'CRMID': {own}}} AS identityMap FROM ({merged})"
    columns = [*order.request.fields, "identityMap"]
    if order.request.event_fields:
        select += f" LEFT JOIN ({_event_lists(order, event_form)}) USING (profile)"
        columns.append("timeSeriesEvents")
    target = order.output / "profiles.parquet"
    db.execute(
        f"COPY (SELECT {', '.join(columns)} FROM ({select})) TO '{target}'"
        " (FORMAT parquet, COMPRESSION zstd)"
    )
    return details


def _evaluate(db: duckdb.DuckDBPyConnection, order: Order) -> dict[str, Any]:
    """Write for every profile which segments it belongs to, and count their members."""
    asked = segments(with_chains=order.request.segments == "chained")
    aggregates: list[str] = []
    conditions = []
    for segment in asked:
        names = [f"e{len(aggregates) + number}" for number in range(len(segment.events))]
        aggregates += segment.events
        conditions.append(segment.sql.format(*names))
    told = ", ".join(f"{each} AS e{number}" for number, each in enumerate(aggregates))
    fields = ("timestamp", "eventType", "browser", "version", "url", "amount")
    event = "{" + ", ".join(f"'{name}': {name}" for name in fields) + "}"
    rows = _rows(order, [EVENTS], ("_id", *fields))
    distinct = f"""
        SELECT profile, unnest(arg_max({event}, timestamp)) FROM ({rows}) GROUP BY profile, _id"""
    flags = ", ".join(
        f"coalesce({condition}, false) AS m{number}" for number, condition in enumerate(conditions)
    )
    target = order.output / "members.parquet"
    db.execute(f"""
        COPY (SELECT profile, {flags} FROM ({_profiles(order, FORMS[0].split("+")[0])})
                LEFT JOIN (SELECT profile, {told} FROM ({distinct}) GROUP BY profile)
                     USING (profile))
          TO '{target}' (FORMAT parquet, COMPRESSION zstd)""")
    counts = ", ".join(f"count(*) FILTER (m{number})" for number in range(len(asked)))
    members = db.execute(f"SELECT {counts} FROM read_parquet('{target}')").fetchone()
    return {"members": list(members or ())}


def _connected(order: Order) -> duckdb.DuckDBPyConnection:
    db = duckdb.connect(
        config={
            "threads": 2,
            "memory_limit": MEMORY,
            "preserve_insertion_order": False,
            "temp_directory": str(order.output.parent / "duckdb-spill"),
        }
    )
    db.execute("SET TimeZone = 'UTC'")
    return db


def _profiles(order: Order, form: str) -> str:
    """The newest value of every field, by profile; when stitching, the newest identity too."""
    fields = order.request.fields
    rows = _rows(order, COVERAGE, ("time", *fields))
    if order.request.is_stitched:
        fields = (*fields, "key")
    if form == "window":
        return _profiles_by_window(fields, rows)
    newest = (
        "arg_max({0}, time)"
        if form == "arg_max"
        else "last({0} ORDER BY time) FILTER ({0} NOT NULL)"
    )
    select = ", ".join(f"{newest.format(name)} AS {name}" for name in fields)
    return f"SELECT profile, {select} FROM ({rows}) GROUP BY profile"


def _profiles_by_window(fields: Iterable[str], rows: str) -> str:
    newest = ", ".join(f"last_value({name} IGNORE NULLS) OVER w AS {name}" for name in fields)
    return f"""
        SELECT profile, {", ".join(fields)} FROM (
            SELECT profile, {newest},
                   row_number() OVER (PARTITION BY profile ORDER BY time DESC) AS place
              FROM ({rows})
            WINDOW w AS (PARTITION BY profile ORDER BY time
                         ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING))
         WHERE place = 1"""


def _event_lists(order: Order, form: str) -> str:
    """The list of events of every profile: each id once, as it was sent last, in order of time.

    What was sent last has the latest ingest time, so the filter may come first.
    """
    names = order.request.event_fields
    event = "{" + ", ".join(f"'{name}': {name}" for name in names) + "}"
    columns = tuple(dict.fromkeys(("_id", "timestamp", *names)))
    after = f"ingestedAt > TIMESTAMPTZ '{order.workload.events_after.isoformat()}'"
    rows = _rows(order, [EVENTS], columns, where=after)
    if form == "row_number":
        newest = "row_number() OVER (PARTITION BY profile, _id ORDER BY timestamp DESC)"
        distinct = f"SELECT profile, {event} AS event FROM ({rows}) QUALIFY {newest} = 1"
    else:
        event_id = "_id::UUID" if form == "uuid" else "_id"
        distinct = f"""
            SELECT profile, arg_max({event}, timestamp) AS event FROM ({rows})
             GROUP BY profile, {event_id}"""
    return f"""
        SELECT profile, list_sort(list(event)) AS timeSeriesEvents FROM ({distinct})
         GROUP BY profile"""


def _rows(
    order: Order, sources: Iterable[str], columns: tuple[str, ...], where: str = "true"
) -> str:
    """Rows of some sources with the profile they belong to, and their own key where it differs."""
    if not order.request.is_stitched:
        files = order.workload.files(*sources)
        return (
            f"SELECT id AS profile, {', '.join(columns)} FROM read_parquet({files}) WHERE {where}"
        )
    selects = (
        f"SELECT {_key(order.workload.identities(source)[0])} AS key, {', '.join(columns)}"
        f" FROM read_parquet({order.workload.files(source)}) WHERE {where}"
        for source in sources
    )
    return f"""
        SELECT coalesce(label, r.key) AS profile, r.*
          FROM ({" UNION ALL ".join(selects)}) r LEFT JOIN labels USING (key)"""


def _make_labels(db: duckdb.DuckDBPyConnection, workload: Workload) -> int:
    """Find the connected components: every linked key takes its neighbours' smallest label.

    Returns how many rounds it took until nothing changed.
    """
    db.execute(f"CREATE TEMP TABLE links AS SELECT DISTINCT * FROM ({_links(workload)})")
    db.execute("CREATE TEMP TABLE neighbours AS FROM links UNION ALL SELECT b, a FROM links")
    db.execute("""
        CREATE TEMP TABLE labels AS
        SELECT a AS key, least(a, min(b)) AS label FROM neighbours GROUP BY a""")
    for rounds in range(1, 100):
        db.execute("""
            CREATE TEMP TABLE renewed AS
            SELECT own.key, least(own.label, min(other.label)) AS label
              FROM neighbours JOIN labels own ON own.key = neighbours.a
              JOIN labels other ON other.key = neighbours.b
             GROUP BY own.key, own.label""")
        changed = db.execute("""
            SELECT 1 FROM labels JOIN renewed USING (key)
             WHERE labels.label <> renewed.label LIMIT 1""").fetchall()
        db.execute("DROP TABLE labels")
        db.execute("ALTER TABLE renewed RENAME TO labels")
        if not changed:
            return rounds
    raise RuntimeError("the labels do not settle")


def _links(workload: Workload) -> str:
    """Pairs of keys that occur together in a row."""
    selects = []
    for source in workload.sources:
        primary, *aliases = workload.identities(source)
        files = workload.files(source)
        selects += [
            f"SELECT {_key(primary)} AS a, {_key(alias)} AS b FROM read_parquet({files})"
            f" WHERE {alias.column} IS NOT NULL"
            for alias in aliases
        ]
    return " UNION ALL ".join(selects)


def _identity_maps(workload: Workload) -> str:
    """The identities that any row of a merged profile names, by namespace."""
    selects = []
    for source in workload.sources:
        selects += [
            f"SELECT DISTINCT {_key(identity)} AS mention, '{identity.namespace}' AS namespace,"
            f" {identity.column} AS id FROM read_parquet({workload.files(source)})"
            f" WHERE {identity.column} IS NOT NULL"
            for identity in workload.identities(source)
        ]
    entry = "{'id': id, 'authenticatedState': 'ambiguous', 'primary': mention = merged.key}"
    return f"""
        SELECT profile, map(list(namespace), list(ids)) AS identityMap FROM (
            SELECT merged.profile, namespace, list_sort(list({entry})) AS ids
              FROM (SELECT DISTINCT * FROM ({" UNION ALL ".join(selects)})) mentions
              LEFT JOIN labels ON labels.key = mention
              JOIN merged ON merged.profile = coalesce(label, mention)
             GROUP BY merged.profile, namespace)
         GROUP BY profile"""


def _key(identity: Identity) -> str:
    """A text for an identity that no other namespace has."""
    return f"'{identity.namespace}:' || {identity.column}"


if __name__ == "__main__":
    compete(export)
