"""Export jobs as Adobe writes them: section 1 of the contract sheet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

import catalog.export_jobs as nouns
from catalog.errors import InvalidField, NotFound
from catalog.jobs import JobId, JobState
from catalog.schemas import Path
from catalog.segments import OWN_NAMESPACE, MembershipStatus, SegmentChoice, SegmentFilter

STATUS = {
    JobState.QUEUED: "NEW",
    JobState.RUNNING: "PROCESSING",
    JobState.SUCCEEDED: "SUCCEEDED",
    JobState.FAILED: "FAILED",
    JobState.CANCELLED: "CANCELLED",  # ours: the documents name none
}
STATES = {status: state for state, status in STATUS.items()}
#: One known client spells the status so, and forwards no other spelling of it.
STATES["SUCEEDED"] = JobState.SUCCEEDED

#: Where the collection lies; links are relative to the part before ``/export``.
JOBS = "/data/core/ups/export/jobs"

_NAMESPACE_COUNTER = "namespace:"
#: Each segment may get a batch and a file of its own. Ours: the documents list up to 1,500 of one
#: segment job.
MOST_SEGMENTS = 1500


def _written(value: object) -> object:
    """An instant as text: a bare number would leave open what it counts."""
    if not isinstance(value, str):
        raise PydanticCustomError("instant", "write it as text, such as 2026-11-22T14:23:02Z")
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_written)]


class Asked(BaseModel):
    """Part of a request. An explicit null is an absent key.

    Unknown keys are kept and echoed, and otherwise without effect.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, asked: object) -> object:
        if not isinstance(asked, dict):
            return asked
        return {key: value for key, value in asked.items() if value is not None}


class MergePolicyRef(Asked):
    id: str | None = None
    version: StrictInt | None = None


def _spoken(status: object) -> object:
    """What a status is called: prose calls one of them otherwise."""
    if not isinstance(status, str):
        return status
    return {"exiting": "exited"}.get(status.lower(), status.lower())


def _listed(value: object) -> object:
    """A list, or the one thing that should be in it: one sample has a bare word."""
    return [value] if isinstance(value, str) else value


Status = Annotated[MembershipStatus, BeforeValidator(_spoken)]


class Segment(Asked):
    segment_id: Annotated[str, Field(min_length=1)]
    segment_ns: str = OWN_NAMESPACE
    status: Annotated[list[Status], BeforeValidator(_listed)] = []

    def choice(self) -> SegmentChoice:
        named = SegmentChoice(
            segment_id=self.segment_id, namespace=self.segment_ns.strip() or OWN_NAMESPACE
        )
        statuses = tuple(dict.fromkeys(self.status))
        return replace(named, statuses=statuses) if statuses else named


class QualificationTime(Asked):
    start_time: Instant | None = None
    end_time: Instant | None = None


class ProfileFilter(Asked):
    segments: Annotated[list[Segment], Field(max_length=MOST_SEGMENTS)] = []
    segment_qualification_time: QualificationTime = Field(default_factory=QualificationTime)
    from_ingest_timestamp: Instant | None = None
    empty_profiles: StrictBool = False

    def choice(self, *, is_split: bool) -> SegmentFilter | None:
        """Whose profiles are asked for; refuses what only segments could decide."""
        time = self.segment_qualification_time
        if self.segments:
            return SegmentFilter(
                choices=tuple(segment.choice() for segment in self.segments),
                qualified_from=time.start_time,
                qualified_until=time.end_time,
                is_split=is_split,
            )
        if is_split:
            raise InvalidField(
                "destination.segmentPerBatch", "name the segments, in filter.segments"
            )
        if time.start_time or time.end_time:
            raise InvalidField(
                "filter.segmentQualificationTime", "name the segments, in filter.segments"
            )
        return None


class EventFilter(Asked):
    from_ingest_timestamp: Instant | None = None
    to_ingest_timestamp: Instant | None = None


class EventList(Asked):
    fields: str = ""
    filter: EventFilter = Field(default_factory=EventFilter)


class AdditionalFields(Asked):
    event_list: EventList | None = None


class Destination(Asked):
    dataset_id: str | None = None
    #: The documents use both spellings, in requests and in answers.
    data_set_id: str | None = None
    segment_per_batch: StrictBool = False


class SchemaRef(Asked):
    name: str


class Evaluation(Asked):
    segmentation: StrictBool = False


class NewExportJob(Asked):
    """The body of a create call."""

    fields: str = ""
    merge_policy: MergePolicyRef = Field(default_factory=MergePolicyRef)
    filter: ProfileFilter = Field(default_factory=ProfileFilter)
    additional_fields: AdditionalFields = Field(default_factory=AdditionalFields)
    destination: Destination
    schema_ref: SchemaRef = Field(alias="schema")
    evaluation_info: Evaluation = Field(default_factory=Evaluation)

    def order(self) -> nouns.ExportRequest:
        """The same request in the service's own words; refuses what does not go together."""
        dataset_id = self.destination.dataset_id or self.destination.data_set_id
        if not dataset_id:
            raise InvalidField("destination.datasetId", "name the data set to write to")
        return nouns.ExportRequest(
            dataset_id=dataset_id,
            schema_name=self.schema_ref.name,
            fields=_paths(self.fields),
            merge_policy_id=self.merge_policy.id or None,
            merge_policy_version=self.merge_policy.version,
            events=self._events(),
            updated_after=self.filter.from_ingest_timestamp,
            with_empty_profiles=self.filter.empty_profiles,
            segments=self.filter.choice(is_split=self.destination.segment_per_batch),
            is_evaluated=self.evaluation_info.segmentation,
            echo=self.model_dump(mode="json", by_alias=True, exclude_unset=True),
        )

    def _events(self) -> nouns.EventSelection | None:
        asked = self.additional_fields.event_list
        if asked is None:
            return None
        return nouns.EventSelection(
            fields=_paths(asked.fields),
            ingested_after=asked.filter.from_ingest_timestamp,
            ingested_until=asked.filter.to_ingest_timestamp,
        )


