"""Runs one export: its plan, the tasks of it side by side, and what is told of them meanwhile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from service.engine.exclusion_lists import united
from service.engine.orders import (
    Answer,
    Done,
    ExportOrder,
    FinishedPart,
    Part,
    Progress,
)
from service.engine.plan import Plan, PlanMismatch, load_plan, make_plan
from service.engine.side_by_side import Note, side_by_side
from service.engine.slices import Opening
from service.engine.snapshot import Snapshot
from service.engine.task import run_task
from service.engine.vocabularies import Vocabularies
from service.storage.files import Files

Send = Callable[[Answer], None]
Report = Callable[[Progress], None]


def export(order: ExportOrder, files: Files, send: Send, report: Report) -> None:
    """Do an order: send the plan unless there is one, every part that remains, and the end."""
    snapshot = Snapshot(order)
    vocabularies = Vocabularies(snapshot, files)
    plan, finished = _continued_plan(order, files), order.finished
    if plan is None:
        planned = make_plan(order, files, report, vocabularies)
        send(planned)
        plan, finished = load_plan(planned.key, files), ()
    remaining = _remaining(plan, finished)
    exclusions = {(part.number, part.batch): part.exclusions for part in finished}
    opening = Opening(snapshot, plan, files, vocabularies)
    course = Course(plan, remaining, finished, report)

    def run(number: int, note: Note) -> list[Part]:
        return run_task(order, plan, number, files, note, opening)

    for parts in side_by_side(run, remaining, order.threads, course.note):
        for part in parts:
            exclusions[part.number, part.batch] = part.exclusions
            send(part)
    lists: dict[int, list[str]] = defaultdict(list)
    for (_, batch), key in sorted(exclusions.items()):
        lists[batch] += [key] if key else []
    batches = range(order.batch_count)
    send(
        Done(exclusions=tuple(united(order, plan, batch, lists[batch], files) for batch in batches))
    )


class Course:
    """How far an export is: tasks tell it after every slice."""

    def __init__(
        self,
        plan: Plan,
        remaining: list[int],
        finished: tuple[FinishedPart, ...],
        report: Report,
    ) -> None:
        self._report = report
        self._total = sum(len(task.prefixes()) for task in plan.tasks)
        self._done = self._total - sum(len(plan.tasks[n].prefixes()) for n in remaining)
        kept = [part for part in finished if part.number not in set(remaining)]
        self._profiles = sum(part.row_count for part in kept)
        self._bytes = sum(part.size_bytes for part in kept)
        self._say()

    def note(self, profiles: int, size_bytes: int) -> None:
        """Count one more slice, the profiles it holds, and what was written since the last."""
        self._done += 1
        self._profiles += profiles
        self._bytes += size_bytes
        self._say()

    def _say(self) -> None:
        self._report(
            Progress(
                phase="merging",
                done=self._done,
                total=self._total,
                profiles=self._profiles,
                bytes=self._bytes,
            )
        )


def _remaining(plan: Plan, finished: tuple[FinishedPart, ...]) -> list[int]:
    """Name the tasks of which any part is missing."""
    written = {(part.number, part.batch) for part in finished}
    return [
        number
        for number, task in enumerate(plan.tasks)
        if not all((number, batch) in written for batch in task.batches())
    ]


def _continued_plan(order: ExportOrder, files: Files) -> Plan | None:
    """The plan of an earlier attempt, unless this engine would have planned otherwise."""
    if order.plan_key is None:
        return None
    try:
        plan = load_plan(order.plan_key, files)
        plan.check_is_of(order)
        plan.check_is_whole(files)
    except PlanMismatch:
        return None
    return plan
