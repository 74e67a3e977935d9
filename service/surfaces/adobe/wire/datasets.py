"""Data sets as Adobe's Catalog writes them: sections 2, 2.1 and 2.2 of the contract sheet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, ConfigDict, Field

from catalog.datasets import (
    Dataset,
    DatasetDraft,
    DatasetFilter,
    DatasetInUse,
    checked_tags,
    view_id,
)
from catalog.errors import InvalidField
from catalog.organisations import Scope
from catalog.schemas import EVENT_UNION, PROFILE_UNION, SchemaId
from service.surfaces.adobe.wire import Wire
from service.surfaces.adobe.wire.batches import STATUS, milliseconds

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

#: Filters of the documents that this service does not have. To ignore one would be to answer
#: another question than the one that was asked.
_MISSING_FILTERS = frozenset(
    {"property", "tags", "created", "updated", "createdAfter", "createdBefore", "version"}
    | {"createdUser", "createdClient", "updatedUser", "schema", "schemaRef.id", "id"}
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


class Selection(Wire):
    """The query of a call for one data set."""

    properties: str | None = None

    def of(self, shown: dict[str, Any]) -> dict[str, Any]:
        """Of an answer, what was asked for; nothing if it has none of that."""
        if self.properties is None:
            return shown
        names = [name.strip() for name in self.properties.split(",")]
        return {name: shown[name] for name in names if name in shown}


class Listing(Selection):
    """The query of a list call."""

    model_config = ConfigDict(extra="allow")

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    start: Annotated[
        int, Field(ge=0, le=2**31, validation_alias=AliasChoices("start", "offset"))
    ] = 0
    order_by: str = Field("asc:created", validation_alias=AliasChoices("orderBy", "sort"))
    name: str | None = None

    def filter(self) -> DatasetFilter:
        missing = sorted(_MISSING_FILTERS & (self.model_extra or {}).keys())
        if missing:
            raise InvalidField(missing[0], "data sets cannot be filtered by it yet")
        direction, _, field = self.order_by.rpartition(":")
        if direction not in {"", "asc", "desc"}:
            raise InvalidField("orderBy", f"{direction!r} is neither asc nor desc")
        names = None if self.name is None else self.name.removeprefix("!").split(",")
        return DatasetFilter(
            names=names,
            is_negated=names is not None and str(self.name).startswith("!"),
            sort=_sort(field),
            is_descending=direction == "desc",
        )


def _sort(field: str) -> Literal["name", "created", "updated"]:
    match field:
        case "name" | "created" | "updated":
            return field
    raise InvalidField("orderBy", f"{field!r} is none of name, created, updated")


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
