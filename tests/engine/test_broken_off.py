"""What the engine says when it breaks off for a reason of its machine."""

from __future__ import annotations

import errno

import pytest

from service.engine.child import broken_off


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(errno.ENOSPC, "/secret/path"), "storage_full", "no room"),
        (OSError(errno.EIO, "/secret/path"), "storage_failed", "Input/output error"),
        (OSError("Parquet magic bytes not found in /secret/path"), "engine_failed", "its log"),
        (RuntimeError("/secret/path"), "engine_failed", "its log"),
    ],
)
def test_the_cause_is_named_without_a_path_and_another_attempt_is_made(
    error: Exception, code: str, words: str
):
    said = broken_off(error)
    assert (said.code, said.is_final) == (code, False)
    assert words in said.message
    assert "/secret" not in said.message
