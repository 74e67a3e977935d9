"""Classes, field groups and data types as Adobe writes them: section 7 of the contract sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import catalog.schemas as nouns
from catalog.field_documents import described
from catalog.organisations import OrganisationId
from catalog.schema_documents import references
from catalog.schema_parts import BEHAVIOURS, PartKind, SchemaPart
from catalog.schemas import tenant_id
from catalog.standard_schemas import STANDARD
from service.surfaces.adobe.wire.batches import milliseconds
from service.surfaces.adobe.wire.registry import Shown

#: What a collection is called in addresses; ``mixins`` is what field groups were called before.
COLLECTIONS: Final = {each.value: each for each in PartKind} | {"mixins": PartKind.FIELD_GROUP}


def part(
    found: SchemaPart,
    organisation_id: OrganisationId,
    fields: Sequence[nouns.Field] | None = None,
) -> Shown:
    """One part as an answer; if its fields are given, with them in one tree."""
    shown: dict[str, Any] = dict(found.document)
    if fields is not None:
        shown = {key: shown[key] for key in shown if key not in ("allOf", "definitions", "$ref")}
        shown |= described(fields)
    is_standard = found.id in STANDARD
    owner: Shown = {
        "imsOrg": organisation_id,
        "meta:tenantNamespace": f"_{tenant_id(organisation_id)}",
    }
    return {
        **shown,
        "$id": found.id,
        "meta:altId": found.alt_id,
        "meta:resourceType": found.kind.value,
        "version": f"1.{found.version - 1}",
        "title": found.title,
        "description": found.document.get("description") or "",
        "type": "object",
        **({} if is_standard else owner),
        "meta:extends": sorted(references(found.document)),
        "meta:abstract": found.kind is not PartKind.DATA_TYPE,
        "meta:extensible": True,
        "meta:containerId": "global" if is_standard else "tenant",
        "meta:xdmType": "object",
        **_behaviour(found),
        "meta:registryMetadata": {
            "repo:createdDate": milliseconds(found.created_at),
            "repo:lastModifiedDate": milliseconds(found.updated_at),
            "xdm:createdClientId": found.created_by,
        },
    }


def _behaviour(found: SchemaPart) -> Shown:
    if found.kind is not PartKind.CLASS:
        return {}
    (behaviour,) = references(found.document) & BEHAVIOURS
    return {"meta:behavior": behaviour}
