"""The files that commands leave for one another in the data folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from catalog.store.obstacles import Obstacle
from service.cli import data_dir
from service.cli.data_dir import DataDir


@pytest.fixture
def folder(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path / "data")


def test_one_service_runs_on_a_folder(folder: DataDir):
    with folder.claimed():
        folder.announce("http://127.0.0.1:1234")
        with pytest.raises(Obstacle, match="1234"), DataDir(folder.path).claimed():
            pass
    with folder.claimed():
        pass


def test_who_only_looks_keeps_a_service_out_no_longer_than_that(
    folder: DataDir, monkeypatch: pytest.MonkeyPatch
):
    """However long: a process that looks may get no processor for a while."""
    pauses: list[float] = []
    with folder.claimed():
        pass
    with (folder.path / "serve.lock").open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 100:
                fcntl.flock(looking, fcntl.LOCK_UN)

        monkeypatch.setattr(data_dir.time, "sleep", pause)
        with DataDir(folder.path).claimed():
            assert len(pauses) == 100


def test_a_service_is_known_as_long_as_it_runs(folder: DataDir):
    assert folder.running() is None
    with folder.claimed():
        assert folder.running() is None
        folder.announce("http://127.0.0.1:1234")
        there = DataDir(folder.path).running()
        assert there is not None
        assert (there.base_url, there.pid) == ("http://127.0.0.1:1234", os.getpid())
    assert folder.running() is None


def test_what_a_killed_service_left_is_not_believed(folder: DataDir):
    with folder.claimed():
        pass
    folder.announce("http://127.0.0.1:1234")
    assert folder.running() is None


def test_the_operators_client_is_made_once(folder: DataDir):
    assert folder.client() is None
    made = folder.client_or_fresh("ORG")
    assert folder.client_or_fresh("ANOTHER") == made == folder.client()
    assert len(made.client_secret) >= 43
    assert [path.name for path in folder.path.iterdir()] == ["credentials.json"]


def test_no_secret_is_shown_when_it_is_printed_by_mistake(folder: DataDir):
    made = folder.client_or_fresh("ORG")
    assert made.client_secret not in repr(made)


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"client_id": 7}'])
def test_a_damaged_file_is_an_obstacle_and_not_replaced(folder: DataDir, damaged: str):
    folder.client_or_fresh("ORG")
    file = folder.path / "credentials.json"
    file.write_text(damaged)
    with pytest.raises(Obstacle, match=r"credentials\.json"):
        folder.client()
    assert file.read_text() == damaged
