"""Runs segment jobs: has the segments of each merge policy evaluated, then shows who belongs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog

from catalog.jobs import Job, JobEvent
from catalog.memberships import MembershipFile, NewMembershipSet
from catalog.segment_jobs import SegmentCount, SegmentsOfPolicy
from catalog.store.database import Connection
from catalog.store.folders import FolderStore
from catalog.store.home_files import HomeFileStore
from catalog.store.jobs import JobStore
from catalog.store.labellings import LabellingStore
from catalog.store.memberships import MembershipStore
from catalog.store.secrets import IDENTITY_SECRET, SecretStore
from catalog.store.segment_jobs import policies_of
from catalog.store.store_files import StoreFileStore
from service.engine.local import LocalRunner
from service.engine.orders import (
    ENGINE_VERSION,
    Done,
    Evaluation,
    ExportOrder,
    Failed,
    Fragments,
    HomeFile,
    Planned,
    Progress,
    Rule,
    SavedLabelling,
    SegmentationOrder,
    Segmented,
    memberships_of,
)
from service.storage import keys
from service.worker.attempts import AttemptFailed
from service.worker.claim import Claim
from service.worker.exports import PartSizes, labelling_at
from service.worker.numberings import keep_numbering, numbering_for
from service.worker.rebuilds import must_be_whole

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class _Found:
    """What an attempt has found out so far."""

    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    sets: list[NewMembershipSet] = field(default_factory=list)
    #: By merge policy.
    profiles: dict[str, int] = field(default_factory=dict)
    segments: dict[str, SegmentCount] = field(default_factory=dict)

    def add(self, job: Job, policy: SegmentsOfPolicy, tasks: Sequence[Segmented]) -> None:
        """Take what was found out under one more policy."""
        ids = tuple(segment.id for segment in policy.segments)
        files = tuple(
            MembershipFile(key=task.key, size_bytes=task.size_bytes, row_count=task.row_count)
            for task in sorted(tasks, key=lambda task: task.number)
        )
        self.sets.append(
            NewMembershipSet(
                merge_policy_id=policy.merge_policy_id,
                evaluated_at=job.created_at,
                segment_ids=ids,
                files=files,
            )
        )
        self.profiles[policy.merge_policy_id] = sum(task.profile_count for task in tasks)
        for place, id in enumerate(ids):
            self.segments[id] = _counted(place, tasks)

    def to_json(self) -> dict[str, Any]:
        """The same as :class:`~catalog.segment_jobs.SegmentCounts` has it."""
        return {
            "profiles": self.profiles,
            "segments": {
                id: {
                    "entered": count.entered,
                    "stayed": count.stayed,
                    "left": count.left,
                    "by_namespace": dict(count.by_namespace),
                }
                for id, count in self.segments.items()
            },
            "evaluation_started_ms": int(self.started_at.timestamp() * 1000),
            "evaluation_finished_ms": int(datetime.now(UTC).timestamp() * 1000),
        }


class Segmentations:
    """Finds out who belongs to which segments, for each job it is given.

    An attempt that was cut off is begun anew.
    """

    def __init__(
        self, runner: LocalRunner, *, threads: int, sizes: PartSizes, most_events: int
    ) -> None:
        self._runner = runner
        self._threads = threads
        self._sizes = sizes
        self._most_events = most_events

    async def run(self, claim: Claim) -> None:
        """Do one claimed job to its end, or raise for the attempt to be given up."""
        found = _Found()
        for number, policy in enumerate(policies_of(claim.job.order)):
            order = await claim.write(partial(self._order, claim, number, policy))
            found.add(claim.job, policy, await self._evaluated(claim, order))
            claim.rest()
        claim.end()
        await claim.write(partial(_show, claim.job, found))
        log.info("segments evaluated", job=claim.job.id, segments=len(found.segments))

    async def _evaluated(self, claim: Claim, order: SegmentationOrder) -> list[Segmented]:
        tasks = []
        async with self._runner.run(order) as answers:
            async for answer in answers:
                match answer:
                    case Progress():
                        claim.note(answer)
                    case Planned():
                        await claim.write(partial(_keep_planned, claim.job, answer))
                    case Segmented():
                        tasks.append(answer)
                    case Failed():
                        raise AttemptFailed(answer.code, answer.message, is_final=answer.is_final)
                    case Done():
                        pass
                    case unexpected:
                        raise TypeError(f"a segmentation is never answered by {unexpected.kind}")
        return tasks

    async def _order(
        self, claim: Claim, number: int, policy: SegmentsOfPolicy, db: Connection
    ) -> SegmentationOrder:
        """The order to evaluate the segments of one policy.

        What was found out before is read as it is now, and not as it was when the job was
        submitted: jobs that were submitted earlier have ended since.
        """
        claim.start_over()
        job, store = claim.job, StoreFileStore(db)
        assert job.snapshot is not None
        folder = keys.attempt_folder(job.scope.sandbox_id, job.id, job.attempt)
        if number == 0:
            await FolderStore(db).note_attempt(job, folder)
        await must_be_whole(job, db)
        files = await store.files_at(job.scope, job.snapshot)
        sets = await MembershipStore(db).sets_at(
            job.scope, await store.snapshot(job.scope), policy.merge_policy_id
        )
        membership_files, membership_sets = memberships_of(sets)
        labelling = await LabellingStore(db).newest(
            job.scope, job.snapshot, engine_version=ENGINE_VERSION
        )
        homes = await HomeFileStore(db).at(job.scope, job.snapshot)
        export = ExportOrder(
            **job.order["shapes"],
            identity_graph=policy.rules.identity_graph,
            attribute_merge=policy.rules.attribute_merge,
            dataset_order=policy.rules.dataset_order,
            with_empty_profiles=True,
            evaluation=Evaluation(
                rules=tuple(map(Rule.of, policy.segments)), evaluated_at=job.created_at
            ),
            has_rows=False,
            events_per_profile=self._most_events,
            folder=f"{folder}/policy-{number:02d}",
            files=(*map(Fragments.of, files), *membership_files),
            membership_sets=membership_sets,
            asked_at=job.created_at,
            labelling=SavedLabelling.of(labelling),
            homes=tuple(map(HomeFile.of, homes)),
            numbering=await numbering_for(job, job.snapshot, db),
            labelling_size_bytes=self._sizes.labelling_size_bytes,
            part_row_count=self._sizes.part_row_count,
            part_size_bytes=self._sizes.part_size_bytes,
            slice_size_bytes=self._sizes.slice_size_bytes,
            threads=self._threads,
        )
        secret = await SecretStore(db).find_or_make(IDENTITY_SECRET)
        return SegmentationOrder(export=export, secret=secret)


async def _keep_planned(job: Job, planned: Planned, db: Connection) -> None:
    """Keep who is who for later plans, and their numbers; refused when the claim was lost."""
    assert job.snapshot is not None
    await JobStore(db).hold(job)
    if planned.labelling is not None:
        await LabellingStore(db).save(
            job.scope, labelling_at(job.snapshot, planned.labelling), job_id=job.id
        )
    await keep_numbering(job, job.snapshot, planned, db)


async def _show(job: Job, found: _Found, db: Connection) -> None:
    """Succeed and let what was found out count, in one transaction; refused likewise."""
    await JobStore(db).move(
        job, JobEvent.COMPLETE, actor=str(job.worker_id), metrics=found.to_json()
    )
    await MembershipStore(db).add(job, found.sets)


def _counted(place: int, tasks: Sequence[Segmented]) -> SegmentCount:
    by_namespace: dict[str, int] = {}
    for task in tasks:
        for name, counts in task.by_namespace.items():
            by_namespace[name] = by_namespace.get(name, 0) + counts[place]
    return SegmentCount(
        entered=sum(task.entered[place] for task in tasks),
        stayed=sum(task.stayed[place] for task in tasks),
        left=sum(task.left[place] for task in tasks),
        by_namespace={name: count for name, count in by_namespace.items() if count},
    )
