"""Catalog's own changes to batches as Adobe writes them: section 2 of the contract sheet.

A batch is what ingestion made of it. What callers may change of it here are the words they gave
it, and its status where ingestion lets them. A change that names anything else is refused, so
that nobody takes for done what was not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AliasChoices, BeforeValidator, Field

import catalog.batches as nouns
from catalog.batches import Amendment, BatchEvent
from catalog.datasets import checked_tags
from catalog.errors import InvalidField
from catalog.organisations import Scope
from service.surfaces.adobe.wire import Wire, batches
from service.surfaces.adobe.wire.batches import ExternalId, InputFormat, Replay

#: The steps that callers may ask for, by the status they lead to.
_STEPS: Final = {
    "loaded": BatchEvent.COMPLETE,
    "aborted": BatchEvent.ABORT,
    "failed": BatchEvent.FAIL,
    "failure": BatchEvent.FAIL,
    "inactive": BatchEvent.REVERT,
}
#: What callers say of a batch; all else of it is the service's to say.
_SAID: Final = frozenset({"externalId", "tags", "status"})


class RelatedObject(Wire):
    type: str
    id: str


class NewBatch(Wire):
    """The body of Catalog's create call. The data set may be named in either of three ways."""

    status: Annotated[str, BeforeValidator(batches.lowered)]
    dataset_id: str | None = Field(
        None, validation_alias=AliasChoices("dataSetId", "datasetId", "dataSet")
    )
    related_objects: list[RelatedObject] | None = None
    input_format: InputFormat | None = None
    external_id: ExternalId | None = None
    tags: Annotated[dict[str, list[str]] | None, BeforeValidator(batches.lists)] = None
    replay: Replay | None = None

    def noun(self) -> nouns.NewBatch:
        """The same request in the service's own words; refuses a batch that is not to begin."""
        if self.status != "loading":
            raise InvalidField(
                "status", f"{self.status!r}: a batch begins as loading, and becomes what it becomes"
            )
        related = [each.id for each in self.related_objects or () if each.type == "dataSet"]
        named = [*([self.dataset_id] if self.dataset_id else []), *related]
        if len(set(named)) != 1:
            raise InvalidField("dataSetId", "name the one data set the batch is for")
        return nouns.NewBatch(
            dataset_id=named[0],
            input_format=(self.input_format or InputFormat()).noun(),
            external_id=self.external_id,
            tags=self.tags or {},
            replay=self.replay.noun() if self.replay else None,
        )


def amendment(batch: nouns.Batch, scope: Scope, document: Mapping[str, Any]) -> Amendment:
    """What a document makes of a batch that is shown otherwise; refuses what is not to change."""
    shown = batches.batch(batch, scope)
    for key in sorted({*shown, *document} - _SAID):
        if document.get(key) != shown.get(key):
            raise InvalidField(key, f"of a batch only {', '.join(sorted(_SAID))} can be changed")
    return replacement(batch, document)


def replacement(batch: nouns.Batch, document: Mapping[str, Any]) -> Amendment:
    """What a batch becomes that is to be as a document says. What is ours to say is passed over:
    callers send back what they read, which may have changed since."""
    asked = {key: value for key, value in document.items() if value is not None}
    external_id = asked.get("externalId")
    if not isinstance(external_id, str | None):
        raise InvalidField("externalId", "must be a string")
    if external_id is not None and len(external_id) > nouns.EXTERNAL_ID_LENGTH:
        raise InvalidField("externalId", f"must have {nouns.EXTERNAL_ID_LENGTH} characters at most")
    status = batches.status(batch)
    return Amendment(
        external_id=external_id,
        tags=checked_tags(batches.lists(asked.get("tags", {}))),
        event=_step(status, asked.get("status", status)),
    )


def _step(status: str, asked: object) -> BatchEvent | None:
    if not isinstance(asked, str) or asked.lower() not in batches.STATUS_WORDS:
        raise InvalidField("status", f"{asked!r} is none of {', '.join(batches.STATUS_WORDS)}")
    asked = asked.lower()
    if batches.STATUS_WORDS[asked] == batches.STATUS_WORDS[status]:
        return None
    if asked not in _STEPS:
        raise InvalidField("status", f"no caller makes a batch {asked}, only {', '.join(_STEPS)}")
    return _STEPS[asked]


def reference(batch_id: str) -> str:
    return f"@/batches/{batch_id}"
