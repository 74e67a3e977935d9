"""Batches as Adobe writes them: sections 2.2, 2.3 and 3 of the contract sheet."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field, StrictBool, StrictFloat

import catalog.batches as nouns
from catalog.batches import BatchFilter, BatchId, BatchMetric, BatchState, FileFormat
from catalog.errors import InvalidField
from catalog.organisations import Scope
from service.surfaces.adobe.wire import Wire

#: What a batch is called while no worker holds its job. A worker at it makes it ``processing``.
STATUS: Final = {
    BatchState.LOADING: "loading",
    BatchState.LOADED: "loaded",
    BatchState.EXPORTING: "processing",
    BatchState.ACTIVE: "success",
    BatchState.FAILED: "failed",
    BatchState.ABORTED: "aborted",
    BatchState.INACTIVE: "inactive",
}

#: Two words for one thing; the documents use both.
_SYNONYMS = {"active": "success", "failure": "failed"}

#: The documents name these too. No batch of ours is ever called so: they find nothing.
_UNUSED = frozenset(
    {"queued", "retrying", "stalled", "abandoned", "staged", "staging"}
    | {"deleted", "archived", "retained"}
)

#: Both families of names the documents use for the same counts.
_METRICS: Final = {
    BatchMetric.INPUT_FILE_COUNT: ("inputFileCount",),
    BatchMetric.INPUT_SIZE_BYTES: ("inputByteSize",),
    BatchMetric.INPUT_ROW_COUNT: ("inputRecordCount", "recordsRead"),
    BatchMetric.OUTPUT_FILE_COUNT: ("outputFileCount",),
    BatchMetric.OUTPUT_SIZE_BYTES: ("outputByteSize",),
    BatchMetric.OUTPUT_ROW_COUNT: ("outputRecordCount", "recordsWritten"),
    BatchMetric.FAILED_ROW_COUNT: ("failedRecordCount", "recordsFailed"),
}

#: Filters of the documents that this service does not have. To ignore one would be to answer
#: another question than the one that was asked.
_MISSING_FILTERS = frozenset(
    {"property", "properties", "tags", "batch", "externalId", "name", "version", "size"}
    | {"created", "updated", "started", "completed", "recordCount", "failedRecordCount"}
    | {"startAfter", "startBefore", "endAfter", "endBefore"}
    | {"createdUser", "createdClient", "updatedUser"}
)

#: Batches one replay may name, of either kind. Ours.
_MOST_PREDECESSORS = 1000

#: The last millisecond of the year 9999: later instants have no date.
_LAST_MILLISECOND = 253_402_300_799_999


def _lowered(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _lists(value: object) -> object:
    """Tags with their values as lists, also where a caller wrote a bare string."""
    if not isinstance(value, dict):
        return value
    return {name: [each] if isinstance(each, str) else each for name, each in value.items()}


def _undecorated(name: str) -> str:
    """A name without the signs of a variable that documents and clients put around ids."""
    found = re.fullmatch(r"\$\{(.*)\}|\$(.*)", name, re.DOTALL)
    return (found[1] or found[2] or "") if found else name


Character = Annotated[str, Field(min_length=1, max_length=1, pattern=r"^[\x01-\x7f]$")]
Predecessors = Annotated[list[str], Field(max_length=_MOST_PREDECESSORS)]
Instant = Annotated[int, Field(ge=0, le=_LAST_MILLISECOND)]


class InputFormat(Wire):
    format: Annotated[FileFormat, BeforeValidator(_lowered)] = FileFormat.PARQUET
    is_multi_line_json: StrictBool | None = None
    delimiter: Character | None = None
    quote: Character | None = None
    escape: Character | None = None
    charset: str | None = None
    header: Any = None
    null_marker: str | None = None

    def noun(self) -> nouns.InputFormat:
        if self.charset and self.charset.lower().replace("-", "") not in {"utf8", "usascii"}:
            raise InvalidField("inputFormat.charset", f"{self.charset!r}: only UTF-8 is read")
        if self.header:
            raise InvalidField("inputFormat.header", "is read from the first line of each file")
        if self.null_marker:
            raise InvalidField("inputFormat.nullMarker", "is not supported yet")
        default = nouns.InputFormat()
        return nouns.InputFormat(
            format=self.format,
            is_multi_line_json=bool(self.is_multi_line_json),
            delimiter=self.delimiter or default.delimiter,
            quote=self.quote or default.quote,
            escape=self.escape,
        )


class Replay(Wire):
    predecessors: Predecessors | None = None
    predecessors_by_external_id: Predecessors | None = None
    reason: str | None = None

    def noun(self) -> nouns.Replay | None:
        ids = tuple(BatchId(id.strip("${}")) for id in self.predecessors or ())
        external_ids = tuple(_undecorated(id) for id in self.predecessors_by_external_id or ())
        if not ids and not external_ids:
            return None
        return nouns.Replay(predecessors=ids, external_ids=external_ids, reason=self.reason)


class NewBatch(Wire):
    """The body of a create call."""

    dataset_id: str = Field(min_length=1, validation_alias=AliasChoices("datasetId", "dataSetId"))
    input_format: InputFormat | None = None
    external_id: str | None = None
    tags: Annotated[dict[str, list[str]] | None, BeforeValidator(_lists)] = None
    replay: Replay | None = None
    enable_error_diagnostics: StrictBool | None = None
    partial_ingestion_percentage: StrictFloat | None = None

    def noun(self) -> nouns.NewBatch:
        """The same request in the service's own words; refuses what it cannot do yet."""
        if self.enable_error_diagnostics:
            raise InvalidField("enableErrorDiagnostics", "there are no error diagnostics yet")
        if self.partial_ingestion_percentage:
            raise InvalidField(
                "partialIngestionPercentage",
                "is not supported yet: one invalid row fails the batch",
            )
        return nouns.NewBatch(
            dataset_id=self.dataset_id,
            input_format=(self.input_format or InputFormat()).noun(),
            external_id=self.external_id,
            tags=self.tags or {},
            replay=self.replay.noun() if self.replay else None,
        )


