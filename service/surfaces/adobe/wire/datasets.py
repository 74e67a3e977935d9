"""Data sets as Adobe's Catalog writes them: sections 2, 2.1 and 2.2 of the contract sheet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pydantic import ConfigDict, Field

from catalog import schemas
from catalog.datasets import (
    Dataset,
    DatasetDraft,
    DatasetId,
    DatasetInUse,
    ListedFile,
    checked_expiration,
    checked_tags,
    view_id,
)
from catalog.errors import InvalidField
from catalog.field_documents import described
from catalog.filters import Condition, Operator, Sort, Wanted
from catalog.listings import DATASET_FIELDS, FILE_FIELDS
from catalog.organisations import Scope
from catalog.schemas import EVENT_UNION, PROFILE_UNION, SchemaId
from service.surfaces.adobe.wire import Wire
from service.surfaces.adobe.wire.batches import STATUS, STATUS_WORDS, milliseconds
from service.surfaces.adobe.wire.filters import Instant, Page, Vocabulary

#: How callers ask for a schema when they do not say it.
_CONTENT_TYPE = "application/vnd.adobe.xed+json;version=1"

#: An older way to name a schema: by its class alone.
_LEGACY_SCHEMAS = {
    "@/xdms/context/profile": PROFILE_UNION,
    "@/xdms/context/experienceevent": EVENT_UNION,
}

#: What the service itself says of a data set: a caller's word on it is not kept.
_OWN = frozenset(
    {"id", "imsOrg", "sandboxId", "version", "created", "updated", "createdClient", "createdUser"}
    | {"updatedUser", "viewId", "files", "lastBatchId", "lastBatchStatus", "lastSuccessfulBatch"}
    | {"lastFailedBatch", "classification", "namespace", "state", "status", "observableSchema"}
)

_ANY_BEHAVIOUR = frozenset({"record", "event"})

DATASETS: Final = Vocabulary(
    noun="data sets",
    fields=DATASET_FIELDS,
    names={
        "id": "id",
        "name": "name",
        "description": "description",
        **dict.fromkeys(("schemaRef", "schemaRef.id", "schema"), "schema_id"),
        "tags": "tags",
        "version": "version",
        **dict.fromkeys(("created", "createdAfter", "createdBefore"), "created_at"),
        **dict.fromkeys(("updated", "updatedAfter", "updatedBefore"), "updated_at"),
        **dict.fromkeys(("createdUser", "createdClient"), "created_by"),
        "updatedUser": "updated_by",
        "imsOrg": "organisation_id",
        "sandboxId": "sandbox_id",
        **dict.fromkeys(
            ("classification", "classification.dataBehavior", "state", "status", "namespace"),
            "behaviour",
        ),
        "lastBatchId": "last_batch",
        "lastBatchStatus": "last_state",
        "lastSuccessfulBatch": "last_successful",
        "lastFailedBatch": "last_failed",
        "fileDescription": "file_description",
        "extensions": "extensions",
        "enableErrorDiagnostics": "error_diagnostics",
    },
    words={
        "classification.dataBehavior": {
            "record": frozenset({"record"}),
            "time-series": frozenset({"event"}),
            "adhoc": frozenset(),
        },
        # Every data set here is shown with these: the only words that are ever true, of all.
        "state": {"draft": _ANY_BEHAVIOUR},
        "status": {"enabled": _ANY_BEHAVIOUR},
        "namespace": {"acp": _ANY_BEHAVIOUR},
        "lastBatchStatus": STATUS_WORDS,
        "enableErrorDiagnostics": {each: frozenset({each}) for each in ("true", "false")},
    },
    patterns=frozenset({"name"}),
)


class SchemaRef(Wire):
    id: str = Field(min_length=1)
    content_type: str | None = None


class NewDataset(Wire):
    """The body of a create call, or what a change makes of it. Other keys are kept and echoed."""

    model_config = ConfigDict(extra="allow")

    name: str | None = None
    description: str | None = None
    schema_ref: SchemaRef | None = None
    legacy_schema: str | None = Field(None, alias="schema")
    tags: Any = None

    def draft(self) -> DatasetDraft:
        """The same in the service's own words; refuses malformed tags and a missing schema."""
        extras = {key: each for key, each in (self.model_extra or {}).items() if key not in _OWN}
        checked_expiration(extras)
        return DatasetDraft(
            name=(self.name or "").strip(),
            description=self.description or "",
            schema_id=self._schema_id(),
            schema_content_type=(self.schema_ref and self.schema_ref.content_type) or _CONTENT_TYPE,
            tags=checked_tags({} if self.tags is None else self.tags),
            extras=extras,
        )

    def _schema_id(self) -> SchemaId:
        if self.schema_ref is not None:
            return SchemaId(self.schema_ref.id)
        if self.legacy_schema is None:
            raise InvalidField("schemaRef", 'is needed: {"id": "...", "contentType": "..."}')
        try:
            return _LEGACY_SCHEMAS[self.legacy_schema.lower()]
        except KeyError:
            known = " or ".join(_LEGACY_SCHEMAS)
            raise InvalidField(
                "schema", f"must be {known}; other schemas are named by schemaRef"
            ) from None


