"""The command line before any command: what it lists, and what that costs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from service.cli import COMMANDS, main

#: Takes a second to import, on the small machines where help is asked for most.
HEAVY = {"pyarrow", "numpy", "scipy", "aiohttp", "asyncpg"}


def test_help_lists_every_command_and_loads_none_of_them():
    program = (
        "import sys; from service.cli import main; main(['--help'], standalone_mode=False);"
        " print(*sys.modules, file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    for name in COMMANDS:
        assert f"\n  {name}" in ended.stdout
    assert not HEAVY & set(ended.stderr.split())


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(name: str):
    shown = CliRunner().invoke(main, [name, "--help"])
    assert shown.exit_code == 0
    assert "--help" in shown.output


def test_a_command_there_is_not_is_said_so():
    shown = CliRunner().invoke(main, ["exprot"])
    assert shown.exit_code == 2
    assert "exprot" in shown.output
