"""Who a server started by root runs as, and where that user's things are put."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from catalog.store import accounts
from catalog.store.accounts import Account
from catalog.store.obstacles import Obstacle
from tests.store.conftest import needs_root

ROOT = Path(__file__).parents[2]


@needs_root
def test_a_place_that_somebody_prepared_is_not_trusted(monkeypatch, nobody: Account):
    prepared, linked, open_to_all, good = (
        Path(tempfile.mkdtemp(prefix=f"{name}-")) for name in ("own", "link", "open", "good")
    )
    for base in (prepared, linked, open_to_all, good):
        base.chmod(0o755)
    (prepared / accounts.PLACE_NAME).mkdir()
    os.chown(prepared / accounts.PLACE_NAME, nobody.uid, nobody.gid)
    (linked / accounts.PLACE_NAME).symlink_to(good)
    (open_to_all / accounts.PLACE_NAME).mkdir()
    (open_to_all / accounts.PLACE_NAME).chmod(0o777)
    bases = (prepared, linked, open_to_all, good)
    monkeypatch.setattr(accounts, "PLACES", tuple(map(str, bases)))
    assert accounts.place_for(nobody) == good / accounts.PLACE_NAME
    for base in bases:
        shutil.rmtree(base)


@needs_root
def test_a_machine_without_any_place_says_what_to_do(monkeypatch, nobody: Account):
    monkeypatch.setattr(accounts, "PLACES", ("/proc",))
    with pytest.raises(Obstacle, match=r"cannot enter this folder.*below /proc.*PG_RUN_AS"):
        accounts.place_for(nobody)


@needs_root
@pytest.mark.parametrize("name", ["root", "no-such-user"])
def test_a_user_that_cannot_run_it_is_refused_by_name(name: str):
    with pytest.raises(Obstacle, match=f"PG_RUN_AS={name} is not an unprivileged user"):
        accounts.unprivileged({"PG_RUN_AS": name})


@needs_root
def test_root_that_may_not_become_anybody_is_told():
    """As in a container whose user namespace has one user."""
    said = subprocess.run(
        [
            "unshare",
            "--user",
            "--map-root-user",
            sys.executable,
            "-c",
            "from catalog.store import accounts; accounts.unprivileged()",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    if "unshare" in said.stderr:
        pytest.skip("this machine makes no user namespaces")
    assert "root may not become" in said.stderr
