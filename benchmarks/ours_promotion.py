"""What the service does once when a batch arrives: uploads become data set files and store files.

All batches of a workload are promoted in the order of their ingest numbers, each in an engine
child of its own, as a worker does it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import engine_child
from contender import Order, Taken, read_order, tell
from workload import DOUBLES, EVENTS, STRINGS, Batch, Workload

from catalog.batches import FileFormat
from catalog.schemas import CLASS_FIELDS, EVENT_CLASS, PROFILE_CLASS, Field, Kind
from service.engine.orders import Identity, Promoted, PromotionOrder, Reading, UploadedFile

SECRET = bytes(range(32))
ALIASES = tuple(Field(f"alias{number}", Kind.STRING) for number in (1, 2, 3))
RECORD_SCHEMA = (
    *CLASS_FIELDS[PROFILE_CLASS],
    Field("id", Kind.STRING),
    *ALIASES,
    Field("time", Kind.TIMESTAMP),
    *(Field(name, Kind.STRING) for name in (*STRINGS, "email")),
    *(Field(name, Kind.DOUBLE) for name in DOUBLES),
)
EVENT_SCHEMA = (
    *CLASS_FIELDS[EVENT_CLASS],
    Field("id", Kind.STRING),
    ALIASES[0],
    *(Field(name, Kind.STRING) for name in ("browser", "version", "url")),
    Field("amount", Kind.DOUBLE),
)


def store_of(workload: Workload) -> Path:
    """The document that lists the store files of a workload."""
    return workload.folder / "store" / "store.json"


def promote(order: Order) -> Taken:
    """Promote all batches, replacing what an earlier engine may have left."""
    workload = order.workload
    shutil.rmtree(store_of(workload).parent, ignore_errors=True)
    store_of(workload).parent.mkdir()
    seconds = cpu_seconds = record_seconds = 0.0
    peak_bytes = rows = record_rows = 0
    files: list[dict[str, object]] = []
    namespaces: dict[str, None] = {}
    for batch in workload.batches:
        ran = engine_child.run(_order(workload, batch), workload.folder.parent)
        promoted = ran.answers[-1][1]
        assert isinstance(promoted, Promoted)
        seconds += ran.seconds
        cpu_seconds += ran.cpu_seconds
        peak_bytes = max(peak_bytes, ran.peak_bytes)
        rows += promoted.output_row_count
        if batch.source != EVENTS:
            record_seconds += ran.seconds
            record_rows += promoted.output_row_count
        namespaces |= dict.fromkeys(promoted.namespaces)
        files += _fragments(batch, promoted)
    store = {"files": files, "namespaces": list(namespaces)}
    store_of(workload).write_text(json.dumps(store, indent=1))
    return Taken(
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        peak_bytes=peak_bytes,
        details={
            "rows": rows,
            "rows_per_second": rows / seconds,
            "record_rows_per_second": record_rows / record_seconds,
            "event_rows_per_second": (rows - record_rows) / (seconds - record_seconds),
            "store_bytes": sum(int(str(file["size_bytes"])) for file in files),
        },
    )


def _order(workload: Workload, batch: Batch) -> PromotionOrder:
    root = workload.folder.parent
    path = workload.folder / batch.path
    is_event = batch.source == EVENTS
    return PromotionOrder(
        folder=f"{workload.folder.name}/store/{batch.ingest_number:04}",
        uploads=(
            UploadedFile(
                path=path.name,
                key=path.relative_to(root).as_posix(),
                size_bytes=path.stat().st_size,
            ),
        ),
        reading=Reading(format=FileFormat.PARQUET),
        is_event=is_event,
        fields=tuple(f.to_json() for f in (EVENT_SCHEMA if is_event else RECORD_SCHEMA)),
        identities=tuple(
            Identity(
                path=(identity.column,),
                namespace=identity.namespace,
                is_primary=identity.is_primary,
            )
            for identity in workload.identities(batch.source)
        ),
        unlinked_namespaces=(),
        for_profile=True,
        is_upsert=False,
        secret=SECRET,
        threads=2,
    )


def _fragments(batch: Batch, promoted: Promoted) -> list[dict[str, object]]:
    return [
        {
            "dataset_id": batch.source,
            "kind": file.kind.value,
            "key": file.key,
            "size_bytes": file.size_bytes,
            "row_count": file.row_count,
            "ingest_number": batch.ingest_number,
            "ingested_at": batch.ingested_at.isoformat(),
            "is_upsert": False,
            "added": batch.ingest_number,
        }
        for file in promoted.store_files
    ]


if __name__ == "__main__":
    tell(promote(read_order()))
