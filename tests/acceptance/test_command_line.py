"""The commands that are clients, as processes, against a service that runs."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from service.cli import INTERRUPTED, segmentations
from service.cli.batches import BATCHES
from service.cli.exports import JOBS
from tests.acceptance.service import COMMAND, Service, running
from tests.patience import PATIENCE_SECONDS


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data folder that the user of a private database can reach."""
    folder = Path(tempfile.mkdtemp(prefix="command-line-"))
    folder.chmod(0o711)
    yield folder / "data"
    shutil.rmtree(folder)


def refused(service: Service, *arguments: str) -> str:
    """Call a command that is to end with 1; return what it said."""
    with pytest.raises(subprocess.CalledProcessError) as ended:
        service.command(*arguments)
    assert ended.value.returncode == 1
    return f"{ended.value.stdout}{ended.value.stderr}"


def test_a_file_goes_in_and_profiles_come_out(data_dir, tmp_path):
    good, bad = tmp_path / "people.csv", tmp_path / "bad.csv"
    good.write_text("memberId,email,points\n1,a@example.com,7\n2,,8\n")
    bad.write_text("memberId,email,points\n3,c@example.com,9\n4,,many\n")
    named = ["--name", "Members", "--identity", "memberId=memberId", "--identity", "email=Email"]
    folder = tmp_path / "out"
    with running(data_dir) as service:
        made = json.loads(service.command("ingest", str(good), *named, "--json").stdout)
        said = refused(service, "ingest", str(bad), "--name", "Members")
        said_to_machines = refused(service, "ingest", str(bad), "--name", "Members", "--json")
        first = service.command("export", "--graph", "pdg", "--to", str(folder))
        job_id = json.loads(service.command("jobs", "list", "--json").stdout)[0]["id"]
        again = service.command("export", "--job", str(job_id), "--to", str(folder))
        shown = service.command("jobs", "show", str(job_id)).stdout
        unknown = refused(service, "jobs", "show", "999")
    assert (made["status"], made["metrics"]["outputRecordCount"]) == ("success", 2)
    assert "bad.csv:2" in said
    assert "is failed: nothing of it is visible" in said
    assert json.loads(said_to_machines[: said_to_machines.rindex("}") + 1])["status"] == "failed"
    (file,) = folder.glob("*.parquet")
    rows = pq.read_table(file).to_pylist()
    assert {row["memberId"]: row["points"] for row in rows} == {"1": 7, "2": 8}
    assert "was there" not in first.stdout
    assert "was there" in again.stdout
    assert f"export job {job_id} is succeeded" in shown
    assert "no export job 999 (404, request " in unknown


def interrupted(data_dir: Path, *arguments: str, when: Callable[[], object]) -> str:
    """Call a command and press Ctrl-C ``when`` has come back; return what it said in the end."""
    with subprocess.Popen(
        [*COMMAND, *arguments, "--data-dir", str(data_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        try:
            when()
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            process.kill()
    assert process.returncode == INTERRUPTED
    return said


@pytest.mark.parametrize(
    ("options", "status"), [([], "NEW"), (["--cancel-on-interrupt"], "CANCELLED")]
)
def test_an_interrupted_export_goes_on_unless_told_otherwise(data_dir, options, status):
    with running(data_dir, PROFILE_EXPORTS_WORKER_COUNT="0") as service:
        said = interrupted(
            data_dir,
            "export",
            *options,
            when=lambda: service.follow(JOBS, lambda answer: answer["records"]),
        )
        (job,) = service.call("GET", JOBS)["records"]
    assert job["status"] == status
    assert f"export job {job['id']} " in said
    if status == "NEW":
        assert f"`export --job {job['id']}`" in said


def test_a_batch_and_a_segment_job_go_on_when_the_commands_that_wait_are_interrupted(
    data_dir, tmp_path
):
    (tmp_path / "people.csv").write_text("memberId,points\n1,7\n")
    into = ["--name", "Members", "--identity", "memberId=memberId"]
    with running(data_dir, PROFILE_EXPORTS_WORKER_COUNT="0") as service:
        of_batch = interrupted(
            data_dir,
            "ingest",
            str(tmp_path / "people.csv"),
            *into,
            when=lambda: service.follow(
                BATCHES, lambda found: any(each["status"] == "loaded" for each in found.values())
            ),
        )
        (batch,) = service.call("GET", BATCHES).values()
        service.command("segments", "create", "rich", "points > 5")
        of_job = interrupted(
            data_dir,
            "segments",
            "run",
            when=lambda: service.follow(segmentations.JOBS, lambda answer: answer["children"]),
        )
        (job,) = service.call("GET", segmentations.JOBS)["children"]
        service.call("DELETE", f"{segmentations.JOBS}/{job['id']}")
        again = refused(service, "segments", "run", "--job", job["id"])
    assert batch["status"] == "loaded"
    assert f"batch {batch['id']} is complete and will be promoted without you" in of_batch
    assert job["status"] == "NEW"
    assert f"segment job {job['id']} goes on" in of_job
    assert f"segment job {job['id']} is cancelled" in again
