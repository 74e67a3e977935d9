"""The service of a demo that does not start: waited for while it lives, and its end is told."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest

from service.cli import demo_service as services
from service.cli.demo_service import demo_service


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a script in the place of the service."""

    def put(*lines: str) -> None:
        script = tmp_path / "python"
        script.write_text("\n".join(["#!/bin/sh", *lines]))
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))

    return put


async def told(folder: Path, *, say=lambda _: None) -> str:
    """What a demo says whose service did not start."""
    with pytest.raises(click.ClickException) as raised:
        async with demo_service(folder, keep=False, say=say):
            pass
    return raised.value.message


async def test_a_service_that_ends_is_quoted_with_its_status(program, tmp_path):
    program("echo no room on this disk", "exit 3")
    assert await told(tmp_path) == (
        "the service ended with 3 before it listened. It said:\nno room on this disk"
    )


async def test_a_service_that_hangs_is_ended_and_it_is_told_that_it_said_nothing(
    program, tmp_path, monkeypatch
):
    monkeypatch.setattr(services, "_START_SECONDS", 0.1)
    program("exec sleep 600")
    assert await told(tmp_path) == (
        "the service runs, but did not listen within 0.1 s. It said nothing."
    )


async def test_a_start_that_takes_long_is_told_and_waited_for(program, tmp_path, monkeypatch):
    monkeypatch.setattr(services, "_WORD_SECONDS", 0)
    goes_on, words = tmp_path / "goes on", []
    program(
        f"while ! test -e '{goes_on}'; do sleep 0.05; done",
        "echo listening on http://127.0.0.1:1",
        "exec sleep 600",
    )

    def say(word: str) -> None:
        words.append(word)
        goes_on.touch()

    async with demo_service(tmp_path, keep=False, say=say) as running:
        assert running.base_url == "http://127.0.0.1:1"
    assert words[0].startswith("the service is still starting after ")
