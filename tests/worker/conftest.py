"""What tests of the worker share."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.store.database import Connection
from catalog.store.secrets import IDENTITY_SECRET
from tests.engine.builders import SECRET, Store


@pytest.fixture
async def store(db: Connection, tmp_path: Path) -> Store:
    """A profile store that nothing has been put into, of a deployment with its secret."""
    await db.execute(
        "INSERT INTO deployment_secrets (name, value) VALUES ($1, $2)", IDENTITY_SECRET, SECRET
    )
    return Store(tmp_path)
