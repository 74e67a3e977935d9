"""The demo as a newcomer runs it: a process of its own, with nothing set."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from service.cli import INTERRUPTED
from service.cli.demo_data import generate
from tests.acceptance.service import COMMAND
from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
PEOPLE = 500


def demo(*arguments: str, place: Path, terminal: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the demo to its end, with its folder below ``place``, as called in ``terminal``."""
    done = subprocess.run(
        [*COMMAND, "demo", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_SECONDS,
        cwd=terminal,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(place)},
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def place() -> Iterator[Path]:
    """Where the demo may put its folder. Not below pytest's own, which is closed to the user
    that a private database runs as, again and again by every other run."""
    folder = Path(tempfile.mkdtemp(prefix="demo-place-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def rows_of(shown: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        row
        for file in shown["export"]["files"]
        for row in pq.read_table(file["path"]).to_pylist(maps_as_pydicts="strict")
    ]


def test_what_comes_out_is_what_the_generated_customers_say(place, tmp_path):
    target = tmp_path / "profiles"
    done = demo("--people", str(PEOPLE), "--json", "--to", str(target), place=place)
    shown = json.loads(done.stdout)
    (tmp_path / "again").mkdir()
    sources, truth = generate(tmp_path / "again", PEOPLE)
    rows = rows_of(shown)
    assert shown["differences"] == []
    assert len(rows) == truth.profile_count
    assert sum(len(row["timeSeriesEvents"] or ()) for row in rows) == truth.event_count
    for namespace, count in truth.profiles_by_namespace.items():
        assert sum(namespace in row["identityMap"] for row in rows) == count
    assert [each["name"] for each in shown["datasets"]] == [source.name for source in sources]
    assert [each["metrics"]["outputRecordCount"] for each in shown["datasets"]] == [
        sum(1 for _ in source.files.rows()) for source in sources
    ]
    assert len(shown["profiles"]) == 3
    for profile in shown["profiles"]:
        assert len(profile["identities"]) > 1
        assert [field["path"] for field in profile["fields"] if not field["agrees"]] == []
    reasons = [field["because"] for each in shown["profiles"] for field in each["fields"]]
    assert any(reason.startswith("newest; ") for reason in reasons)
    assert list(place.iterdir()) == []


def test_a_readers_own_folder_is_taken_instead(place, tmp_path):
    own = tmp_path / "own"
    (own / "visits").mkdir(parents=True)
    (own / "members.csv").write_text("memberId,email,city\n1,a@example.com,Ostrey\n2,,\n")
    (own / "shop.jsonl").write_text('{"email": "a@example.com", "city": "Pellham"}\n')
    for day in (1, 2):
        visit = {"_id": f"v{day}", "timestamp": f"2025-01-0{day}T00:00:00Z", "memberId": "1"}
        (own / "visits" / f"{day}.json").write_text(json.dumps([visit]))
    done = demo("--from", str(own), "--json", "--to", str(tmp_path / "out"), place=place)
    shown = json.loads(done.stdout)
    found = {row["memberId"]: row for row in rows_of(shown)}
    assert {id: row["city"] for id, row in found.items()} == {"1": "Pellham", "2": None}
    assert [event["_id"] for event in found["1"]["timeSeriesEvents"]] == ["v1", "v2"]
    assert "visits: events; memberId is memberId (primary) (guessed)" in shown["remarks"]


@contextmanager
def kept(place: Path, terminal: Path) -> Iterator[str]:
    """A demo that leaves its service running, and the end of that as the demo says to do it."""
    shown = demo("--people", "200", "--keep", place=place, terminal=terminal).stdout
    found = re.search(r"kill (\d+)`, then remove it with `(rm -r \S+)`", shown)
    assert found
    service = psutil.Process(int(found[1]))
    try:
        yield shown
    finally:
        service.terminate()
        service.wait(PATIENCE_SECONDS)
        subprocess.run(found[2].split(), check=True)


def test_a_kept_service_is_shown_to_people_and_can_be_used_by_hand(place, tmp_path):
    with kept(place, tmp_path) as shown:
        for words in (
            "What went in",
            "Loyalty programme",
            "where each field came from",
            "What came out: batch ",
            "As it must be",
            "start the service",
        ):
            assert words in shown
        assert "\x1b" not in shown
        by_hand = shown[shown.index("BASE=") : shown.index("The service goes on")]
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", by_hand],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=PATIENCE_SECONDS,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert '"status":"NEW"' in done.stdout
        assert '"status":"SUCCEEDED"' in done.stdout
        (downloaded,) = tmp_path.glob("*.parquet")
        assert pq.read_metadata(downloaded).num_rows > 0
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("told", "status", "word"),
    [(signal.SIGINT, INTERRUPTED, "interrupted"), (signal.SIGTERM, 1, "Aborted!")],
)
def test_an_interrupted_demo_leaves_nothing_behind(place, told, status, word):
    with subprocess.Popen(
        [*COMMAND, "demo", "--people", "2000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(place)},
    ) as process:
        try:
            assert process.stdout is not None
            said = iter(process.stdout)
            assert any(line.startswith("a service listens on ") for line in said)
            children = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(told)
            rest = "".join(said)
            process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()
    assert process.returncode == status
    assert rest.strip() == word
    gone, alive = psutil.wait_procs(children, timeout=PATIENCE_SECONDS)
    assert (len(gone) > 0, alive) == (True, [])
    assert list(place.iterdir()) == []
