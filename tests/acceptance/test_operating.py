"""What operators rely on: a backup that restores, a log without secrets, a port found in time."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from catalog.store import accounts, binaries
from catalog.store.embedded import EmbeddedPostgres
from tests.acceptance.service import COMMAND, Service, running
from tests.patience import PATIENCE_SECONDS

RECORD = "https://ns.adobe.com/xdm/context/profile"
BATCHES = "/data/foundation/catalog/batches"
PEOPLE = b'{"crmId": "swordfish-1"}\n{"crmId": "swordfish-2"}\n'


def program(name: str) -> Path:
    """One of PostgreSQL's programs, as the service finds them."""
    return binaries.find(accounts.unprivileged() if os.geteuid() == 0 else None).directory / name


def on_database(data_dir: Path, name: str, *arguments: str | Path) -> None:
    """Run one of PostgreSQL's programs on the private database of a service that runs."""
    where: dict[str, Any] = dict(EmbeddedPostgres(data_dir / "postgres").connection)
    place = ("-h", str(where["host"]), "-U", where["user"], "-d", where["database"])
    subprocess.run(
        [program(name), *place, *arguments],
        check=True,
        timeout=PATIENCE_SECONDS,
        env={**os.environ, "PGPASSWORD": where["password"]},
    )


def a_filled(service: Service) -> tuple[str, str]:
    """Make a data set and ingest a batch into it; return both ids."""
    schema_id = service.a_schema("People", RECORD, {"crmId": {"type": "string"}})
    service.an_identity(schema_id, "/crmId", "crmId", is_primary=True)
    dataset_id = service.a_dataset("people", schema_id)
    return dataset_id, service.ingest(dataset_id, {"people.json": PEOPLE})


def contents(service: Service, folder: Path) -> dict[str, list[bytes]]:
    """Every batch there is, with the bytes of its files."""
    found = service.call("GET", f"{BATCHES}?limit=100")
    return {id: [path.read_bytes() for path in service.download(id, folder / id)] for id in found}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A service that ran, with a backup taken in between; what it said; and what it held."""
    top = tmp_path_factory.mktemp("operating")
    data_dir, backup = top / "data", top / "backup"
    backup.mkdir()
    log = top / "log"
    with log.open("wb") as lines, running(data_dir, log=lines) as service:
        dataset_id, batch_id = a_filled(service)
        before = contents(service, top / "before")
        assert before[batch_id]
        on_database(data_dir, "pg_dump", "-Fc", "-f", backup / "database")
        later_id = service.ingest(dataset_id, {"more.json": PEOPLE.replace(b"-", b"-9")})
        shutil.copytree(data_dir / "files", backup / "files")
        shutil.copy2(data_dir / "credentials.json", backup)
        given = service.credentials
    return {
        "backup": backup,
        "before": before,
        "later": later_id,
        "log": log.read_text(encoding="utf-8"),
        "credentials": given,
    }


def test_a_restored_backup_holds_every_batch_and_doctor_names_what_is_newer(
    kept: dict[str, Any], tmp_path: Path
):
    backup, data_dir = kept["backup"], tmp_path / "data"
    subprocess.run([*COMMAND, "migrate", "--data-dir", str(data_dir)], check=True)
    shutil.copytree(backup / "files", data_dir / "files", dirs_exist_ok=True)
    shutil.copy2(backup / "credentials.json", data_dir)
    with running(data_dir, PROFILE_EXPORTS_WORKER_COUNT="0") as service:
        how = ("--clean", "--if-exists", "--single-transaction")
        on_database(data_dir, "pg_restore", *how, backup / "database")
        assert service.process.poll() is None
    with running(data_dir) as service:
        assert contents(service, tmp_path / "after") == kept["before"]
        shown = subprocess.run(
            [*COMMAND, "doctor", "--json", "--data-dir", str(data_dir)],
            capture_output=True,
            text=True,
            check=False,
        )
        report = json.loads(shown.stdout)
        assert any(kept["later"] in key for key in report["files"]["unknown"]), report["files"]
        assert report["files"]["missing"] == []


def test_no_line_of_a_real_run_holds_a_secret_or_a_row(kept: dict[str, Any]):
    log, given = kept["log"], kept["credentials"]
    assert len(log.splitlines()) > 20
    for secret in (given["client_secret"], given["access_token"], "swordfish", "password"):
        assert secret not in log, secret


def test_every_call_in_the_log_can_be_told_from_others_by_its_id(kept: dict[str, Any]):
    lines = [json.loads(line) for line in kept["log"].splitlines() if line.startswith("{")]
    calls = [line for line in lines if line["event"] == "call"]
    assert calls
    assert len({line["request_id"] for line in calls}) == len(calls)
    of_jobs = [line for line in lines if line["event"] == "job claimed"]
    assert of_jobs
    assert all(line["job"] for line in of_jobs)


def test_a_port_that_is_taken_is_found_before_a_database_is_made(tmp_path: Path):
    data_dir = tmp_path / "data"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [*COMMAND, "serve", "--port", port, "--data-dir", str(data_dir)],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
    assert ended.returncode == 1
    assert f"port {port}" in ended.stderr
    assert not (data_dir / "postgres").exists()
