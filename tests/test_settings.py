"""Settings: what the environment may say, and what the manual says of it."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import (
    CLIENT_NAMES,
    DataSettings,
    Settings,
    TokenSettings,
    WorkerSettings,
    misspelt,
    problems,
)

MANUAL = Path(__file__).parents[1] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch):
    for name in Settings().by_name():
        monkeypatch.delenv(name, raising=False)


def test_the_manual_lists_every_setting_and_no_other():
    listed = set(re.findall(r"^\| `([A-Z_]+)`", MANUAL.read_text(), re.MULTILINE))
    # Read by catalog.store itself, which knows no settings.
    assert listed == {*Settings().by_name(), *CLIENT_NAMES, "PG_RUN_AS"}


@pytest.mark.parametrize(("name", "value"), list(Settings().by_name().items()))
def test_the_manual_knows_the_defaults(name: str, value: object):
    (default,) = re.findall(rf"^\| `{name}` \| (.*?) \|", MANUAL.read_text(), re.MULTILINE)
    if value is None:
        assert default == "not set"
    elif isinstance(value, timedelta):
        assert float(default) == value.total_seconds()
    elif name not in {"PROFILE_EXPORTS_DATA_DIR", "PROFILE_EXPORTS_ENGINE_THREADS"}:
        assert default == str(value)


def test_the_data_folder_follows_the_desktop_convention(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_DATA_HOME", "/srv/data")
    assert DataSettings().data_dir == Path("/srv/data/profile-exports")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert DataSettings().data_dir == Path("/home/someone/.local/share/profile-exports")


def test_a_relative_folder_means_the_same_in_every_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROFILE_EXPORTS_DATA_DIR", "here")
    assert Settings().data.data_dir == tmp_path / "here"
    assert Settings().at(Path("there")).data.data_dir == tmp_path / "there"


@pytest.mark.parametrize(
    ("written", "seconds"), [("12", 12), ("0.5e1", 5), ("PT1M", 60), ("00:00:10", 10)]
)
def test_a_duration_is_seconds_or_iso(
    monkeypatch: pytest.MonkeyPatch, written: str, seconds: float
):
    monkeypatch.setenv("PROFILE_EXPORTS_WORKER_LEASE", written)
    assert WorkerSettings().lease == timedelta(seconds=seconds)


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("PROFILE_EXPORTS_HTTP_PORT", "")
    assert Settings().data.database_url is None
    assert Settings().http.port == 8080


def test_every_variable_that_is_wrong_is_named_and_its_value_is_not(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("DATABASE_URL", "swordfish")
    monkeypatch.setenv("PROFILE_EXPORTS_WORKER_LEASE", "swordfish")
    monkeypatch.setenv("PROFILE_EXPORTS_HTTP_PORT", "65536")
    found = " ".join(problems())
    for name in (
        "DATABASE_URL",
        "PROFILE_EXPORTS_WORKER_LEASE",
        "PROFILE_EXPORTS_HTTP_PORT",
    ):
        assert f"{name}:" in found
    assert "swordfish" not in found


@pytest.mark.parametrize(
    "half",
    [
        {"issuer": "i"},
        {"audience": "a"},
        {"jwks_url": "https://i/keys"},
        {"issuer": "i", "audience": "a"},
        {"issuer": "i", "jwks_url": "https://i/keys"},
        {"issuer": "i", "audience": "a", "jwks_url": "file:///etc/passwd"},
        {"issuer": "i", "audience": "a", "jwks_url": "https://i", "jwks_file": "keys.json"},
    ],
    ids=str,
)
def test_an_external_issuer_is_set_wholly_or_not_at_all(half: dict[str, str]):
    with pytest.raises(ValidationError):
        TokenSettings(**half)


def test_a_misspelt_variable_is_noticed():
    environment = ["PROFILE_EXPORTS_HTTP_PROT", "PROFILE_EXPORTS_HTTP_PORT", "PATH"]
    assert misspelt(environment) == ["PROFILE_EXPORTS_HTTP_PROT"]


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:swordfish@host/db")
    assert "swordfish" not in str(Settings().by_name())
    assert "swordfish" not in repr(Settings())
