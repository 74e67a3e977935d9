"""The same export in Polars, lazily, from the raw files.

Several ways to write it were measured (``bench.py --tune``); the fastest is the default.
"""

from __future__ import annotations

import os

os.environ["POLARS_MAX_THREADS"] = "2"

import polars as pl
from contender import Order, compete
from workload import COVERAGE, EVENTS

#: How the newest values are found, how repeated events are left out, and on which engine.
FORMS = (
    "sort+unique+streaming",
    "sort+unique+in-memory",
    "max_by+unique+streaming",
    "max_by+unique+in-memory",
    "sort+group+streaming",
    "sort+filter+streaming",
)


def export(order: Order) -> None:
    if order.request.is_stitched:
        raise SystemExit("stitching is not written in Polars")
    profile_form, event_form, engine = (order.form or FORMS[0]).split("+")
    columns = [*order.request.fields, "identityMap"]
    profiles = _profiles(order, profile_form).with_columns(_identity_map())
    if order.request.event_fields:
        profiles = profiles.join(_event_lists(order, event_form), on="id", how="left")
        columns.append("timeSeriesEvents")
    profiles.select(columns).sink_parquet(
        order.output / "profiles.parquet", compression="zstd", engine=engine
    )


def _profiles(order: Order, form: str) -> pl.LazyFrame:
    """The newest value of every field, by identity."""
    fields = list(order.request.fields)
    rows = pl.scan_parquet(order.workload.files(*COVERAGE)).select("id", "time", *fields)
    if form == "max_by":
        newest = [pl.col(f).max_by(pl.when(pl.col(f).is_not_null()).then("time")) for f in fields]
        return rows.group_by("id").agg(newest)
    return rows.sort("id", "time").group_by("id").agg(pl.col(fields).drop_nulls().last())


def _event_lists(order: Order, form: str) -> pl.LazyFrame:
    """The list of events of every identity: each id once, as it was sent last, in order of time.

    Groups keep the order of their rows. What was sent last has the latest ingest time, so the
    filter may come first.
    """
    names = order.request.event_fields
    rows = (
        pl.scan_parquet(order.workload.files(EVENTS))
        .filter(pl.col("ingestedAt") > order.workload.events_after)
        .select("id", "_id", *dict.fromkeys(("timestamp", *names)))
        .sort("timestamp")
    )
    event = pl.struct(names).alias("timeSeriesEvents")
    if form == "filter":
        return rows.group_by("id").agg(event.filter(pl.col("_id").is_last_distinct()))
    if form == "group":
        once = rows.group_by("id", "_id").agg(pl.col(names).last())
        return once.group_by("id").agg(event.sort_by("timestamp"))
    once = rows.unique(["id", "_id"], keep="last", maintain_order=True)
    return once.group_by("id").agg(event)


def _identity_map() -> pl.Expr:
    """A map as Arrow knows it: a list of keys with their values."""
    own = pl.struct(id="id", authenticatedState=pl.lit("ambiguous"), primary=pl.lit(value=True))
    entry = pl.struct(key=pl.lit("CRMID"), value=pl.concat_list(own))
    return pl.concat_list(entry).alias("identityMap")


if __name__ == "__main__":
    compete(export)
