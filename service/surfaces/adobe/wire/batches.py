"""Batches as Adobe writes them: sections 2.2, 2.3 and 3 of the contract sheet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import AliasChoices, BeforeValidator, Field, StrictBool, StrictFloat

import catalog.batches as nouns
from catalog.batches import BatchId, BatchMetric, BatchState, FileFormat
from catalog.errors import InvalidField
from catalog.filters import Sort, Wanted
from catalog.listings import BATCH_FIELDS, PROMOTING
from catalog.organisations import Scope
from service.surfaces.adobe.wire import Wire
from service.surfaces.adobe.wire.filters import Instant, Page, Vocabulary

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
    BatchMetric.SKIPPED_ROW_COUNT: ("skippedRecordCount",),
}

#: Batches one replay may name, of either kind. Ours.
_MOST_PREDECESSORS = 1000


def lowered(value: object) -> object:
    """A word in small letters; anything else as it is."""
    return value.lower() if isinstance(value, str) else value


def lists(value: object) -> object:
    """Tags with their values as lists, also where a caller wrote a bare string."""
    if not isinstance(value, dict):
        return value
    return {name: [each] if isinstance(each, str) else each for name, each in value.items()}


def is_utf8(charset: str) -> bool:
    """Tell whether files of a charset can be read: they are UTF-8, or a part of it."""
    return charset.lower().replace("-", "") in {"utf8", "usascii"}


def _undecorated(name: str) -> str:
    """A name without the signs of a variable that documents and clients put around ids."""
    found = re.fullmatch(r"\$\{(.*)\}|\$(.*)", name, re.DOTALL)
    return (found[1] or found[2] or "") if found else name


Character = Annotated[str, Field(min_length=1, max_length=1, pattern=r"^[\x01-\x7f]$")]
Predecessors = Annotated[list[str], Field(max_length=_MOST_PREDECESSORS)]


class InputFormat(Wire):
    format: Annotated[FileFormat, BeforeValidator(lowered)] = FileFormat.PARQUET
    is_multi_line_json: StrictBool | None = None
    delimiter: Character | None = None
    quote: Character | None = None
    escape: Character | None = None
    charset: str | None = None
    header: Any = None
    null_marker: str | None = None

    def noun(self) -> nouns.InputFormat:
        if self.charset and not is_utf8(self.charset):
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


ExternalId = Annotated[str, Field(max_length=nouns.EXTERNAL_ID_LENGTH)]


class NewBatch(Wire):
    """The body of a create call."""

    dataset_id: str = Field(min_length=1, validation_alias=AliasChoices("datasetId", "dataSetId"))
    input_format: InputFormat | None = None
    external_id: ExternalId | None = None
    tags: Annotated[dict[str, list[str]] | None, BeforeValidator(lists)] = None
    replay: Replay | None = None
    enable_error_diagnostics: StrictBool | None = None
    partial_ingestion_percentage: Annotated[StrictFloat, Field(ge=0, le=100)] | None = None

    def noun(self) -> nouns.NewBatch:
        """The same request in the service's own words."""
        return nouns.NewBatch(
            dataset_id=self.dataset_id,
            input_format=(self.input_format or InputFormat()).noun(),
            external_id=self.external_id,
            tags=self.tags or {},
            replay=self.replay.noun() if self.replay else None,
            tolerated_percentage=self.partial_ingestion_percentage or 0.0,
            has_diagnostics=bool(self.enable_error_diagnostics),
        )


def _words() -> dict[str, frozenset[str]]:
    """Where a batch may stand, by each status it is shown with or may be asked for by."""
    words: dict[str, set[str]] = {name: set() for name in (*STATUS.values(), *_UNUSED)}
    for state, status in STATUS.items():
        words[status].add(state)
    words["processing"].add(PROMOTING)
    words |= {name: words[known] for name, known in _SYNONYMS.items()}
    return {name: frozenset(states) for name, states in words.items()}


STATUS_WORDS: Final = _words()

BATCHES: Final = Vocabulary(
    noun="batches",
    fields=BATCH_FIELDS,
    names={
        **dict.fromkeys(("id", "batch"), "id"),
        **dict.fromkeys(("dataSet", "dataSetId"), "dataset_id"),
        "status": "state",
        "externalId": "external_id",
        "tags": "tags",
        "version": "version",
        **dict.fromkeys(("created", "createdAfter", "createdBefore"), "created_at"),
        "updated": "updated_at",
        **dict.fromkeys(("started", "startAfter", "startBefore"), "started_at"),
        **dict.fromkeys(("completed", "endAfter", "endBefore"), "finished_at"),
        "recordCount": "row_count",
        "failedRecordCount": "failed_row_count",
        "size": "size_bytes",
        **dict.fromkeys(("createdUser", "createdClient"), "created_by"),
        "updatedUser": "updated_by",
        "imsOrg": "organisation_id",
        "sandboxId": "sandbox_id",
        "inputFormat": "input_format",
        "replay": "replay",
        "errors": "errors",
        "metrics": "metrics",
    },
    words={"status": STATUS_WORDS},
)


class Listing(Page):
    """The query of a list call."""

    id: str | None = None
    batch: str | None = None
    data_set: str | None = None
    data_set_id: str | None = None
    status: str | None = None
    external_id: str | None = None
    tags: str | None = None
    version: str | None = None
    created: str | None = None
    created_after: Instant | None = None
    created_before: Instant | None = None
    updated: str | None = None
    started: str | None = None
    start_after: Instant | None = None
    start_before: Instant | None = None
    completed: str | None = None
    end_after: Instant | None = None
    end_before: Instant | None = None
    record_count: str | None = None
    failed_record_count: str | None = None
    size: str | None = None
    created_user: str | None = None
    created_client: str | None = None
    updated_user: str | None = None

    def filter(self, properties: Sequence[str]) -> Wanted:
        newest_first = Sort(field="created_at", is_descending=True)
        return self.wanted(BATCHES, properties, otherwise=newest_first)


def batch(found: nouns.Batch, scope: Scope) -> dict[str, Any]:
    """One batch as an answer."""
    counts = found.metrics
    records = counts.get(BatchMetric.OUTPUT_ROW_COUNT, counts.get(BatchMetric.INPUT_ROW_COUNT, 0))
    shown: dict[str, Any] = {
        "id": found.id,
        "imsOrg": scope.organisation_id,
        "sandboxId": str(scope.sandbox_id),
        "status": status(found),
        "created": milliseconds(found.created_at),
        "updated": milliseconds(found.updated_at),
        "relatedObjects": [{"type": "dataSet", "id": found.dataset_id}],
        "version": f"1.0.{found.version - 1}",
        "tags": found.tags,
        "createdUser": found.created_by,
        "createdClient": found.created_by,
        "updatedUser": found.updated_by,
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
        "enableErrorDiagnostics": found.has_diagnostics,
        "partialIngestionPercentage": found.tolerated_percentage,
    }
    if found.ignored_fields:
        shown["ignoredFields"] = found.ignored_fields
    if found.is_worked_on and found.progress and found.state is BatchState.LOADED:
        shown["progress"] = {name: found.progress.get(name) for name in ("phase", "done", "total")}
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


def status(found: nouns.Batch) -> str:
    """What a batch is shown as."""
    is_promoting = found.is_worked_on and found.state is BatchState.LOADED
    return "processing" if is_promoting else STATUS[found.state]


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
