"""What only user lists need of an export: what they rest on, and one file in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from catalog.export_jobs import ExportPart
from catalog.jobs import Job, JobEvent
from catalog.memberships import MembershipSet
from catalog.store.database import Connection
from catalog.store.jobs import JobStore
from catalog.store.properties import PropertyStore
from catalog.store.user_lists import UserListStore
from catalog.user_lists import ListPiece
from service.worker.attempts import AttemptFailed


async def check(job: Job, sets: Sequence[MembershipSet], db: Connection) -> None:
    """Refuse for good a list of a segment that was never evaluated, or of what was deleted."""
    asked = job.order["user_list"]
    segment_id = asked["segment"]
    if segment_id is not None and all(segment_id not in each.segment_ids.values() for each in sets):
        raise AttemptFailed(
            "segment_not_computed",
            "the segment has never been computed: compute it, then export it again",
            is_final=True,
        )
    existing = await PropertyStore(db).existing(job.scope, set(asked["properties"].values()))
    gone = sorted(key for key, number in asked["properties"].items() if number not in existing)
    if gone:
        raise AttemptFailed(
            "property_deleted",
            f"{', '.join(gone)} was deleted after the export was asked for: ask without it",
            is_final=True,
        )


async def publish(
    job: Job, parts: Sequence[ExportPart], metrics: Mapping[str, object], db: Connection
) -> None:
    """Succeed, and let the parts be the file, in one transaction.

    The first part has the header, also where it has no row.
    """
    await JobStore(db).move(job, JobEvent.COMPLETE, actor=str(job.worker_id), metrics=metrics)
    await UserListStore(db).add_pieces(
        job,
        [
            ListPiece(
                key=part.key,
                size_bytes=part.size_bytes,
                row_count=part.row_count,
                sha256=part.sha256,
            )
            for part in sorted(parts, key=lambda part: part.number)
        ],
    )
