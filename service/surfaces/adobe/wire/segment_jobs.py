"""Segment jobs as Adobe writes them: section 8.1 of the contract sheet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Discriminator, Field, RootModel, Tag

import catalog.segment_jobs as nouns
from catalog.errors import InvalidField
from catalog.export_jobs import PROFILE_SCHEMA_NAME
from catalog.jobs import JobState
from catalog.organisations import Sandbox
from catalog.segment_jobs import SegmentJobFilter, SegmentJobRequest, SegmentJobSort
from catalog.segments import RuleFormat
from service.surfaces.adobe.wire import Wire, sandboxes
from service.surfaces.adobe.wire.export_jobs import STATUS, milliseconds, progress, span, span_ms
from service.surfaces.adobe.wire.segments import SchemaName

#: Where the collection lies; links are relative to the part before ``/segment``.
JOBS = "/data/core/ups/segment/jobs"

#: What stands for all segments of the sandbox.
ALL = "*"
#: A job with more segments lists none of them.
MOST_LISTED = 1500

#: What callers may ask for. A job is put off without a word of its own, and stops at once.
STATES: Mapping[str, tuple[JobState, ...]] = {
    "QUEUED": (JobState.QUEUED,),
    "CANCELLING": (),
    **{status: (state,) for state, status in STATUS.items()},
}
SORTS = {
    "creationTime": SegmentJobSort.CREATION,
    "updateTime": SegmentJobSort.UPDATE,
    "updateEpoch": SegmentJobSort.UPDATE,
}
_PROPERTIES = ("segments~segmentId", "status")


class NamedSegment(Wire):
    segment_id: Annotated[str, Field(min_length=1)]


class SegmentsOfSchema(Wire):
    schema_name: SchemaName = Field(
        default_factory=lambda: SchemaName(name=PROFILE_SCHEMA_NAME), alias="schema"
    )
    segments: list[NamedSegment]


def _form(body: object) -> str:
    return "list" if isinstance(body, list) else "object"


class NewSegmentJob(
    RootModel[
        Annotated[
            Annotated[list[NamedSegment], Tag("list")] | Annotated[SegmentsOfSchema, Tag("object")],
            Discriminator(_form),
        ]
    ]
):
    """The body of a create call: segments, or an object that holds them."""

    def request(self) -> SegmentJobRequest:
        """The same in the service's own words; ``*`` anywhere is all segments."""
        if isinstance(self.root, list):
            named = self.root
        else:
            named, schema_name = self.root.segments, self.root.schema_name.name
            if schema_name != PROFILE_SCHEMA_NAME:
                raise InvalidField(
                    "schema.name",
                    f"{schema_name!r} has no segments, {PROFILE_SCHEMA_NAME} has",
                )
        ids = tuple(each.segment_id for each in named)
        return SegmentJobRequest(segment_ids=None if ALL in ids else ids, echo={})


class Listing(BaseModel):
    """The query of a list call."""

    model_config = ConfigDict(populate_by_name=True, extra="ignore")

    start: Annotated[int, Field(ge=0, le=2**31)] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    status: str | None = None
    sort: str = "creationTime:desc"
    property: str | None = None

    def wanted(self) -> SegmentJobFilter:
        """What is asked for, in the service's own words."""
        field, _, direction = self.sort.partition(":")
        if field not in SORTS or direction not in {"", "asc", "desc"}:
            raise InvalidField("sort", f"must be one of {', '.join(SORTS)}, then :asc or :desc")
        name, value = self._exactly()
        states = set(JobState)
        for status in (self.status, value if name == "status" else None):
            states &= set(_states(status))
        return SegmentJobFilter(
            states=tuple(sorted(states)),
            segment_id=value if name == "segments~segmentId" else None,
            sort=SORTS[field],
            is_descending=direction != "asc",
        )

    def _exactly(self) -> tuple[str | None, str | None]:
        """The property that is asked for and what it has to be."""
        if self.property is None:
            return None, None
        name, equal, value = self.property.partition("==")
        if not equal or name not in _PROPERTIES:
            known = ", ".join(f"{each}==VALUE" for each in _PROPERTIES)
            raise InvalidField("property", f"{self.property!r} is none of {known}")
        return name, value


