"""What ``doctor`` prints for people."""

from __future__ import annotations

import pytest

from service.cli.doctor import _print_topic
from service.settings import Settings


def test_every_setting_stands_apart_from_what_it_is(capsys: pytest.CaptureFixture[str]):
    values = dict.fromkeys(Settings().by_name(), "1")
    _print_topic("settings", values)
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [[name, "1"] for name in values]
