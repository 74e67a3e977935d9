"""Data sets as Adobe's Catalog writes them: sections 2, 2.1 and 2.2 of the contract sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ConfigDict, Field

from catalog.datasets import (
    Dataset,
    DatasetDraft,
    DatasetInUse,
    checked_tags,
    view_id,
)
from catalog.errors import InvalidField
from catalog.filters import Sort, Wanted
from catalog.listings import DATASET_FIELDS
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
