"""The private PostgreSQL: who owns it, what it survives, and what it refuses with which words."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
from pathlib import Path

import asyncpg
import pytest

from catalog.store import clusters, embedded, leash
from catalog.store.accounts import Account
from catalog.store.embedded import EmbeddedPostgres
from catalog.store.obstacles import Obstacle
from tests.patience import PATIENCE_SECONDS
from tests.store.conftest import needs_root

PATH = os.pathsep.join([str(Path(__file__).parents[2]), sysconfig.get_path("purelib")])
NEEDED = "asyncpg, structlog, catalog.store.embedded"
SYSTEMS_OLD_BINARIES = Path("/usr/lib/postgresql/15/bin")

#: Starts a server in the folder it is given, says what became of it, and waits to be told to go.
PROCESS = """
import asyncio, pathlib, sys
import asyncpg
from catalog.store.embedded import EmbeddedPostgres

async def main():
    postgres = EmbeddedPostgres(pathlib.Path(sys.argv[1]))
    await postgres.start()
    connection = await asyncpg.connect(**postgres.connection)
    rows = await connection.fetchval("SELECT count(*) FROM pg_class WHERE relname = 'kept'")
    await connection.close()
    pid = (postgres.data / "postmaster.pid").read_text().split()[0]
    print("owner" if postgres.is_owner else "guest", rows, pid, flush=True)
    sys.stdin.readline()
    postgres.stop()

asyncio.run(main())
"""


class Process:
    """Another process with a server of the same folder."""

    def __init__(self, folder: Path, python: str | Path = sys.executable, **options) -> None:
        self._running = subprocess.Popen(
            [python, "-c", PROCESS, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": PATH},
            cwd="/",
            **options,
        )
        said = self._running.stdout.readline().split()
        assert said, "it did not start"
        self.role, self.has_kept, self.postmaster = said[0], said[1] == "1", int(said[2])

    def leave(self) -> None:
        self._running.communicate("go\n", timeout=PATIENCE_SECONDS)

    def kill(self) -> None:
        self._running.kill()
        self._running.communicate()


def wait_for_end(pid: int) -> bool:
    """Wait until a process that is not ours ends; False when it does not."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    readable, _, _ = select.select([handle], [], [], PATIENCE_SECONDS)
    os.close(handle)
    return bool(readable)


async def ask(postgres: EmbeddedPostgres, sql: str) -> object:
    connection = await asyncpg.connect(**postgres.connection)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_it_starts_from_nothing_and_nobody_else_can_reach_it(folder: Path):
    postgres = EmbeddedPostgres(folder)
    await postgres.start()
    assert postgres.is_owner
    assert await ask(postgres, "SHOW listen_addresses") == ""
    assert await ask(postgres, "SHOW password_encryption") == "scram-sha-256"
    assert postgres.socket_directory.stat().st_mode & 0o777 == 0o700
    assert (folder / "password").stat().st_mode & 0o777 == 0o600
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(**{**postgres.connection, "password": "guessed"})
    postgres.stop()
    assert not clusters.processes_in(postgres.data)


async def test_letters_fold_alike_on_every_machine(old_folder: Path):
    postgres = EmbeddedPostgres(old_folder)
    await postgres.start()
    assert await ask(postgres, "SELECT lower('ÄÉŁ')") == "äéł"
    sorted_letters = "SELECT string_agg(x, '' ORDER BY x) FROM unnest('{b,B,a}'::text[]) AS x"
    assert await ask(postgres, sorted_letters) == "Bab"
    postgres.stop()


async def test_a_second_process_attaches_and_leaves_the_server_running(old_folder: Path):
    postgres = EmbeddedPostgres(old_folder)
    await postgres.start()
    second = Process(old_folder)
    assert second.role == "guest"
    with pytest.raises(RuntimeError, match="another process's"):
        EmbeddedPostgres(old_folder).remove()
    second.leave()
    assert await ask(postgres, "SELECT 1") == 1
    postgres.stop()


async def test_a_killed_owner_leaves_no_orphan_and_loses_nothing(old_folder: Path):
    owner = Process(old_folder)
    postgres = EmbeddedPostgres(old_folder)
    await postgres.start()
    assert (owner.role, postgres.is_owner) == ("owner", False)
    await ask(postgres, "CREATE TABLE kept ()")
    postgres.stop()
    owner.kill()
    assert wait_for_end(owner.postmaster)
    heir = Process(old_folder)
    assert (heir.role, heir.has_kept) == ("owner", True)
    heir.leave()


