"""What tests of the engine share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.intake import Intake


@pytest.fixture
def intake(tmp_path: Path) -> Intake:
    return Intake(tmp_path)


@pytest.fixture(autouse=True, scope="module")
def without_waiting_for_the_disk() -> Iterator[None]:
    """Leave files in memory: no test here asks what survives a loss of power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.storage.files.os.fsync", lambda _: None)
        yield