class Listing(Wire):
    """The query of a list call."""

    model_config = ConfigDict(extra="allow")

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    start: Annotated[
        int, Field(ge=0, le=2**31, validation_alias=AliasChoices("start", "offset"))
    ] = 0
    order_by: str = Field("desc:created", validation_alias=AliasChoices("orderBy", "sort"))
    data_set: str | None = None
    status: str | None = None
    created_after: Instant | None = None
    created_before: Instant | None = None

    @property
    def is_newest_first(self) -> bool:
        direction, _, field = self.order_by.rpartition(":")
        if field != "created" or direction not in {"", "asc", "desc"}:
            raise InvalidField("orderBy", "must be asc:created or desc:created")
        return direction == "desc"

    def filter(self) -> BatchFilter:
        missing = sorted(_MISSING_FILTERS & (self.model_extra or {}).keys())
        if missing:
            raise InvalidField(missing[0], "batches cannot be filtered by it yet")
        statuses = None if self.status is None else _statuses(self.status)
        return BatchFilter(
            dataset_ids=None if self.data_set is None else tuple(_any_of("dataSet", self.data_set)),
            idle_states=None if statuses is None else _states(statuses, is_worked_on=False),
            worked_on_states=None if statuses is None else _states(statuses, is_worked_on=True),
            # A batch is shown with the millisecond it was opened in, and found by what is shown.
            created_after=_instant(self.created_after, timedelta(microseconds=999)),
            created_before=_instant(self.created_before),
        )


