"""What the service says of itself, and what it must never say."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from service.telemetry import hide_secrets

SAYS = """
import logging
import structlog
from service.telemetry import start_logging

start_logging(format={format!r}, level="info")
log = structlog.stdlib.get_logger("ours")
with structlog.contextvars.bound_contextvars(request_id="r-1"):
    log.info("call", Authorization="swordfish", status=200)
    logging.getLogger("theirs").warning("careful %s", "now")
    log.debug("swordfish")
    try:
        swordfish = 1 / 0
    except ZeroDivisionError:
        log.exception("a defect", headers={{"x-api-key": "swordfish"}})
"""


def said(format: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", SAYS.format(format=format)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == ""
    return ended.stderr


def test_a_line_is_one_json_object_with_what_the_call_is_bound_to():
    lines: list[dict[str, Any]] = [json.loads(line) for line in said("json").splitlines()]
    assert [line["event"] for line in lines] == ["call", "careful now", "a defect"]
    assert {line["request_id"] for line in lines} == {"r-1"}
    assert [line["level"] for line in lines] == ["info", "warning", "error"]
    assert "ZeroDivisionError" in lines[2]["exception"]


@pytest.mark.parametrize("format", ["json", "console"])
def test_no_line_holds_a_secret_nor_the_variables_of_a_failed_function(format: str):
    # The trace quotes the source, where the word stands; its value is what must not be there.
    lines = [line for line in said(format).splitlines() if "swordfish = 1 / 0" not in line]
    assert lines
    assert not [line for line in lines if "swordfish" in line and "File" not in line]


@pytest.mark.parametrize(
    "line",
    [
        {"authorization": "x"},
        {"client_secret": "x"},
        {"access_token": "x"},
        {"password": "x"},
        {"private_jwk": {"d": "x"}},
        {"headers": {"Authorization": "x", "X-Api-Key": "x"}},
        {"settings": {"nested": {"DATABASE_PASSWORD": "x"}}},
    ],
    ids=str,
)
def test_a_field_that_is_named_like_a_secret_is_hidden_at_any_depth(line: Mapping[str, Any]):
    assert "'x'" not in str(hide_secrets(logging.getLogger(), "info", dict(line)))
