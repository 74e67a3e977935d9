"""The real ``serve`` and the commands beside it: start, refuse, stop, die, start again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from tests.acceptance.service import COMMAND, POLL_SECONDS, Service, running
from tests.patience import PATIENCE_SECONDS

SANDBOXES = "/data/foundation/sandbox-management/sandboxes"


def command(
    data_dir: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments, "--data-dir", str(data_dir)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        env={**os.environ, **environment},
    )


def family(service: Service) -> list[psutil.Process]:
    """The service and all that it started: workers, engines, PostgreSQL."""
    process = psutil.Process(service.process.pid)
    return [process, *process.children(recursive=True)]


def postmaster(service: Service) -> psutil.Process:
    (found,) = [
        each for each in psutil.Process(service.process.pid).children() if each.name() == "postgres"
    ]
    return found


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE_SECONDS)
    assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=PATIENCE_SECONDS) as answer:
            return bool(answer.status == 200)
    except OSError:  # also what is told by an answer, and a connection that is closed without one
        return False


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for the tests that leave it as it is."""
    with running(tmp_path_factory.mktemp("serve") / "data") as service:
        yield service


def test_from_nothing_to_a_call_that_is_answered_and_an_end_in_order(data_dir: Path):
    with running(data_dir) as service:
        given = service.credentials
        assert set(given) == {
            "base_url",
            "org_id",
            "client_id",
            "client_secret",
            "sandbox",
            "access_token",
        }
        assert given["base_url"] == service.base_url
        assert service.call("GET", SANDBOXES)["sandboxes"][0]["name"] == given["sandbox"]
        service.follow(SANDBOXES, lambda _: len(service.workers()) == 1)
        everyone = family(service)
        assert len(everyone) >= 3
    assert service.process.returncode == 0
    assert_gone(everyone)
    assert not (data_dir / "service.json").exists()
    assert not answers(service.base_url + "/health")


def test_what_lets_others_in_is_readable_by_its_owner_alone(service: Service):
    for name in ("credentials.json", "service.json"):
        assert (service.data_dir / name).stat().st_mode & 0o777 == 0o600
    assert (service.data_dir / "files").stat().st_mode & 0o777 == 0o700


def test_a_second_service_on_a_folder_is_refused_and_told_where_the_first_is(service: Service):
    second = command(service.data_dir, "serve", "--port", "0")
    assert second.returncode == 1
    assert service.base_url in second.stderr
    assert str(service.process.pid) in second.stderr
    assert service.call("GET", SANDBOXES)


def test_a_port_that_is_taken_is_refused_in_words(service: Service, data_dir: Path):
    port = service.base_url.rpartition(":")[2]
    other = command(data_dir, "serve", "--port", port)
    assert other.returncode == 1
    assert f"port {port}" in other.stderr
    assert "Traceback" not in other.stderr


def test_a_service_that_is_killed_leaves_nobody_behind_and_starts_again(data_dir: Path):
    with running(data_dir) as service:
        first = service.credentials
        everyone = family(service)
        service.process.kill()
        assert_gone(everyone)
    assert (data_dir / "service.json").exists()
    beside = json.loads(command(data_dir, "credentials", "--json").stdout)
    assert beside["base_url"] == "http://127.0.0.1:8080"
    with running(data_dir) as service:
        for name in ("client_id", "client_secret", "org_id"):
            assert service.credentials[name] == first[name] == beside[name]
        assert service.call("GET", SANDBOXES)


def test_a_worker_and_a_database_that_are_killed_are_started_again(data_dir: Path):
    with running(data_dir) as service:
        service.follow(SANDBOXES, lambda _: service.workers())
        (worker,) = service.workers()
        worker.kill()
        assert_gone([worker])
        service.follow(SANDBOXES, lambda _: len(service.workers()) == 1)
        server = postmaster(service)
        server.kill()
        assert_gone([server])
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not answers(service.base_url + "/ready"):
            assert time.monotonic() < deadline
            time.sleep(POLL_SECONDS)
        assert service.call("GET", SANDBOXES)


def test_a_second_signal_ends_it_at_once(data_dir: Path):
    with running(data_dir) as service:
        everyone = family(service)
        for each in (signal.SIGINT, signal.SIGTERM):
            service.process.send_signal(each)
        service.process.wait(PATIENCE_SECONDS)
        assert_gone(everyone)


def test_migrate_says_what_it_applied(data_dir: Path):
    first, second = command(data_dir, "migrate"), command(data_dir, "migrate")
    assert re.findall(r"^applied (\d{4})_", first.stdout, re.MULTILINE)[:2] == ["0001", "0002"]
    assert second.stdout == "nothing to apply: the database is up to date\n"


def test_doctor_is_content_with_a_fresh_service_and_shows_no_secret(service: Service):
    shown = command(service.data_dir, "doctor", "--json")
    for_people = command(service.data_dir, "doctor")
    report = json.loads(shown.stdout)
    assert (shown.returncode, report["complaints"]) == (0, [])
    assert report["service"]["base_url"] == service.base_url
    assert report["database"]["is_private"] is True
    assert report["database"]["missing"] == []
    assert "nothing wrong was found" in for_people.stdout
    assert service.credentials["client_secret"] not in shown.stdout + for_people.stdout


def test_doctor_names_what_is_not_as_it_should_be(data_dir: Path):
    command(data_dir, "migrate")
    shown = command(data_dir, "doctor", "--json", PROFILE_EXPORTS_HTTP_PROT="1")
    report = json.loads(shown.stdout)
    assert shown.returncode == 1
    assert any("PROFILE_EXPORTS_HTTP_PROT" in each for each in report["complaints"])


@pytest.mark.parametrize("name", ["doctor", "sweep"])
def test_who_looks_where_nothing_is_makes_nothing(data_dir: Path, name: str):
    ended = command(data_dir, name)
    assert ended.returncode == 1
    assert "nothing was ever stored" in ended.stderr
    assert not data_dir.exists()


def test_a_sweep_by_hand_says_that_there_is_nothing_to_remove(data_dir: Path):
    command(data_dir, "migrate")
    assert command(data_dir, "sweep").stdout == "nothing to remove\n"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATABASE_URL", "postgresql://u:swordfish@127.0.0.1:1/db", "cannot be reached"),
        ("DATABASE_URL", "swordfish", "DATABASE_URL:"),
        ("PROFILE_EXPORTS_WORKER_LEASE", "soon", "PROFILE_EXPORTS_WORKER_LEASE:"),
    ],
)
def test_what_an_operator_has_to_put_right_is_said_without_a_trace_or_a_secret(
    data_dir: Path, name: str, value: str, words: str
):
    ended = command(data_dir, "migrate", **{name: value})
    assert ended.returncode == 1
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "swordfish" not in ended.stderr
