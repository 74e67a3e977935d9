"""The same export in PySpark, ``local[2]``, from the raw files. Needs Java."""

from __future__ import annotations

import os
import time
from pathlib import Path

from contender import Order, Taken, high_water, read_order, tell
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as f
from workload import COVERAGE, EVENTS

#: More than it needs, so that it never waits for its collector.
MEMORY = "10g"


def export(order: Order) -> Taken:
    if order.request.is_stitched:
        raise SystemExit("stitching is not written in PySpark")
    spark = _session(order)
    spark.range(1).count()  # starts what a session starts only once
    java = _java()
    started, cpu_started = time.perf_counter(), _cpu_seconds(java)
    _run(spark, order)
    seconds, cpu_seconds = time.perf_counter() - started, _cpu_seconds(java) - cpu_started
    peak_bytes = high_water(java) + high_water()
    spark.stop()
    return Taken(seconds=seconds, cpu_seconds=cpu_seconds, peak_bytes=peak_bytes)


def _session(order: Order) -> SparkSession:
    settings = {
        "spark.driver.memory": MEMORY,
        "spark.local.dir": str(order.output.parent / "spark-spill"),
        "spark.sql.session.timeZone": "UTC",
        # Two cores: more partitions than a few of them only cost.
        "spark.sql.shuffle.partitions": "8",
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def _run(spark: SparkSession, order: Order) -> None:
    request = order.request
    rows = spark.read.parquet(*order.workload.files(*COVERAGE))
    newest = [
        f.max_by(name, f.when(f.col(name).isNotNull(), f.col("time"))) for name in request.fields
    ]
    profiles = rows.groupBy("id").agg(
        *(value.alias(name) for value, name in zip(newest, request.fields, strict=True))
    )
    columns = [*request.fields, "identityMap"]
    if request.event_fields:
        profiles = profiles.join(_event_lists(spark, order), "id", "left")
        columns.append("timeSeriesEvents")
    written = order.output / "spark"
    profiles.withColumn("identityMap", _identity_map()).select(*columns).write.parquet(str(written))
    for part in written.glob("*.parquet"):
        part.rename(order.output / part.name)


def _event_lists(spark: SparkSession, order: Order) -> DataFrame:
    """The list of events of every identity: each id once, as it was sent last, in order of time."""
    event = f.struct(*order.request.event_fields)
    rows = spark.read.parquet(*order.workload.files(EVENTS))
    once = (
        rows.where(f.col("ingestedAt") > f.lit(order.workload.events_after))
        .groupBy("id", "_id")
        .agg(f.max_by(event, "timestamp").alias("event"))
    )
    return once.groupBy("id").agg(f.sort_array(f.collect_list("event")).alias("timeSeriesEvents"))


def _identity_map() -> Column:
    own = f.struct(
        f.col("id"), f.lit("ambiguous").alias("authenticatedState"), f.expr("true").alias("primary")
    )
    return f.create_map(f.lit("CRMID"), f.array(own))


def _java() -> int:
    """The process of the engine, which is a child of this one."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
        if name == "java" and int(rest.split()[1]) == os.getpid():
            return int(stat.parent.name)
    raise RuntimeError("Spark runs without a Java process of its own")


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    tell(export(read_order()))