class Listing(Page):
    """The query of a list call."""

    id: str | None = None
    name: str | None = None
    description: str | None = None
    schema_ref_id: str | None = Field(None, alias="schemaRef.id")
    tags: str | None = None
    version: str | None = None
    created: str | None = None
    created_after: Instant | None = None
    created_before: Instant | None = None
    updated: str | None = None
    updated_after: Instant | None = None
    updated_before: Instant | None = None
    created_user: str | None = None
    created_client: str | None = None
    updated_user: str | None = None
    state: str | None = None
    status: str | None = None
    namespace: str | None = None
    last_batch_id: str | None = None
    last_batch_status: str | None = None
    last_successful_batch: str | None = None
    last_failed_batch: str | None = None

    def filter(self, properties: Sequence[str]) -> Wanted:
        return self.wanted(DATASETS, properties, otherwise=Sort(field="created_at"))


FILES: Final = Vocabulary(
    noun="data set files",
    fields=FILE_FIELDS,
    names={
        "id": "id",
        **dict.fromkeys(("batch", "batchId"), "batch_id"),
        **dict.fromkeys(("dataSet", "dataSetId"), "dataset_id"),
        **dict.fromkeys(("created", "createdAfter", "createdBefore"), "created_at"),
        "updated": "updated_at",
        "size": "size_bytes",
        "records": "row_count",
        **dict.fromkeys(("createdUser", "createdClient"), "created_by"),
    },
)


