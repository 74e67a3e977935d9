"""Export jobs as Adobe writes them: section 1 of the contract sheet."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, Strict, StrictBool, StrictInt
from pydantic.alias_generators import to_camel

import catalog.export_jobs as nouns
from catalog.errors import InvalidField, NotFound
from catalog.jobs import JobId, JobState
from catalog.schemas import Path

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

#: The fields a list can be sorted by.
SORTED_BY: Mapping[str, Callable[[nouns.ExportJob], Any]] = {
    "creationTime": lambda export: export.job.created_at,
    "createdTime": lambda export: export.job.created_at,
    "updateTime": lambda export: export.job.updated_at,
    "status": lambda export: STATUS[export.job.state],
    "id": lambda export: export.job.id,
}
BY_CREATION = frozenset({"creationTime", "createdTime"})

#: Where the collection lies; links are relative to the part before ``/export``.
JOBS = "/data/core/ups/export/jobs"

_NAMESPACE_COUNTER = "namespace:"
_CURSOR = re.compile(r"[0-9]{1,18}_([0-9]{1,18})")
_NUMBER = re.compile(r"[0-9]{1,18}")

#: An instant as text: a bare number would leave open what it counts.
Instant = Annotated[AwareDatetime, Strict()]


class Asked(BaseModel):
    """Part of a request. Unknown keys are kept and echoed, and otherwise without effect."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")


class MergePolicyRef(Asked):
    id: str | None = None
    version: StrictInt | None = None


class ProfileFilter(Asked):
    segments: list[Any] = []
    segment_qualification_time: Any = None
    from_ingest_timestamp: Instant | None = None
    empty_profiles: StrictBool = False


class EventFilter(Asked):
    from_ingest_timestamp: Instant | None = None
    to_ingest_timestamp: Instant | None = None


class EventList(Asked):
    fields: str = ""
    filter: EventFilter = EventFilter()


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
    merge_policy: MergePolicyRef = MergePolicyRef()
    filter: ProfileFilter = ProfileFilter()
    additional_fields: AdditionalFields = AdditionalFields()
    destination: Destination
    schema_ref: SchemaRef = Field(alias="schema")
    evaluation_info: Evaluation = Evaluation()

    def order(self) -> nouns.ExportRequest:
        """The same request in the service's own words; refuses what it cannot do yet."""
        if self.filter.segments or self.filter.segment_qualification_time:
            raise InvalidField("filter.segments", "exports cannot be filtered by segment yet")
        if self.destination.segment_per_batch:
            raise InvalidField("destination.segmentPerBatch", "needs filter.segments, see there")
        if self.evaluation_info.segmentation:
            raise InvalidField("evaluationInfo.segmentation", "segments cannot be evaluated yet")
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


class Listing(Asked):
    """The query of a list call, with all the spellings the documents give."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    start: Annotated[int, Field(ge=0, le=2**31)] = 0
    page: Annotated[int, Field(ge=0, le=2**31)] = 0
    offset: str = ""
    sort: str = "creationTime:desc"
    status: str | None = None

    @property
    def after(self) -> JobId | None:
        """The job a cursor names; a plain number is not a cursor."""
        match = _CURSOR.fullmatch(self.offset)
        if match is None and self.offset and not _NUMBER.fullmatch(self.offset):
            raise InvalidField("offset", "must be a cursor from link.next, or a number of records")
        return JobId(int(match[1])) if match else None

    @property
    def skip(self) -> int:
        numbered = int(self.offset) if _NUMBER.fullmatch(self.offset) else 0
        return self.start + numbered + self.page * self.limit

    @property
    def states(self) -> tuple[JobState, ...]:
        if self.status is None:
            return tuple(JobState)
        if self.status not in STATES:
            raise InvalidField("status", f"{self.status!r} is none of {', '.join(STATES)}")
        return (STATES[self.status],)

    @property
    def is_descending(self) -> bool:
        """Which way the asked field runs; newest first unless told."""
        field, _, direction = self.sort.partition(":")
        if field not in SORTED_BY or direction not in {"", "asc", "desc"}:
            fields = ", ".join(SORTED_BY)
            raise InvalidField("sort", f"must be one of {fields}, then :asc or :desc")
        return direction != "asc"

    @property
    def sort_field(self) -> str:
        return self.sort.partition(":")[0]

    @property
    def is_newest_first(self) -> bool:
        """Which way pages run. They follow creation; other fields sort within a page, as one
        of the documents says they do."""
        return self.is_descending or self.sort_field not in BY_CREATION


def job(export: nouns.ExportJob) -> dict[str, Any]:
    """One export job as an answer: the caller's own words, and what became of them."""
    one = export.job
    is_lost = one.state in {JobState.FAILED, JobState.CANCELLED}
    batch_id = "" if is_lost else export.batch_id
    run = f"{one.id}-{one.attempt}"
    return {
        **export.echo,
        "id": one.id,
        "jobType": "BATCH",
        "profileInstanceId": "ups",
        "status": STATUS[one.state],
        "mergePolicy": _policy(export),
        "destination": {
            **export.echo.get("destination", {}),
            "datasetId": one.dataset_id,
            "dataSetId": one.dataset_id,
            "segmentPerBatch": False,
            "batchId": batch_id,
        },
        "computeGatewayJobId": {"exportJob": run} if one.attempt else {},
        "metrics": _metrics(export),
        "errors": [
            {"code": error.code, "msg": error.message, "callStack": ""} for error in one.errors
        ],
        "imsOrgId": one.scope.organisation_id,
        "requestId": one.request_id,
        "creationTime": _milliseconds(one.created_at),
        "updateTime": _milliseconds(one.updated_at),
    }


