"""Runs one segmentation: plans as an export would, evaluates slice by slice, writes who belongs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from service.engine.exporting import Course
from service.engine.merged_slices import Slice
from service.engine.merging import Merge
from service.engine.orders import Answer, Done, Progress, SegmentationOrder, Segmented
from service.engine.own_memberships import SCHEMA, rows_of
from service.engine.plan import Plan, load_plan, make_plan
from service.engine.ranking import Bools, Ints
from service.engine.side_by_side import Note, side_by_side
from service.engine.slices import Opening
from service.engine.snapshot import Snapshot
from service.engine.store_files import MAX_DEPTH, StoreFileWriter
from service.engine.vocabularies import Vocabularies
from service.storage.files import Files

#: Rules whose members are counted at once: of a slice of 100,000 profiles they are 50 MB.
_TOGETHER = 64

Send = Callable[[Answer], None]
Report = Callable[[Progress], None]


def segment(order: SegmentationOrder, files: Files, send: Send, report: Report) -> None:
    """Do an order: send the plan, what each task found out, and the end."""
    snapshot = Snapshot(order.export)
    vocabularies = Vocabularies(snapshot, files)
    planned = make_plan(order.export, files, report, vocabularies)
    send(planned)
    plan = load_plan(planned.key, files)
    numbers = list(range(plan.task_count))
    opening = Opening(snapshot, plan, files, vocabularies)
    course = Course(plan, numbers, (), report)

    def run(number: int, note: Note) -> Segmented:
        return _run(order, plan, number, files, note, opening)

    for segmented in side_by_side(run, numbers, order.threads, course.note):
        send(segmented)
    send(Done())


@dataclass(slots=True)
class _Counts:
    """What the slices of one task add up to, by rule."""

    profiles: int
    entered: Ints
    stayed: Ints
    left: Ints
    by_namespace: dict[str, Ints] = field(default_factory=dict)

    @classmethod
    def none(cls, rule_count: int) -> _Counts:
        entered, stayed, left = np.zeros((3, rule_count), np.int64)
        return cls(0, entered, stayed, left)

    def add(self, here: Slice, has: Bools, namespaces: Sequence[str]) -> None:
        assert here.outcome is not None
        self.profiles += len(here.everybody)
        self.entered += here.outcome.entered
        self.stayed += here.outcome.stayed
        self.left += here.outcome.left
        told = _members_with(has, here.outcome.qualifies)
        totals: dict[str, Ints] = defaultdict(lambda: np.zeros(len(self.left), np.int64))
        totals |= self.by_namespace
        for name, counts in zip(namespaces, told.T, strict=True):
            totals[name] = totals[name] + counts
        self.by_namespace = dict(totals)


def _members_with(has: Bools, qualifies: Sequence[Bools]) -> Ints:
    """Count for each rule and namespace the profiles that qualify and have an identity of it."""
    # As floats they are multiplied many times faster, and exactly: a slice has no 2^53 rows.
    weights = has.astype(np.float64)
    counts = [
        np.array(qualifies[first : first + _TOGETHER], np.float64) @ weights
        for first in range(0, len(qualifies), _TOGETHER)
    ]
    told: Ints = np.concatenate(counts).astype(np.int64)
    return told


def _run(
    order: SegmentationOrder,
    plan: Plan,
    number: int,
    files: Files,
    note: Note,
    opening: Opening,
) -> Segmented:
    """Evaluate the profiles of one task and write their memberships, in the order's segments."""
    merge = Merge(order.export, plan, files, opening)
    rules = merge.snapshot.rules.segment_ids
    counts = _Counts.none(len(rules))
    coarser = max(0, plan.depth - MAX_DEPTH)
    key = f"{order.export.folder}/memberships-{number:05d}.arrow"
    row_count = 0
    with (
        files.create(key) as sink,
        StoreFileWriter(sink, SCHEMA, depth=plan.depth - coarser, secret=order.secret) as writer,
    ):
        for prefix in plan.tasks[number].prefixes():
            here = merge.read(prefix)
            counts.add(here, *merge.namespaces(here))
            numbers = {n: rule for rule, n in enumerate(here.segments.numbers(rules))}
            rows = rows_of(here.everybody.profiles, here.own_in(numbers), numbers)
            writer.write(prefix >> coarser, rows)
            row_count += rows.num_rows
            note(len(here.everybody), rows.nbytes)
    written = sink.written()
    return Segmented(
        number=number,
        key=written.key,
        size_bytes=written.size_bytes,
        row_count=row_count,
        sha256=written.sha256,
        profile_count=counts.profiles,
        entered=tuple(counts.entered.tolist()),
        stayed=tuple(counts.stayed.tolist()),
        left=tuple(counts.left.tolist()),
        by_namespace={name: tuple(n.tolist()) for name, n in sorted(counts.by_namespace.items())},
    )