def batch(found: nouns.Batch, scope: Scope) -> dict[str, Any]:
    """One batch as an answer."""
    counts = found.metrics
    records = counts.get(BatchMetric.OUTPUT_ROW_COUNT, counts.get(BatchMetric.INPUT_ROW_COUNT, 0))
    shown: dict[str, Any] = {
        "id": found.id,
        "imsOrg": scope.organisation_id,
        "sandboxId": str(scope.sandbox_id),
        "status": _status(found.state, is_worked_on=found.is_worked_on),
        "created": milliseconds(found.created_at),
        "updated": milliseconds(found.updated_at),
        "relatedObjects": [{"type": "dataSet", "id": found.dataset_id}],
        "version": "1.0.0",
        "tags": found.tags,
        "createdUser": found.created_by,
        "createdClient": found.created_by,
        "updatedUser": found.created_by,
        "inputFormat": _input_format(found.input_format),
        "metrics": _metrics(found),
        "errors": [
            {
                "code": error.code,
                "description": error.description,
                "rows": error.rows,
                "recordCount": error.record_count,
            }
            for error in found.errors
        ],
        "recordCount": records,
        "failedRecordCount": counts.get(BatchMetric.FAILED_ROW_COUNT, 0),
        "size": counts.get(BatchMetric.OUTPUT_SIZE_BYTES, 0),
    }
    if found.replay is not None:
        shown["replay"] = {
            "predecessors": found.replay.predecessors,
            "reason": found.replay.reason or "replace",
        }
    if found.external_id is not None:
        shown["externalId"] = found.external_id
    if found.started_at is not None:
        shown["started"] = milliseconds(found.started_at)
    if found.finished_at is not None:
        shown["completed"] = milliseconds(found.finished_at)
    return shown


def file(path: str, size_bytes: int) -> dict[str, Any]:
    """One file of a batch, and how much of it has come."""
    return {"name": path, "sizeInBytes": size_bytes}


def milliseconds(instant: datetime) -> int:
    """An instant as the documents count it: whole milliseconds since 1970."""
    return (instant - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


def _status(state: BatchState, *, is_worked_on: bool) -> str:
    if is_worked_on and state is BatchState.LOADED:
        return "processing"
    return STATUS[state]


def _statuses(asked: str) -> frozenset[str]:
    """The statuses a filter admits, by the names batches are shown with."""
    known = {*STATUS.values(), *_SYNONYMS, *_UNUSED}
    names = [name.lower() for name in _any_of("status", asked)]
    for name in names:
        if name not in known:
            raise InvalidField("status", f"{name!r} is none of {', '.join(sorted(known))}")
    return frozenset(_SYNONYMS.get(name, name) for name in names)


def _states(statuses: frozenset[str], *, is_worked_on: bool) -> frozenset[BatchState]:
    return frozenset(
        state for state in BatchState if _status(state, is_worked_on=is_worked_on) in statuses
    )


def _any_of(field: str, asked: str) -> list[str]:
    if asked.startswith("!"):
        raise InvalidField(field, "filters that exclude are not supported yet")
    return [each.strip() for each in asked.split(",") if each.strip()]


def _instant(asked: int | None, more: timedelta = timedelta(0)) -> datetime | None:
    if asked is None:
        return None
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=asked) + more


def _input_format(format: nouns.InputFormat) -> dict[str, Any]:
    shown: dict[str, Any] = {"format": format.format}
    if format.format is FileFormat.JSON:
        shown["isMultiLineJson"] = format.is_multi_line_json
    if format.format is FileFormat.CSV:
        shown |= {"delimiter": format.delimiter, "quote": format.quote}
        if format.escape is not None:
            shown["escape"] = format.escape
    return shown


def _metrics(found: nouns.Batch) -> dict[str, int]:
    shown = {name: count for metric, count in found.metrics.items() for name in _METRICS[metric]}
    if found.started_at is not None:
        shown["startTime"] = milliseconds(found.started_at)
    if found.finished_at is not None:
        shown["endTime"] = milliseconds(found.finished_at)
    return shown