def page(asked: Listing, jobs: tuple[nouns.ExportJob, ...]) -> dict[str, Any]:
    """One page of jobs. ``jobs`` may hold one more than asked for: then there is a next page."""
    shown = jobs[: asked.limit]
    cursor = f"{_milliseconds(shown[-1].job.created_at)}_{shown[-1].job.id}" if shown else ""
    following = f"/export/jobs/?limit={asked.limit}&offset={cursor}"
    if asked.status is not None:
        following += f"&status={asked.status}"
    if "sort" in asked.model_fields_set:
        following += f"&sort={asked.sort}"
    records = shown
    if asked.sort_field not in BY_CREATION:
        records = tuple(sorted(shown, key=SORTED_BY[asked.sort_field], reverse=asked.is_descending))
    return {
        "records": [job(one) for one in records],
        "page": {
            "sortField": "createdTime" if asked.sort_field in BY_CREATION else asked.sort_field,
            "sort": "desc" if asked.is_descending else "asc",
            "pageOffset": cursor,
            "pageSize": len(shown),
        },
        "link": {"next": following if len(jobs) > asked.limit else ""},
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


def _policy(export: nouns.ExportJob) -> dict[str, Any]:
    if export.merge_policy_id is None:
        return {}
    return {"id": export.merge_policy_id, "version": export.merge_policy_version}


def _metrics(export: nouns.ExportJob) -> dict[str, Any]:
    one = export.job
    metrics: dict[str, Any] = {"totalTime": _span(one.created_at, one.finished_at)}
    if one.state is JobState.SUCCEEDED:
        times, counters = one.metrics, one.metrics["counters"]
        metrics |= {
            "profileExportTime": _span_ms(times["export_started_ms"], times["export_finished_ms"]),
            "aCPDatasetWriteTime": _span_ms(times["write_started_ms"], times["write_finished_ms"]),
            "totalExportedProfileCounter": counters.get("profiles", 0),
            "exportedProfileByNamespaceCounter": {
                name.removeprefix(_NAMESPACE_COUNTER): count
                for name, count in sorted(counters.items())
                if name.startswith(_NAMESPACE_COUNTER)
            },
            "totalExportedEventCounter": counters.get("events", 0),
            "excludedProfileCounter": counters.get("excluded", 0),
        }
    elif one.state is JobState.RUNNING:
        metrics["progress"] = dict(one.progress)
    return metrics


def _span(start: datetime, end: datetime | None) -> dict[str, int]:
    if end is None:
        return {"startTimeInMs": _milliseconds(start)}
    return _span_ms(_milliseconds(start), _milliseconds(end))


def _span_ms(start: int, end: int) -> dict[str, int]:
    return {"startTimeInMs": start, "endTimeInMs": end, "totalTimeInMs": end - start}


def _paths(names: str) -> tuple[Path, ...]:
    """Comma-separated dotted paths, blanks tolerated. None at all means every field."""
    return tuple(tuple(name.strip().split(".")) for name in names.split(",") if name.strip())


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