def job(export: nouns.ExportJob) -> dict[str, Any]:
    """One export job as an answer: the caller's own words, and what became of them."""
    one = export.job
    run = f"{one.id}-{one.attempt}"
    return {
        **export.echo,
        "id": one.id,
        "jobType": "BATCH",
        "profileInstanceId": "ups",
        "status": STATUS[one.state],
        "mergePolicy": _policy(export),
        "destination": {**export.echo.get("destination", {}), **_destination(export)},
        "computeGatewayJobId": {"exportJob": run} if one.attempt else {},
        "metrics": _metrics(export),
        "errors": [
            {"code": error.code, "msg": error.message, "callStack": ""} for error in one.errors
        ],
        "imsOrgId": one.scope.organisation_id,
        "requestId": one.request_id,
        "creationTime": milliseconds(one.created_at),
        "updateTime": milliseconds(one.updated_at),
    }


CANCELLED: Mapping[str, Any] = {
    "status": True,
    "message": "Export job has been marked for cancelling",
}


def job_id(text: str) -> JobId:
    """The number in a path; another word is the id of no job."""
    if not text.isdecimal() or len(text) > len(str(2**63)) - 1:
        raise NotFound("export job", text)
    return JobId(int(text))


def _destination(export: nouns.ExportJob) -> dict[str, Any]:
    """Where the rows are. One batch alone has its id beside the data set's, several have a list."""
    is_lost = export.job.state in {JobState.FAILED, JobState.CANCELLED}
    of_segments = export.segment_batches
    destination: dict[str, Any] = {
        "datasetId": export.job.dataset_id,
        "dataSetId": export.job.dataset_id,
        "segmentPerBatch": of_segments is not None,
        "batchId": "" if is_lost or of_segments is not None else export.batch_ids[0],
    }
    if of_segments is not None:
        destination["batches"] = [
            {
                "segmentId": each.choice.segment_id,
                "segmentNs": each.choice.namespace,
                "status": list(each.choice.statuses),
                "batchId": "" if is_lost else each.batch_id,
            }
            for each in of_segments
        ]
    return destination


def _policy(export: nouns.ExportJob) -> dict[str, Any]:
    if export.merge_policy_id is None:
        return {}
    return {"id": export.merge_policy_id, "version": export.merge_policy_version}


def _metrics(export: nouns.ExportJob) -> dict[str, Any]:
    one = export.job
    metrics: dict[str, Any] = {"totalTime": span(one.created_at, one.finished_at)}
    if one.state is JobState.SUCCEEDED:
        times, counters = one.metrics, one.metrics["counters"]
        metrics |= {
            "profileExportTime": span_ms(times["export_started_ms"], times["export_finished_ms"]),
            "aCPDatasetWriteTime": span_ms(times["write_started_ms"], times["write_finished_ms"]),
            "totalExportedProfileCounter": counters.get("profiles", 0),
            "exportedProfileByNamespaceCounter": {
                name.removeprefix(_NAMESPACE_COUNTER): count
                for name, count in sorted(counters.items())
                if name.startswith(_NAMESPACE_COUNTER)
            },
            "totalExportedEventCounter": counters.get("events", 0),
            "excludedProfileCounter": counters.get("excluded", 0),
            "shortenedProfileCounter": counters.get("shortened", 0),
        }
    elif one.state is JobState.RUNNING:
        metrics["progress"] = progress(one.progress)
    return metrics


def progress(told: Mapping[str, Any]) -> dict[str, Any]:
    """How far a running job is. A phase that has just begun knows little."""
    so_far: dict[str, Any] = {
        "percent": told.get("percent", 0.0),
        "profiles": told.get("profiles", 0),
        "bytes": told.get("bytes", 0),
    }
    if "phase" in told:
        so_far["phase"] = told["phase"]
    if "estimated_end_ms" in told:
        so_far["estimatedEndTimeInMs"] = told["estimated_end_ms"]
    return so_far


def span(start: datetime, end: datetime | None) -> dict[str, int]:
    if end is None:
        return {"startTimeInMs": milliseconds(start)}
    return span_ms(milliseconds(start), milliseconds(end))


def span_ms(start: int, end: int) -> dict[str, int]:
    return {"startTimeInMs": start, "endTimeInMs": end, "totalTimeInMs": end - start}


def _paths(names: str) -> tuple[Path, ...]:
    """Comma-separated dotted paths, blanks tolerated. None at all means every field."""
    return tuple(tuple(name.strip().split(".")) for name in names.split(",") if name.strip())


def milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