async def test_an_orphan_that_does_not_end_is_told_to_quit_at_once(
    old_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """One that was told to end while it recovered from a crash waits for ever."""
    owner = Process(old_folder)
    heir = EmbeddedPostgres(old_folder)
    held = await asyncpg.connect(**heir.connection)
    os.kill(await held.fetchval("SELECT pg_backend_pid()"), signal.SIGSTOP)
    owner.kill()
    monkeypatch.setattr(embedded, "STOP_TIMEOUT_SECONDS", 0.5)
    await heir.start()
    assert heir.is_owner
    assert await ask(heir, "SELECT 1") == 1
    heir.stop()
    held.terminate()


async def test_a_guest_becomes_the_owner_when_the_owner_is_killed(old_folder: Path):
    owner = Process(old_folder)
    postgres = EmbeddedPostgres(old_folder)
    await postgres.start()
    owner.kill()
    await postgres.start()
    assert postgres.is_owner
    assert await ask(postgres, "SELECT 1") == 1
    postgres.stop()


async def test_a_killed_server_recovers(old_folder: Path):
    postgres = EmbeddedPostgres(old_folder)
    await postgres.start()
    await ask(postgres, "CREATE TABLE kept ()")
    for pid in clusters.processes_in(postgres.data):
        os.kill(pid, signal.SIGKILL)
    assert all(map(wait_for_end, clusters.processes_in(postgres.data)))
    await postgres.start()
    assert await ask(postgres, "SELECT count(*) FROM kept") == 0
    postgres.stop()


async def test_a_server_that_is_still_ending_when_it_is_started_again_is_replaced(
    old_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    postgres = EmbeddedPostgres(old_folder)
    await postgres.start()
    ending = postgres._server
    assert ending is not None
    ending.kill()
    ending.wait()
    polled: list[int | None] = [None]  # the first time it seems to run
    real = ending.poll
    monkeypatch.setattr(ending, "poll", lambda: polled.pop() if polled else real())
    await postgres.start()
    assert await ask(postgres, "SELECT 1") == 1
    postgres.stop()


async def test_a_pid_that_was_used_again_keeps_nobody_out(old_folder: Path):
    postgres = EmbeddedPostgres(old_folder)
    await postgres.start()
    left_behind = {
        name: (postgres.data / name).read_text()
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock")
    }
    owner = (postgres.data / "PG_VERSION").stat()
    postgres.stop()
    unrelated = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    for name, text in left_behind.items():
        path = postgres.data / name
        path.write_text("\n".join([str(unrelated.pid), *text.split("\n")[1:]]))
        os.chown(path, owner.st_uid, owner.st_gid)
    await postgres.start()
    assert await ask(postgres, "SELECT 1") == 1
    postgres.stop()
    unrelated.communicate()


async def test_an_interrupted_initdb_is_started_over(folder: Path):
    folder.mkdir()
    (folder / "new-half").mkdir()
    (folder / "new-half" / "PG_VERSION").write_text("18\n")
    postgres = EmbeddedPostgres(folder)
    await postgres.start()
    assert not list(folder.glob("new-*"))
    postgres.stop()


async def test_a_database_of_another_major_version_is_refused_with_the_recipe(old_folder: Path):
    postgres = EmbeddedPostgres(old_folder)
    (postgres.data / "PG_VERSION").write_text("14\n")
    recipe = r"was made by PostgreSQL 14.*PG_BINDIR.*pg_dump.*pg_restore"
    with pytest.raises(Obstacle, match=recipe):
        await postgres.start()
    assert not postgres.is_owner


async def test_a_database_without_its_password_is_refused(old_folder: Path):
    postgres = EmbeddedPostgres(old_folder)
    (old_folder / "password").unlink()
    with pytest.raises(Obstacle, match="password is missing: put it back"):
        await postgres.start()


async def test_a_database_with_another_password_is_refused(old_folder: Path):
    postgres = EmbeddedPostgres(old_folder)
    (old_folder / "password").write_text("another")
    with pytest.raises(Obstacle, match=r"is not the password .* was made with"):
        await postgres.start()
    assert not clusters.processes_in(postgres.data)


async def test_what_postgres_says_when_it_does_not_start_is_passed_on(old_folder: Path):
    postgres = EmbeddedPostgres(old_folder, settings={"shared_buffers": "much"})
    with pytest.raises(Obstacle, match='invalid value for parameter "shared_buffers"'):
        await postgres.start()
    assert not postgres.is_owner


@pytest.mark.parametrize("name", ["long-" * 30, "with, comma", 'with "quotes" and spaces'])
async def test_any_path_will_do(old_folder: Path, name: str):
    postgres = EmbeddedPostgres(old_folder.rename(old_folder.with_name(name)))
    await postgres.start()
    assert await ask(postgres, "SELECT 1") == 1
    elsewhere = postgres.socket_directory
    postgres.remove()
    assert not elsewhere.exists()


@pytest.mark.skipif(not SYSTEMS_OLD_BINARIES.exists(), reason="the system has no PostgreSQL 15")
async def test_the_oldest_supported_version_works(folder: Path, monkeypatch):
    monkeypatch.setenv("PG_BINDIR", str(SYSTEMS_OLD_BINARIES))
    postgres = EmbeddedPostgres(folder)
    await postgres.start()
    assert str(await ask(postgres, "SHOW server_version")).startswith("15.")
    postgres.stop()


def test_only_the_main_thread_may_start_it():
    told: list[BaseException] = []

    def start() -> None:
        try:
            leash.start(["/bin/true"], last_signal=signal.SIGINT, environment={}, output=-1)
        except RuntimeError as error:
            told.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "only the main thread" in str(told[0])


async def test_a_folder_of_somebody_else_is_refused(folder: Path, monkeypatch):
    folder.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(Obstacle, match=r"belongs to .* run this as"):
        await EmbeddedPostgres(folder).start()


@needs_root
async def test_it_runs_as_an_unprivileged_user(folder: Path, monkeypatch):
    monkeypatch.setenv("PG_RUN_AS", "nobody")
    postgres = EmbeddedPostgres(folder)
    await postgres.start()
    users = {Path(f"/proc/{pid}").owner() for pid in clusters.processes_in(postgres.data)}
    assert users == {"nobody"}
    postgres.stop()


@needs_root
async def test_its_database_stays_with_the_user_it_was_made_by(folder: Path, monkeypatch):
    monkeypatch.setenv("PG_RUN_AS", "nobody")
    postgres = EmbeddedPostgres(folder)
    await postgres.start()
    postgres.stop()
    monkeypatch.setenv("PG_RUN_AS", "daemon")
    await postgres.start()
    assert postgres.data.owner() == "nobody"
    postgres.stop()


@needs_root
async def test_below_a_private_directory_the_database_lies_elsewhere(
    private_folder: Path, place: Path
):
    postgres = EmbeddedPostgres(private_folder)
    await postgres.start()
    assert postgres.data.is_relative_to(place / "databases")
    assert (private_folder / "data.location").read_text() == f"{postgres.data}\n"
    await ask(postgres, "CREATE TABLE kept ()")
    postgres.stop()
    again = EmbeddedPostgres(private_folder)
    await again.start()
    assert await ask(again, "SELECT count(*) FROM kept") == 0
    again.remove()
    assert not list((place / "databases").iterdir())


@needs_root
async def test_a_strict_umask_keeps_nobody_out(private_folder: Path, place: Path):
    before = os.umask(0o077)
    try:
        postgres = EmbeddedPostgres(private_folder)
        await postgres.start()
    finally:
        os.umask(before)
    assert postgres.data.is_relative_to(place)
    postgres.stop()


@needs_root
def test_databases_of_temporary_folders_that_are_gone_are_removed(place: Path, nobody: Account):
    temporary, kept = Path(tempfile.mkdtemp()), Path("/not-mounted/data")
    gone, elsewhere = (clusters.room_elsewhere(each, nobody) for each in (temporary, kept))
    assert clusters.room_elsewhere(temporary, nobody).parent.exists()
    assert gone.parent.exists()
    temporary.rmdir()
    clusters.room_elsewhere(kept, nobody)
    assert not gone.parent.exists()
    assert elsewhere.parent.exists()
    assert elsewhere.is_relative_to(place)


@needs_root
async def test_a_guest_finds_the_database_that_lies_elsewhere(private_folder: Path, place: Path):
    postgres = EmbeddedPostgres(private_folder)
    await postgres.start()
    assert place.exists()
    second = Process(private_folder)
    assert second.role == "guest"
    second.leave()
    postgres.stop()


@needs_root
async def test_a_server_runs_from_copied_programs(wheel: Path, place: Path, private_folder: Path):
    assert wheel
    postgres = EmbeddedPostgres(private_folder)
    await postgres.start()
    (pid, *_) = clusters.processes_in(postgres.data)
    assert Path(f"/proc/{pid}/exe").readlink().is_relative_to(place)
    postgres.stop()


@needs_root
def test_an_ordinary_user_starts_it_too(folder: Path, nobody: Account):
    pythons = [sys.executable, *Path("/usr/bin").glob("python3.[0-9]*")]
    python = next((found for found in pythons if can_run_us(found, nobody)), None)
    if python is None:
        pytest.skip("an ordinary user can reach no Python that has the dependencies")
    folder.mkdir()
    os.chown(folder, nobody.uid, nobody.gid)
    process = Process(folder, python, user=nobody.uid, group=nobody.gid, extra_groups=[])
    assert process.role == "owner"
    assert Path(f"/proc/{process.postmaster}").owner() == "nobody"
    process.kill()
    assert wait_for_end(process.postmaster)


def can_run_us(python: str | Path, account: Account) -> bool:
    try:
        tried = account.run("/usr/bin/env", f"PYTHONPATH={PATH}", python, "-c", f"import {NEEDED}")
    except PermissionError:
        return False
    return tried.returncode == 0
