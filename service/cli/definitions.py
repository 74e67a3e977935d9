"""Properties of GrowingIO's dialect by way of the API: defined in the project of the sandbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from catalog.properties import PropertyKind, kind_of
from service.cli.api import Service

V1 = "/v1/api"

#: The collection of each kind, as paths call it.
COLLECTIONS = {
    PropertyKind.IDENTITY: "user_identities",
    PropertyKind.USER: "user_properties",
    PropertyKind.TAG: "user_tags",
}

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What is said of a property: of an identity its namespace, of others the path of a field."""

    key: str
    name: str
    path: str | None = None
    namespace: str | None = None
    description: str = ""


async def project(service: Service) -> Document:
    """The project that is the sandbox commands work in."""
    for found in await service.get(f"{V1}/projects"):
        if found["key"] == service.access.sandbox:
            one: Document = found
            return one
    raise click.ClickException(f"there is no project {service.access.sandbox}")


async def define(service: Service, wanted: Sequence[Definition]) -> list[Document]:
    """Define properties, in their order."""
    id = (await project(service))["id"]
    return [
        await service.post(
            f"{V1}/projects/{id}/{COLLECTIONS[kind_of(each.key)]}",
            {
                "key": each.key,
                "name": each.name,
                "description": each.description,
                "path": each.path,
                "namespace": each.namespace,
            },
        )
        for each in wanted
    ]
