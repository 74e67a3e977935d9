"""The real command as a subprocess, and the calls a REST client makes of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import asyncpg
import psutil

from catalog.store.embedded import EmbeddedPostgres
from tests.patience import PATIENCE_SECONDS

POLL_SECONDS = 0.1

COMMAND = [sys.executable, "-m", "service.cli"]


class Service:
    """A service in a process of its own, called with plain HTTP as its one client."""

    def __init__(self, data_dir: Path, process: subprocess.Popen[str], base_url: str) -> None:
        self.data_dir = data_dir
        self.process = process
        self.base_url = base_url
        shown = self.command("credentials", "--json")
        self.credentials = json.loads(shown.stdout)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments, "--data-dir", str(self.data_dir)],
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )

    def call(
        self, method: str, path: str, body: Any = None, *, media: str = "application/json"
    ) -> Any:
        """Make one call; return its JSON, or its bytes when it is something else."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        given = self.credentials
        headers = {
            "Authorization": f"Bearer {given['access_token']}",
            "x-api-key": given["client_id"],
            "x-gw-ims-org-id": given["org_id"],
            "x-sandbox-name": given["sandbox"],
            "Content-Type": media,
        }
        request = Request(self.base_url + path, data=data, headers=headers, method=method)
        try:
            with urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                content = answer.read()
                is_json = answer.headers.get_content_type() == "application/json"
        except HTTPError as refused:
            raise AssertionError(f"{method} {path}: {refused.read().decode()}") from None
        return json.loads(content) if is_json and content else content

    def a_schema(self, title: str, class_id: str, properties: Mapping[str, Any]) -> str:
        """Register a schema that takes part in the union; return its id."""
        registry = "/data/foundation/schemaregistry/tenant"
        inline = {"type": "object", "properties": properties}
        document = {"title": title, "type": "object", "allOf": [{"$ref": class_id}, inline]}
        id = self.call("POST", f"{registry}/schemas", document)["$id"]
        union = [{"op": "add", "path": "/meta:immutableTags", "value": ["union"]}]
        self.call("PATCH", f"{registry}/schemas/{quote(id, safe='')}", union)
        return str(id)

    def an_identity(self, schema_id: str, path: str, namespace: str, *, is_primary: bool) -> None:
        descriptor = {
            "@type": "xdm:descriptorIdentity",
            "xdm:sourceSchema": schema_id,
            "xdm:sourceVersion": 1,
            "xdm:sourceProperty": path,
            "xdm:namespace": namespace,
            "xdm:property": "xdm:code",
            "xdm:isPrimary": is_primary,
        }
        self.call("POST", "/data/foundation/schemaregistry/tenant/descriptors", descriptor)

    def a_dataset(self, name: str, schema_id: str, *, for_profile: bool = True) -> str:
        """Make a data set; return its id."""
        tags = {"unifiedProfile": ["enabled:true"], "unifiedIdentity": ["enabled:true"]}
        document = {
            "name": name,
            "schemaRef": {
                "id": schema_id,
                "contentType": "application/vnd.adobe.xed+json;version=1",
            },
            "tags": tags if for_profile else {},
        }
        (reference,) = self.call("POST", "/data/foundation/catalog/dataSets", document)
        return str(reference).rpartition("/")[2]

    def ingest(self, dataset_id: str, files: Mapping[str, bytes], *, format: str = "json") -> str:
        """Upload files as one batch, wait until it is active and return its id."""
        imports = "/data/foundation/import/batches"
        new = {"datasetId": dataset_id, "inputFormat": {"format": format}}
        id = self.call("POST", imports, new)["id"]
        for name, content in files.items():
            path = f"{imports}/{id}/datasets/{dataset_id}/files/{name}"
            self.call("PUT", path, content, media="application/octet-stream")
        self.call("POST", f"{imports}/{id}?action=COMPLETE")
        batch = self.follow(
            f"/data/foundation/catalog/batches/{id}",
            lambda answer: answer[id]["status"] in {"success", "failed"},
        )[id]
        assert batch["status"] == "success", batch
        return str(id)

    def submit(self, dataset_id: str, **order: Any) -> dict[str, Any]:
        body = {
            "destination": {"datasetId": dataset_id},
            "schema": {"name": "_xdm.context.profile"},
            **order,
        }
        job: dict[str, Any] = self.call("POST", "/data/core/ups/export/jobs", body)
        return job

    def finish(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Wait for a job that is to succeed; return it."""
        done: dict[str, Any] = self.follow(
            f"/data/core/ups/export/jobs/{job['id']}",
            lambda answer: answer["status"] not in {"NEW", "PROCESSING"},
        )
        assert done["status"] == "SUCCEEDED", done
        return done

    def download(self, batch_id: str, folder: Path) -> list[Path]:
        """Fetch every file of a batch into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        fetched = []
        exports = "/data/foundation/export"
        for entry in self.call("GET", f"{exports}/batches/{batch_id}/files")["data"]:
            listing = self.call("GET", f"{exports}/files/{entry['dataSetFileId']}")
            for file in listing["data"]:
                content = self.call(
                    "GET", f"{exports}/files/{entry['dataSetFileId']}?path={quote(file['name'])}"
                )
                assert len(content) == int(file["length"])
                fetched.append(folder / file["name"])
                fetched[-1].write_bytes(content)
        return fetched

    def follow(self, path: str, is_over: Any) -> Any:
        """Ask until an answer satisfies. There is no call that waits: clients poll."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_over(answer := self.call("GET", path)):
            assert time.monotonic() < deadline, answer
            time.sleep(POLL_SECONDS)
        return answer

    def workers(self) -> list[psutil.Process]:
        """The worker processes that the service runs; what is about to become one is none yet."""
        return [each for each in psutil.Process(self.process.pid).children() if _is_worker(each)]

    def rows(self, question: str, *values: object) -> list[Any]:
        """What the service's own database answers."""

        async def ask() -> list[Any]:
            where = EmbeddedPostgres(self.data_dir / "postgres").connection
            connection = await asyncpg.connect(**where)
            try:
                return list(await connection.fetch(question, *values))
            finally:
                await connection.close()

        return asyncio.run(ask())


def _is_worker(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[1:4] == ["-m", "service.cli", "work"]
    except psutil.Error:  # it has ended
        return False


@contextmanager
def running(
    data_dir: Path, *, log: IO[bytes] | None = None, **environment: str
) -> Iterator[Service]:
    """Run the service with no configuration but where it keeps its data, and says what it does."""
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", "--data-dir", str(data_dir)],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        assert process.stdout is not None
        line = next((line for line in process.stdout if line.startswith("listening on ")), None)
        assert line is not None, f"the service ended with {process.wait()}"
        yield Service(data_dir, process, line.removeprefix("listening on ").strip())
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()
            if process.stdout is not None:
                process.stdout.close()
