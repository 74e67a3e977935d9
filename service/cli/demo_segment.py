"""The demo's segment: defined, evaluated, and its members exported, by the API alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.cli import datasets, exports, segmentations
from service.cli.api import Service

NAME = "golden shoppers"
RULE = (
    'loyalty.tier in ["gold", "platinum"]'
    ' and exists E from xEvent where E.eventType = "commerce.purchases"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """What was found out about the segment."""

    segment_id: str
    profile_count: int
    member_count: int
    #: How many profiles an export of the segment has.
    exported_count: int

    def to_json(self) -> dict[str, Any]:
        return {
            "segment_id": self.segment_id,
            "rule": RULE,
            "profile_count": self.profile_count,
            "member_count": self.member_count,
            "exported_count": self.exported_count,
        }


async def find_members(service: Service, policy_id: str) -> Members:
    """Define the segment under a merge policy, find out who belongs to it, and export those."""
    asked = segmentations.body(NAME, RULE, merge_policy_id=policy_id)
    segment = await service.post(segmentations.DEFINITIONS, asked)
    job = await segmentations.submit(service, [segment["id"]])
    job = await segmentations.follow(service, job["id"])
    segmentations.must_have_succeeded(job)
    wanted = exports.Wanted(
        dataset_id=await datasets.export_dataset(service),
        merge_policy_id=policy_id,
        segment_ids=(segment["id"],),
        with_empty_profiles=True,
    )
    export = await exports.submit(service, wanted)
    export = await exports.follow(service, int(export["id"]))
    exports.must_have_succeeded(export)
    member_count, _ = segmentations.member_counts(job)[segment["id"]]
    return Members(
        segment_id=segment["id"],
        profile_count=job["metrics"]["totalProfiles"],
        member_count=member_count,
        exported_count=export["metrics"]["totalExportedProfileCounter"],
    )
