"""Identity namespaces as Adobe writes them: section 6 of the contract sheet."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

import catalog.identities as nouns
from catalog.identities import NAMESPACE_CODE_LENGTH, IdType, NamespaceDraft
from service.surfaces.adobe.wire import Wire
from service.surfaces.adobe.wire.batches import milliseconds


def _raised(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _printable(value: object) -> object:
    if isinstance(value, str) and not value.isprintable():
        raise ValueError("must be printable text")
    return value


Code = Annotated[
    str,
    Field(min_length=1, max_length=NAMESPACE_CODE_LENGTH, pattern=r"^\S+$"),
    BeforeValidator(_printable),
]


class NewNamespace(Wire):
    """The body of a create call."""

    code: Code
    name: str | None = None
    description: str | None = None
    id_type: Annotated[IdType, BeforeValidator(_raised)]

    def draft(self) -> NamespaceDraft:
        return NamespaceDraft(
            code=self.code,
            name=self.name or self.code,
            description=self.description or "",
            id_type=self.id_type,
        )


def namespace(found: nouns.Namespace) -> dict[str, Any]:
    """One namespace as an answer."""
    return {
        "id": found.id,
        "code": found.code,
        "name": found.name,
        "description": found.description,
        "idType": found.id_type,
        "custom": found.is_custom,
        "status": "ACTIVE",
        "createTime": milliseconds(found.created_at),
        "updateTime": milliseconds(found.updated_at),
    }
