"""What tests of the engine share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.builders import Store
from tests.engine.fuzzing import Thrower, thrower
from tests.engine.intake import Intake


@pytest.fixture
def intake(tmp_path: Path) -> Intake:
    return Intake(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A profile store that nothing has been put into."""
    return Store(tmp_path)


@pytest.fixture(scope="module")
def parser() -> Iterator[Thrower]:
    """What throws files at readers, and lives through what they do."""
    with thrower() as found:
        yield found


@pytest.fixture(autouse=True, scope="module")
def without_waiting_for_the_disk() -> Iterator[None]:
    """Leave files in memory: no test here asks what survives a loss of power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.storage.files.os.fsync", lambda _: None)
        yield
