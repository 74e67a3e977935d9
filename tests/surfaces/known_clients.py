"""Calls as the clients that we know make them: their paths, and one call that must succeed."""

from __future__ import annotations

from typing import Any

from tests.surfaces.client import HttpClient

CATALOG = "/data/foundation/catalog"
REGISTRY = "/data/foundation/schemaregistry"
IMPORT = "/data/foundation/import"
PROFILE = "https://ns.adobe.com/xdm/context/profile"
CONTENT_TYPE = "application/vnd.adobe.xed-full-notext+json; version=1"
#: How data sets say that they hold Parquet files.
IN_PARQUET = {"persisted": True, "containerFormat": "parquet", "format": "parquet"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}


async def call(
    client: HttpClient, method: str, path: str, *, status: int = 200, **sent: Any
) -> Any:
    answer = await client.request(method, path, **sent)
    assert answer.status == status, await answer.text()
    text = await answer.text()
    return await answer.json() if text else None


async def identified(client: HttpClient, schema_id: str, property: str, namespace: str) -> Any:
    """Say that a property holds the primary identity of each row, in words all clients use."""
    return await call(
        client,
        "POST",
        f"{REGISTRY}/tenant/descriptors",
        status=201,
        json={
            "@type": "xdm:descriptorIdentity",
            "xdm:sourceSchema": schema_id,
            "xdm:sourceVersion": 1,
            "xdm:sourceProperty": property,
            "xdm:namespace": namespace,
            "xdm:property": "xdm:code",
            "xdm:isPrimary": True,
        },
    )
