"""What the specification allows breaks nothing, and what it forbids is refused.

Schemathesis makes the calls, from the specification alone, as a client of an organisation that
has one thing of each kind: their ids stand in for those of the specification's examples.
``FUZZ_EXAMPLES`` says how many calls it makes up for each operation; ``make fuzz`` sets many.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from aiohttp.test_utils import TestServer

from catalog.organisations import Scope
from catalog.store.database import Database
from service.surfaces.http import Operations
from tests.specification import FILE
from tests.surfaces.client import HttpClient, a_client, headers_for

#: Few and always the same for the tests; another seed each time for those who look for more.
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "3")
SEED = () if "FUZZ_EXAMPLES" in os.environ else ("--seed", "1")
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")

PROFILE = "https://ns.adobe.com/xdm/context/profile"


async def one_of_each(adobe: HttpClient) -> dict[str, str]:
    """Make a thing of each kind; return their ids by those of the specification's examples."""

    async def made(path: str, body: object) -> dict[str, str]:
        answer = await adobe.post(path, json=body)
        assert answer.ok, await answer.text()
        found = await answer.json()
        return {"id": found[0].rpartition("/")[2]} if isinstance(found, list) else found

    registry = "/data/foundation/schemaregistry/tenant"
    own = {"type": "object", "properties": {"crmId": {"type": "string"}}}
    document = {"title": "CRM", "allOf": [{"$ref": PROFILE}, own], "meta:immutableTags": ["union"]}
    schema = await made(f"{registry}/schemas", document)
    descriptor = await made(
        f"{registry}/descriptors",
        {
            "@type": "xdm:descriptorIdentity",
            "xdm:sourceSchema": schema["$id"],
            "xdm:sourceProperty": "/crmId",
            "xdm:namespace": "crmId",
            "xdm:isPrimary": True,
        },
    )
    datasets = "/data/foundation/catalog/dataSets"
    source = await made(datasets, {"name": "CRM", "schemaRef": {"id": schema["$id"]}})
    target = await made(datasets, {"name": "Out", "schemaRef": {"id": f"{PROFILE}__union"}})
    batch = await made("/data/foundation/import/batches", {"datasetId": source["id"]})
    policy = await made("/data/core/ups/config/mergePolicies", {"name": "All"})
    job = await made(
        "/data/core/ups/export/jobs",
        {"destination": {"datasetId": target["id"]}, "schema": {"name": "_xdm.context.profile"}},
    )
    segment = await made(
        "/data/core/ups/segment/definitions",
        {
            "name": "US",
            "expression": {"type": "PQL", "format": "pql/text", "value": 'crmId = "1"'},
            "schema": {"name": "_xdm.context.profile"},
        },
    )
    segment_job = await made("/data/core/ups/segment/jobs", [{"segmentId": segment["id"]}])
    return {
        "https://ns.adobe.com/t1a2b3c4d5e6f/schemas/8a1f3c5b7d9e": schema["$id"],
        "_t1a2b3c4d5e6f.schemas.8a1f3c5b7d9e": schema["meta:altId"],
        "2b7e8f1d9c0a": descriptor["@id"],
        "5c8c3c555033b814b69f947f": source["id"],
        "5d7f0e1c2b3a49586776a5b4": target["id"],
        "01JD9Z3V8W0Q5K7N2M4P6R8T0V": batch["id"],
        "10648288-cda5-4b52-8e0f-ef2f8fa3c5b1": policy["id"],
        "24115": str(job["id"]),
        "4afe34ae-8c98-4513-8a1d-67ccaa54bc05": segment["id"],
        "d3b4a50d-dfea-43eb-9fca-557ea53771fd": segment_job["id"],
    }


async def test_nothing_the_specification_allows_breaks_the_service_and_what_it_forbids_is_refused(
    adobe: HttpClient,
    running: TestServer,
    database: Database,
    operations: Operations,
    scope: Scope,
    tmp_path: Path,
):
    client = await a_client(scope, database, client_id="fuzz", secret="a-secret")  # noqa: S106
    ids = {**await one_of_each(adobe), "4f2d9c": client.id, "s3cr3t": "a-secret"}
    text = FILE.read_text(encoding="utf-8")
    for example, id in ids.items():
        assert example in text, example
        text = text.replace(example, id)
    specification = tmp_path / "openapi.yaml"
    specification.write_text(text, encoding="utf-8")
    headers = await headers_for(scope, database, operations, client_id="fuzzing")
    said, status = await schemathesis(specification, str(running.make_url("/")), headers)
    assert status == 0, said


async def schemathesis(
    specification: Path, url: str, headers: Mapping[str, str]
) -> tuple[str, int | None]:
    """Run the command; return what it said, and its status."""
    given = [each for name, value in headers.items() for each in ("-H", f"{name}: {value}")]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)),
        *("run", str(specification), "--url", url.rstrip("/"), "--max-examples", EXAMPLES, *SEED),
        *given,
        cwd=specification.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return said.decode(), process.returncode
