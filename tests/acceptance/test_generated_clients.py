"""Clients generated from the specification do the main job against a running service.

Generated in Python by two generators and in TypeScript; in Java it is generated only. Each
client ingests the same people, exports their profiles, reads the batch, and cancels a job. What
needs Java or Node.js is skipped where there is none; ``.ci/run`` installs both.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.acceptance.service import Service
from tests.acceptance.service import running as run_service
from tests.patience import PATIENCE_SECONDS
from tests.specification import FILE

JOBS = Path(__file__).with_name("clients")
TOOLS = JOBS / "node_modules" / ".bin"

needs_java = pytest.mark.skipif(not shutil.which("java"), reason="there is no java on the PATH")
needs_node = pytest.mark.skipif(
    not (shutil.which("node") and (TOOLS / "tsc").exists()),
    reason="no Node.js tools: npm ci --prefix tests/acceptance/clients",
)

PEOPLE = 300


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with run_service(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People under one identity each, as lines of JSON."""
    rows = (
        {"_id": f"{n}", "identityMap": {"Email": [{"id": f"{n}@example.com", "primary": True}]}}
        for n in range(PEOPLE)
    )
    path = tmp_path_factory.mktemp("people") / "people.json"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def call(*command: object, cwd: Path) -> str:
    """Run a program that is to succeed; return what it printed."""
    done = subprocess.run(
        [str(each) for each in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE_SECONDS,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def generate(generator: str, folder: Path, **properties: str) -> None:
    """Have openapi-generator make a client in a folder."""
    given = ",".join(f"{name}={value}" for name, value in properties.items())
    run = ["java", "-jar", resources.files("openapi_generator_cli") / "openapi-generator.jar"]
    arguments = ["generate", "-g", generator, "-i", FILE, "-o", folder]
    more = ["--additional-properties", given] if given else []
    call(*run, *arguments, *more, cwd=folder.parent)


def credentials_of(service: Service) -> str:
    names = ("base_url", "client_id", "client_secret", "org_id")
    given = {name: service.credentials[name] for name in names}
    return json.dumps({**given, "base_url": service.base_url})


def check(printed: str, downloaded: Path) -> None:
    """Whether a client saw the job through, and read the profiles of everybody."""
    found: dict[str, Any] = json.loads(printed)
    profiles = pq.read_table(downloaded, columns=["_id", "identityMap"])
    assert downloaded.stat().st_size == found.pop("length")
    assert found.pop("profiles") >= PEOPLE
    assert {str(n) for n in range(PEOPLE)} <= set(profiles["_id"].to_pylist())
    assert found == {
        "batch": "success",
        "job": "SUCCEEDED",
        "cancelled": True,
        "listed": ["CANCELLED", "SUCCEEDED"],
        "refused": "not_found",
    }


def test_a_client_by_openapi_python_client_does_the_job(
    running: Service, people: Path, tmp_path: Path
):
    configuration = tmp_path / "configuration.json"
    # Of media types it does not know it wants to be told which one they are like.
    bytes_as = {"application/parquet": "application/octet-stream"}
    settings = {"package_name_override": "generated", "content_type_overrides": bytes_as}
    configuration.write_text(json.dumps({**settings, "post_hooks": []}))
    call(
        *(sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"),
        *("--path", FILE, "--config", configuration, "--output-path", tmp_path / "generated"),
        cwd=tmp_path,
    )
    job, target = JOBS / "openapi_python_client_job.py", tmp_path / "profiles.parquet"
    arguments = (tmp_path, credentials_of(running), people, target)
    check(call(sys.executable, job, *arguments, cwd=tmp_path), target)


@needs_java
def test_a_python_client_by_openapi_generator_does_the_job(
    running: Service, people: Path, tmp_path: Path
):
    generate("python", tmp_path / "client", packageName="generated")
    job, target = JOBS / "openapi_generator_job.py", tmp_path / "profiles.parquet"
    arguments = (tmp_path / "client", credentials_of(running), people, target)
    check(call(sys.executable, job, *arguments, cwd=tmp_path), target)


@needs_java
@needs_node
def test_a_typescript_client_is_strictly_typed_and_does_the_job(
    running: Service, people: Path, tmp_path: Path
):
    generate("typescript-fetch", tmp_path / "generated")
    shutil.copy(JOBS / "typescript_fetch_job.ts", tmp_path)
    (tmp_path / "node_modules").symlink_to(JOBS / "node_modules")
    options = {
        "strict": True,
        "target": "es2022",
        "module": "node16",
        "rootDir": ".",
        "outDir": "compiled",
        "types": ["node"],
    }
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options}))
    call(TOOLS / "tsc", cwd=tmp_path)
    target = tmp_path / "profiles.parquet"
    job = tmp_path / "compiled" / "typescript_fetch_job.js"
    check(call("node", job, credentials_of(running), people, target, cwd=tmp_path), target)


@needs_java
def test_a_java_client_can_be_generated(tmp_path: Path):
    generate("java", tmp_path / "client", library="native")
    made = tmp_path / "client" / "src" / "main" / "java" / "org" / "openapitools" / "client"
    assert "createExportJob(" in (made / "api" / "ExportJobsApi.java").read_text(encoding="utf-8")


@needs_node
def test_the_specification_lints_clean():
    call(TOOLS / "redocly", "lint", "--config", JOBS / "redocly.yaml", FILE, cwd=FILE.parent)
