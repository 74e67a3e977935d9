"""Segment definitions as Adobe writes them: section 8.1 of the contract sheet."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field

import catalog.segments as nouns
from catalog.errors import InvalidField
from catalog.export_jobs import PROFILE_SCHEMA_NAME
from catalog.organisations import Sandbox
from catalog.segments import RuleFormat, SegmentDraft, SegmentListing, SegmentSort
from service.surfaces.adobe.wire import Wire, sandboxes
from service.surfaces.adobe.wire.export_jobs import milliseconds
from service.surfaces.adobe.wire.merge_policies import Flag

#: Where the collection lies; links are relative to the part before ``/segment``.
DEFINITIONS = "/data/core/ups/segment/definitions"

#: The fields a list can be sorted by.
SORTS = {
    "creationTime": SegmentSort.CREATION,
    "updateTime": SegmentSort.UPDATE,
    "updateEpoch": SegmentSort.UPDATE,
    "name": SegmentSort.NAME,
}

_MOST_NAME_CHARACTERS = 255
#: Rules that people write have hundreds, those that programs write some thousands.
_MOST_RULE_CHARACTERS = 100_000


class Expression(Wire):
    type: Literal["PQL"] = "PQL"
    format: RuleFormat = RuleFormat.TEXT
    value: Annotated[str, Field(min_length=1, max_length=_MOST_RULE_CHARACTERS)]


class SchemaName(Wire):
    name: str


class Switch(Wire):
    enabled: Flag = False


class EvaluationInfo(Wire):
    """How a segment is to be evaluated: in jobs when nothing is said."""

    batch: Switch = Field(default_factory=lambda: Switch(enabled=True))
    continuous: Switch = Field(default_factory=Switch)
    synchronous: Switch = Field(default_factory=Switch)


class NewSegment(Wire):
    """The body of a create call; and what a change makes of a definition."""

    name: Annotated[str, Field(min_length=1, max_length=_MOST_NAME_CHARACTERS)]
    description: str | None = None
    expression: Expression
    schema_name: SchemaName = Field(alias="schema")
    merge_policy_id: str | None = None
    evaluation_info: EvaluationInfo | None = None
    ttl_in_days: Annotated[int | None, Field(ge=1, le=36500)] = None

    def draft(self) -> SegmentDraft:
        evaluation = self.evaluation_info or EvaluationInfo()
        return SegmentDraft(
            name=self.name,
            schema_name=self.schema_name.name,
            format=self.expression.format,
            expression=self.expression.value,
            description=self.description or "",
            merge_policy_id=self.merge_policy_id or None,
            is_batch=evaluation.batch.enabled,
            is_continuous=evaluation.continuous.enabled,
            is_synchronous=evaluation.synchronous.enabled,
            ttl_days=self.ttl_in_days,
        )


class Listing(BaseModel):
    """The query of a list call. Pages count from 0, as one client does."""

    model_config = ConfigDict(populate_by_name=True, extra="ignore")

    start: Annotated[int, Field(ge=0, le=2**31)] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    page: Annotated[int, Field(ge=0, le=2**31)] = 0
    sort: str = "creationTime:desc"
    is_continuous: Flag | None = Field(None, alias="evaluationInfo.continuous.enabled")

    @property
    def skip(self) -> int:
        return self.start + self.page * self.limit

    @property
    def is_descending(self) -> bool:
        return self.sort.partition(":")[2] != "asc"

    @property
    def sort_field(self) -> str:
        return self.sort.partition(":")[0]

    def wanted(self) -> SegmentListing:
        """What is asked for, in the service's own words."""
        if self.sort_field not in SORTS or self.sort.partition(":")[2] not in {"", "asc", "desc"}:
            raise InvalidField("sort", f"must be one of {', '.join(SORTS)}, then :asc or :desc")
        return SegmentListing(
            is_continuous=self.is_continuous,
            sort=SORTS[self.sort_field],
            is_descending=self.is_descending,
        )


def written(segment: nouns.SegmentDefinition) -> dict[str, Any]:
    """The part of a definition that callers write."""
    policy = {} if segment.follows_default else {"mergePolicyId": segment.merge_policy_id}
    lifetime = {} if segment.ttl_days is None else {"ttlInDays": segment.ttl_days}
    return {
        "name": segment.name,
        "description": segment.description,
        "expression": {
            "type": "PQL",
            "format": segment.format,
            "value": segment.expression,
        },
        "schema": {"name": PROFILE_SCHEMA_NAME},
        **policy,
        "evaluationInfo": {
            "batch": {"enabled": segment.is_batch},
            "continuous": {"enabled": segment.is_continuous},
            "synchronous": {"enabled": segment.is_synchronous},
        },
        **lifetime,
    }


def segment(found: nouns.SegmentDefinition, sandbox: Sandbox) -> dict[str, Any]:
    """One definition as an answer."""
    updated_at = milliseconds(found.updated_at)
    return {
        "id": found.id,
        "key": found.key,
        "version": found.version,
        "profileInstanceId": "ups",
        "imsOrgId": sandbox.organisation_id,
        "sandbox": sandboxes.named(sandbox),
        **written(found),
        "mergePolicyId": found.merge_policy_id,
        "createdBy": found.created_by,
        "updatedBy": found.updated_by,
        "creationTime": milliseconds(found.created_at),
        "updateTime": updated_at,
        "updateEpoch": updated_at // 1000,
    }


def listing(
    found: Sequence[nouns.SegmentDefinition], total_count: int, asked: Listing, sandbox: Sandbox
) -> dict[str, Any]:
    """One page of definitions; the link to the next holds all that was asked."""
    following = asked.skip + len(found)
    link = {}
    if found and following < total_count:
        more = asked.model_dump(by_alias=True, exclude_unset=True, exclude={"page", "start"})
        more = {key: str(value) for key, value in more.items() if value is not None}
        words = {**more, "limit": asked.limit, "start": following}
        link = {"next": f"/segment/definitions?{urlencode(words, safe=':')}"}
    return {
        "segments": [segment(each, sandbox) for each in found],
        "page": {
            "totalCount": total_count,
            "totalPages": ceil(total_count / asked.limit),
            "sortField": asked.sort_field,
            "sort": "desc" if asked.is_descending else "asc",
            "pageSize": len(found),
            "limit": asked.limit,
        },
        "link": link,
    }
