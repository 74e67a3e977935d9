"""A segment job as the service does it: from the profile store to a membership set."""

from __future__ import annotations

import engine_child
from contender import Order, Taken
from ours_promotion import SECRET
from segment_rules import NOW, segments

from service.engine.orders import (
    Evaluation,
    ExportOrder,
    Planned,
    Rule,
    SegmentationOrder,
    Segmented,
)


def evaluate(order: Order, export: ExportOrder) -> Taken:
    """Evaluate a hundred segments in one pass, beginning with none that has members."""
    root = order.workload.folder.parent
    asked = segments(with_chains=order.request.segments == "chained")
    rules = tuple(
        Rule(segment_id=f"segment-{number}", text=segment.pql)
        for number, segment in enumerate(asked)
    )
    alone = export.model_copy(
        update={
            "fields": (),
            "events": None,
            "has_rows": False,
            "evaluation": Evaluation(rules=rules, evaluated_at=NOW),
        }
    )
    ran = engine_child.run(SegmentationOrder(export=alone, secret=SECRET), root)
    tasks = [answer for _, answer in ran.answers if isinstance(answer, Segmented)]
    for task in tasks:
        (root / task.key).rename(order.output / f"memberships-{task.number:04}.arrow")
    return Taken(
        seconds=ran.seconds,
        cpu_seconds=ran.cpu_seconds,
        peak_bytes=ran.peak_bytes,
        details={
            "plan_seconds": next(at for at, a in ran.answers if isinstance(a, Planned)),
            "members": [sum(each) for each in zip(*(task.entered for task in tasks), strict=True)],
            "sha256": [task.sha256 for task in sorted(tasks, key=lambda task: task.number)],
        },
    )
