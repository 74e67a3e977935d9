"""Finding a service and credentials for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from service.cli.access import find_access
from service.cli.data_dir import DataDir

HERE = "http://127.0.0.1:8123"
ELSEWHERE = "https://exports.example.com"
SAID = {
    "PROFILE_EXPORTS_CLIENT_ID": "said-id",
    "PROFILE_EXPORTS_CLIENT_SECRET": "said-secret",
    "PROFILE_EXPORTS_ORG_ID": "SAID@AdobeOrg",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with credentials, on which nothing runs."""
    DataDir(tmp_path / "data").client_or_fresh("OURS@AdobeOrg")
    return tmp_path / "data"


@pytest.fixture
def running(folder: Path) -> Iterator[Path]:
    """A data folder on which a service runs."""
    data_dir = DataDir(folder)
    with data_dir.claimed():
        data_dir.announce(HERE)
        yield folder


def test_a_running_service_is_found_by_its_data_folder(running):
    access = find_access({}, data_dir=running)
    client = DataDir(running).client()
    assert client is not None
    assert access.base_url == HERE
    assert (access.org_id, access.sandbox) == ("OURS@AdobeOrg", "prod")
    assert (access.client_id, access.client_secret) == (client.client_id, client.client_secret)


def test_the_default_data_folder_is_the_settings_own(running, monkeypatch):
    monkeypatch.setenv("PROFILE_EXPORTS_DATA_DIR", str(running))
    assert find_access({}).base_url == HERE


def test_without_a_service_it_is_said_how_to_start_one(folder):
    with pytest.raises(click.ClickException, match=f"profile-exports serve --data-dir {folder}"):
        find_access({}, data_dir=folder)


def test_credentials_of_the_environment_win_over_those_of_the_folder(running):
    access = find_access(SAID, data_dir=running)
    assert (access.base_url, access.client_id) == (HERE, "said-id")


def test_an_address_of_the_environment_needs_no_folder(running, monkeypatch):
    monkeypatch.setenv("PROFILE_EXPORTS_DATA_DIR", str(running))
    access = find_access({**SAID, "PROFILE_EXPORTS_BASE_URL": ELSEWHERE + "/"})
    assert (access.base_url, access.client_secret) == (ELSEWHERE, "said-secret")


def test_a_folder_that_was_named_wins_over_an_address_of_the_environment(running):
    access = find_access({"PROFILE_EXPORTS_BASE_URL": ELSEWHERE}, data_dir=running)
    assert access.base_url == HERE


def test_a_secret_of_the_default_folder_is_not_sent_to_another_address(running, monkeypatch):
    monkeypatch.setenv("PROFILE_EXPORTS_DATA_DIR", str(running))
    with pytest.raises(click.UsageError, match="no credentials for that address"):
        find_access({}, base_url=ELSEWHERE)


def test_half_of_the_credentials_are_refused():
    with pytest.raises(click.UsageError, match="lacks PROFILE_EXPORTS_CLIENT_SECRET"):
        find_access({"PROFILE_EXPORTS_CLIENT_ID": "x", "PROFILE_EXPORTS_ORG_ID": "y"})


def test_the_sandbox_that_was_asked_for_is_used(running):
    assert find_access({}, data_dir=running, sandbox="dev").sandbox == "dev"