def _states(status: str | None) -> tuple[JobState, ...]:
    if status is None:
        return tuple(JobState)
    if status not in STATES:
        raise InvalidField("status", f"{status!r} is none of {', '.join(STATES)}")
    return STATES[status]


def job(found: nouns.SegmentJob, sandbox: Sandbox) -> dict[str, Any]:
    """One segment job as an answer."""
    one = found.job
    href = f"/segment/jobs/{found.id}"
    updated_at = milliseconds(one.updated_at)
    return {
        "id": found.id,
        "imsOrgId": sandbox.organisation_id,
        "sandbox": sandboxes.named(sandbox),
        "profileInstanceId": "ups",
        "source": "api",
        "status": STATUS[one.state],
        "computeJobId": one.id,
        "computeGatewayJobId": f"{one.id}-{one.attempt}" if one.attempt else "",
        "segments": _segments(found),
        "metrics": _metrics(found),
        "errors": [
            {"code": error.code, "msg": error.message, "callStack": ""} for error in one.errors
        ],
        "requestId": one.request_id,
        "schema": {"name": PROFILE_SCHEMA_NAME},
        "_links": {
            "cancel": {"href": href, "method": "DELETE"},
            "checkStatus": {"href": href, "method": "GET"},
        },
        "creationTime": milliseconds(one.created_at),
        "updateTime": updated_at,
        "updateEpoch": updated_at // 1000,
    }


def page(
    found: Sequence[nouns.SegmentJob], total_count: int, asked: Listing, sandbox: Sandbox
) -> dict[str, Any]:
    """One page of segment jobs; the link to the next holds all that was asked."""
    following, link = asked.start + len(found), {}
    if found and following < total_count:
        more = asked.model_dump(exclude_unset=True, exclude_none=True)
        words = {**more, "limit": asked.limit, "start": following}
        link = {"href": f"/segment/jobs?{urlencode(words, safe=':=~')}"}
    return {
        "_page": {"totalCount": total_count, "pageSize": len(found)},
        "children": [job(each, sandbox) for each in found],
        "_links": {"next": link},
    }


def _segments(found: nouns.SegmentJob) -> list[dict[str, Any]]:
    """What is evaluated, each segment with its rule; only that it is all of them, when many."""
    if sum(len(policy.segments) for policy in found.policies) > MOST_LISTED:
        return [{"segmentId": ALL}]
    return list(_listed(found.policies))


def _listed(policies: Sequence[nouns.SegmentsOfPolicy]) -> Iterator[dict[str, Any]]:
    for policy in policies:
        for segment in policy.segments:
            yield {
                "segmentId": segment.id,
                "segment": {
                    "id": segment.id,
                    "version": segment.version,
                    "expression": {
                        "type": "PQL",
                        "format": RuleFormat.TEXT,
                        "value": segment.rule,
                    },
                    "mergePolicyId": policy.merge_policy_id,
                    "mergePolicy": {
                        "id": policy.merge_policy_id,
                        "version": policy.merge_policy_version,
                    },
                },
            }


def _metrics(found: nouns.SegmentJob) -> dict[str, Any]:
    one, counts = found.job, found.counts
    metrics: dict[str, Any] = {
        "totalTime": span(one.created_at, one.finished_at),
        "profileSegmentationTime": {},
    }
    if one.state is JobState.RUNNING:
        metrics["progress"] = progress(one.progress)
    if counts is None:
        return metrics
    of_segments = counts.segments.items()
    return metrics | {
        "profileSegmentationTime": span_ms(
            counts.evaluation_started_ms, counts.evaluation_finished_ms
        ),
        "totalProfiles": sum(counts.profiles.values()),
        "segmentedProfileCounter": {id: count.member_count for id, count in of_segments},
        "segmentedProfileByNamespaceCounter": {
            id: dict(count.by_namespace) for id, count in of_segments
        },
        "segmentedProfileByStatusCounter": {
            id: {"realized": count.member_count, "exited": count.left} for id, count in of_segments
        },
        "totalProfilesByMergePolicy": dict(counts.profiles),
    }
