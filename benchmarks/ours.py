"""The export as the service does it: from the profile store, in the engine's own child process."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import engine_child
from contender import Order, Taken, read_order, tell
from ours_promotion import EVENT_SCHEMA, RECORD_SCHEMA, store_of
from ours_segments import evaluate
from workload import Workload

from catalog.merge_policies import AttributeMerge, IdentityGraph
from service.engine.orders import (
    EventChoice,
    ExportOrder,
    Fragments,
    Part,
    Planned,
    Progress,
)


def labels_of(workload: Workload) -> Path:
    """Where the labelling that an export made is kept, as export jobs keep theirs."""
    return store_of(workload).with_name("labels.arrow")


def numbers_of(workload: Workload) -> Path:
    """Where the numbering that an export made is kept, likewise; its list lies beside it."""
    return store_of(workload).with_name("numbers.arrow")


def export(order: Order, known: dict[str, Any] | None = None) -> Taken:
    """Export, with what an order says beside what is asked for, such as what was saved."""
    root = order.workload.folder.parent
    asked = export_order(order).model_copy(update=known or {})
    ran = engine_child.run(asked, root)
    planned_at, planned = next((at, one) for at, one in ran.answers if isinstance(one, Planned))
    if planned.labelling is not None:
        shutil.copyfile(root / planned.labelling.key, labels_of(order.workload))
    if planned.numbering is not None:
        kept = numbers_of(order.workload)
        shutil.copyfile(root / planned.numbering.key, kept)
        shutil.copyfile(root / planned.numbering.merged_key, kept.with_suffix(".merged"))
    parts = [answer for _, answer in ran.answers if isinstance(answer, Part)]
    for part in parts:
        (root / part.key).rename(order.output / f"part-{part.number:04}.parquet")
    counters: dict[str, int] = {}
    for part in parts:
        for name, count in part.counters.items():
            counters[name] = counters.get(name, 0) + count
    return Taken(
        seconds=ran.seconds,
        cpu_seconds=ran.cpu_seconds,
        peak_bytes=ran.peak_bytes,
        details={
            "plan_seconds": planned_at,
            "merge_seconds": ran.seconds - planned_at,
            "parts": len(parts),
            "part_bytes": sum(part.size_bytes for part in parts),
            "sha256": [part.sha256 for part in sorted(parts, key=lambda part: part.number)],
            "counters": counters,
            "progress_reports": sum(isinstance(answer, Progress) for _, answer in ran.answers),
        },
    )


def export_order(order: Order) -> ExportOrder:
    """Say to the engine what is to be exported."""
    root = order.workload.folder.parent
    store: dict[str, Any] = json.loads(store_of(order.workload).read_text())
    request = order.request
    events = EventChoice(
        fields=tuple((name,) for name in request.event_fields),
        ingested_after=order.workload.events_after,
    )
    return ExportOrder(
        profile_fields=tuple(field.to_json() for field in RECORD_SCHEMA),
        event_fields=tuple(field.to_json() for field in EVENT_SCHEMA),
        fields=tuple((name,) for name in (*request.fields, "identityMap")),
        identity_graph=IdentityGraph.PRIVATE if request.is_stitched else IdentityGraph.NONE,
        attribute_merge=AttributeMerge.TIMESTAMP_ORDERED,
        events=events if request.event_fields else None,
        namespaces={code.lower(): code for code in store["namespaces"]},
        folder=(order.output / "attempt").relative_to(root).as_posix(),
        files=tuple(
            Fragments(**file | {"ingested_at": datetime.fromisoformat(file["ingested_at"])})
            for file in store["files"]
        ),
        threads=2,
    )


if __name__ == "__main__":
    asked = read_order()
    tell(evaluate(asked, export_order(asked)) if asked.request.segments else export(asked))
