"""Data sets by way of the API: found by name, or made with all that a row needs to be merged."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import click

from catalog.field_documents import described
from catalog.schemas import (
    CLASS_FIELDS,
    EVENT_CLASS,
    IDENTITY_MAP,
    PROFILE_CLASS,
    PROFILE_UNION,
    Field,
    IdentityDescriptor,
    Kind,
    leaves,
)
from service.cli.api import Refused, Service
from service.cli.sources import Source, with_a_primary

DATASETS = "/data/foundation/catalog/dataSets"
SCHEMAS = "/data/foundation/schemaregistry/tenant/schemas"
DESCRIPTORS = "/data/foundation/schemaregistry/tenant/descriptors"
NAMESPACES = "/data/core/idnamespace/identities"

#: What the data set is called that exports go to when the caller names none.
EXPORT_DATASET = "Profile export"

_CONTENT_TYPE = "application/vnd.adobe.xed+json;version=1"
_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A data set as the catalog lists it."""

    id: str
    name: str
    schema_id: str


async def every_dataset(service: Service) -> AsyncIterator[Found]:
    """Every data set of the sandbox, page by page."""
    start = 0
    while page := await service.get(DATASETS, {"limit": _PAGE, "start": start}):
        for id, dataset in page.items():
            schema = dataset.get("schemaRef") or {}
            yield Found(id=id, name=dataset["name"], schema_id=schema.get("id", ""))
        start += len(page)
        if len(page) < _PAGE:
            return


async def find_dataset(service: Service, name: str) -> str | None:
    """The data set of that name. Refuses when several have it: then only an id tells them apart."""
    ids = [found.id async for found in every_dataset(service) if found.name == name]
    if len(ids) > 1:
        raise click.ClickException(
            f"{len(ids)} data sets are called {name}: say --dataset with one of {', '.join(ids)}"
        )
    return ids[0] if ids else None


async def export_dataset(service: Service) -> str:
    """A data set that receives exports: the one this made before, or a new one."""
    async for found in every_dataset(service):
        if found.name == EXPORT_DATASET and found.schema_id == PROFILE_UNION:
            return found.id
    return await _make_dataset(service, EXPORT_DATASET, PROFILE_UNION, tags={})


async def make_dataset(service: Service, source: Source, fields: Sequence[Field]) -> str:
    """Make a schema, its identities and a data set that takes part in profiles.

    Refuses an identity that is no field, and rows that would name nobody. A schema the service
    does not take into the profiles' leaves nothing behind.
    """
    own = _own_fields(source, fields)
    identities = _identities(source, own, fields)
    await _make_namespaces(service, identities)
    schema_id = await _make_schema(service, source, own)
    schema = f"{SCHEMAS}/{quote(schema_id, safe='')}"
    try:
        for identity in identities:
            await service.post(DESCRIPTORS, _descriptor(schema_id, identity))
        await service.patch(
            schema, [{"op": "add", "path": "/meta:immutableTags", "value": ["union"]}]
        )
    except Refused:
        await service.delete(schema)
        raise
    return await _make_dataset(
        service,
        source.name,
        schema_id,
        tags={"unifiedProfile": ["enabled:true"], "unifiedIdentity": ["enabled:true"]},
    )


def _own_fields(source: Source, fields: Sequence[Field]) -> tuple[Field, ...]:
    """The fields that the class of the rows does not have already."""
    of_class = {field.name: field for field in CLASS_FIELDS[_class_of(source)]}
    for field in fields:
        known = of_class.get(field.name)
        if known and known.kind is not field.kind and known.kind is not Kind.STRING:
            raise click.ClickException(
                f"{source.name}: {field.name} holds {field.kind} values, but means a "
                f"{known.kind} in every such row"
            )
    if source.is_event and not any(field.name == "timestamp" for field in fields):
        raise click.ClickException(f"{source.name}: events need a field called timestamp")
    return tuple(field for field in fields if field.name not in of_class)


def _identities(
    source: Source, own: tuple[Field, ...], fields: Sequence[Field]
) -> tuple[IdentityDescriptor, ...]:
    paths = {path for path, _ in leaves(tuple(own))}
    for identity in source.identities:
        if identity.path not in paths:
            known = ", ".join(sorted(".".join(path) for path in paths))
            raise click.ClickException(
                f"{source.name}: no row has a value in {'.'.join(identity.path)}; "
                + (f"there are values in {known}" if known else "there are no values at all")
            )
    if any(field.name == IDENTITY_MAP.name for field in fields):
        return source.identities
    if not source.identities:
        raise click.ClickException(
            f"{source.name}: nothing says whom its rows are about; "
            "say --identity FIELD=NAMESPACE for every field that does"
        )
    return with_a_primary(source.identities)


def _class_of(source: Source) -> str:
    return EVENT_CLASS if source.is_event else PROFILE_CLASS


async def _make_namespaces(service: Service, identities: tuple[IdentityDescriptor, ...]) -> None:
    """Register the namespaces that nobody registered yet, as ids of people."""
    known = {each["code"].lower() for each in await service.get(NAMESPACES)}
    for code in dict.fromkeys(identity.namespace for identity in identities):
        if code.lower() not in known:
            known.add(code.lower())
            body = {"name": code, "code": code, "description": "", "idType": "CROSS_DEVICE"}
            await service.post(NAMESPACES, body)


async def _make_schema(service: Service, source: Source, own: tuple[Field, ...]) -> str:
    body = {
        "title": source.name,
        "type": "object",
        "allOf": [{"$ref": _class_of(source)}, {"type": "object", **described(own)}],
    }
    made: dict[str, Any] = await service.post(SCHEMAS, body)
    return str(made["$id"])


def _descriptor(schema_id: str, identity: IdentityDescriptor) -> dict[str, object]:
    return {
        "@type": "xdm:descriptorIdentity",
        "xdm:sourceSchema": schema_id,
        "xdm:sourceVersion": 1,
        "xdm:sourceProperty": "/" + "/".join(identity.path),
        "xdm:namespace": identity.namespace,
        "xdm:property": "xdm:code",
        "xdm:isPrimary": identity.is_primary,
    }


async def _make_dataset(
    service: Service, name: str, schema_id: str, *, tags: dict[str, list[str]]
) -> str:
    (reference,) = await service.post(
        DATASETS,
        {
            "name": name,
            "schemaRef": {"id": schema_id, "contentType": _CONTENT_TYPE},
            "tags": tags,
        },
    )
    return str(reference).rpartition("/")[2]
