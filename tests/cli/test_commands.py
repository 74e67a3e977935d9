"""How commands take their arguments, and what they say before any service is called."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from service.cli import COMMANDS, main


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path, monkeypatch):
    """No service anywhere: what is refused here is refused before one is looked for."""
    for name in ("BASE_URL", "CLIENT_ID", "CLIENT_SECRET", "ORG_ID", "SANDBOX"):
        monkeypatch.delenv(f"PROFILE_EXPORTS_{name}", raising=False)
    monkeypatch.setenv("PROFILE_EXPORTS_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def people(tmp_path):
    path = tmp_path / "people.jsonl"
    path.write_text('{"email": "a@example.com"}\n')
    return str(path)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    result = call(name, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["ingest"], "Missing argument 'PATH'"),
        (["ingest", "PEOPLE"], "say either --dataset ID or --name NAME"),
        (["ingest", "PEOPLE", "--dataset", "d", "--name", "n"], "say either --dataset"),
        (["ingest", "PEOPLE", "--dataset", "d", "--event"], "describe a new data set"),
        (["ingest", "PEOPLE", "--name", "n", "--identity", "email"], "is not FIELD=NAMESPACE"),
        (["ingest", "PEOPLE", "--name", "n", "--format", "xml"], "'xml' is not one of"),
        (["ingest", "nowhere.json", "--name", "n"], "does not exist"),
        (["export", "--graph", "pdg", "--merge-policy", "p"], "--merge-policy or --graph"),
        (["export", "--graph", "all"], "'all' is not one of"),
        (["export", "--since", "yesterday"], "write it like 2025-01-31T12:00:00Z"),
        (["export", "--job", "7", "--fields", "person"], "nothing can be added"),
        (["export", "--job", "7", "--events"], "nothing can be added"),
        (["jobs", "list", "--status", "done"], "'done' is not one of"),
        (["jobs", "list", "--limit", "0"], "is not in the range"),
        (["jobs", "show", "seven"], "'seven' is not a valid integer"),
        (["segments", "create", "x"], "Missing argument 'RULE'"),
        (["segments", "create", "x", "y = 1", "--ttl-days", "0"], "is not in the range"),
        (["segments", "check", "y = 1", "--format", "sql"], "'sql' is not one of"),
        (["segments", "count"], "Missing argument 'SEGMENT'"),
        (["demo", "--people", "0"], "is not in the range"),
        (["demo", "--from", "nowhere"], "does not exist"),
    ],
)
def test_arguments_that_make_no_sense_end_with_2(people, arguments, reason):
    result = call(*(people if each == "PEOPLE" else each for each in arguments))
    assert result.exit_code == 2
    assert reason in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["ingest", "PEOPLE", "--name", "people", "--identity", "email=Email"],
        ["export", "--graph", "pdg", "--events", "--since", "2025-01-01"],
        ["jobs", "list"],
        ["jobs", "show", "7"],
        ["jobs", "cancel", "7"],
        ["segments", "check", "y = 1"],
        ["segments", "list"],
        ["segments", "create", "x", "y = 1"],
        ["segments", "run"],
        ["segments", "count", "x"],
    ],
)
def test_without_a_service_every_client_says_how_to_start_one(people, arguments):
    result = call(*(people if each == "PEOPLE" else each for each in arguments))
    assert result.exit_code == 1
    assert "start one with `profile-exports serve`" in result.output


def test_files_that_cannot_be_read_end_with_1_and_a_reason(tmp_path):
    (tmp_path / "empty").mkdir()
    result = call("ingest", str(tmp_path / "empty"), "--name", "people")
    assert result.exit_code == 1
    assert "no file in it ends in .json" in result.output