class Files(Page):
    """The query of a call for the files of data sets."""

    id: str | None = None
    batch: str | None = None
    batch_id: str | None = None
    data_set: str | None = None
    data_set_id: str | None = None
    created: str | None = None
    created_after: Instant | None = None
    created_before: Instant | None = None
    created_user: str | None = None
    created_client: str | None = None

    def filter(self, properties: Sequence[str], *, of: DatasetId | None = None) -> Wanted:
        wanted = self.wanted(FILES, properties, otherwise=Sort(field="created_at"))
        if of is None:
            return wanted
        of_one = Condition(field="dataset_id", operator=Operator.IS_ANY_OF, values=(of,))
        return replace(wanted, conditions=(*wanted.conditions, of_one))

    def keyed(
        self, found: Iterable[ListedFile], scope: Scope
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """The files as an answer, by their ids."""
        for each in found:
            shown = file(each, scope)
            yield shown["id"], self.of(shown)


LATEST: Final = Vocabulary(
    noun="last batches",
    fields=DATASET_FIELDS,
    names={
        **dict.fromkeys(("dataSetId", "dataSet", "id"), "id"),
        **dict.fromkeys(("created", "createdAfter", "createdBefore"), "created_at"),
        "updated": "updated_at",
        "lastBatchId": "last_batch",
        "lastBatchStatus": "last_state",
        "lastSuccessfulBatchId": "last_successful",
        "lastFailedBatchId": "last_failed",
    },
    words={"lastBatchStatus": STATUS_WORDS},
)


class LastBatches(Page):
    """The query of a call for the newest batches of data sets."""

    data_set_id: str | None = None
    created: str | None = None
    created_after: Instant | None = None
    created_before: Instant | None = None
    last_batch_status: str | None = None

    def filter(self, properties: Sequence[str]) -> Wanted:
        """Of the data sets asked for, those that have a batch."""
        wanted = self.wanted(LATEST, properties, otherwise=Sort(field="created_at"))
        has_one = Condition(field="last_batch", operator=Operator.EXISTS)
        return replace(wanted, conditions=(*wanted.conditions, has_one))


def file(found: ListedFile, scope: Scope) -> dict[str, Any]:
    """One file of a data set as an answer."""
    created = milliseconds(found.file.created_at)
    return {
        "id": f"{found.file.batch_id}-{found.file.number}",
        "batchId": found.file.batch_id,
        "dataSetId": found.file.dataset_id,
        "dataSetViewId": view_id(DatasetId(found.file.dataset_id)),
        "imsOrg": scope.organisation_id,
        "sandboxId": str(scope.sandbox_id),
        "createdUser": found.created_by,
        "createdClient": found.created_by,
        "updatedUser": found.created_by,
        "version": "1.0.0",
        "created": created,
        "updated": created,
        "isValid": True,
        "records": found.file.row_count,
        "size": found.file.size_bytes,
    }


def latest(found: DatasetInUse, scope: Scope) -> dict[str, Any]:
    """The newest batches of one data set as an answer."""
    known = {
        "lastBatchId": found.latest.last,
        "lastBatchStatus": found.latest.last_state and STATUS[found.latest.last_state],
        "lastSuccessfulBatchId": found.latest.last_successful,
        "lastFailedBatchId": found.latest.last_failed,
    }
    return {
        **{key: value for key, value in known.items() if value is not None},
        "imsOrg": scope.organisation_id,
        "sandboxId": str(scope.sandbox_id),
        "created": milliseconds(found.dataset.created_at),
        "updated": milliseconds(found.dataset.updated_at),
    }


def observable_schema(fields: Sequence[schemas.Field]) -> dict[str, Any]:
    """The fields that rows of a data set really have, as an answer."""
    seen = {"type": "object", "meta:xdmType": "object", **described(fields)}
    return {"observableSchema": seen}


def reference(dataset: Dataset) -> str:
    return f"@/dataSets/{dataset.id}"


def written(dataset: Dataset) -> dict[str, Any]:
    """The part of a data set that callers write."""
    return {
        **dataset.extras,
        "name": dataset.name,
        "description": dataset.description,
        "schemaRef": {"id": dataset.schema_id, "contentType": dataset.schema_content_type},
        "tags": dict(dataset.tags),
    }


def dataset(found: DatasetInUse, scope: Scope) -> dict[str, Any]:
    """One data set as an answer."""
    one = found.dataset
    view = view_id(one.id)
    return {
        "fileDescription": {"persisted": True, "containerFormat": "parquet", "format": "parquet"},
        **written(one),
        "imsOrg": scope.organisation_id,
        "sandboxId": str(scope.sandbox_id),
        "namespace": "ACP",
        "state": "DRAFT",
        "status": "enabled",
        "version": f"1.0.{one.version - 1}",
        "created": milliseconds(one.created_at),
        "updated": milliseconds(one.updated_at),
        "createdClient": one.created_by,
        "createdUser": one.created_by,
        "updatedUser": one.updated_by,
        "viewId": view,
        "files": f"@/dataSets/{one.id}/views/{view}/files",
        "classification": {
            "dataBehavior": "time-series" if found.is_event else "record",
            "managedBy": "CUSTOMER",
        },
        **_batches(found),
    }


def _batches(found: DatasetInUse) -> Mapping[str, str]:
    latest = found.latest
    known = {
        "lastBatchId": latest.last,
        "lastBatchStatus": latest.last_state and STATUS[latest.last_state],
        "lastSuccessfulBatch": latest.last_successful,
        "lastFailedBatch": latest.last_failed,
    }
    return {key: value for key, value in known.items() if value is not None}
