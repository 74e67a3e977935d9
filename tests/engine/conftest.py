"""What tests of the engine share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.intake import Intake


@pytest.fixture
def intake(tmp_path: Path) -> Intake:
    return Intake(tmp_path)
