"""Gives the tests of this folder the service as a client calls it."""

import pytest

from service.settings import Settings
from service.storage.files import Files
from tests.surfaces.client import adobe, foreign, operations, running, settings, stranger
from tests.surfaces.growingio import defined, foreign_gio, gio

__all__ = [
    "adobe",
    "defined",
    "foreign",
    "foreign_gio",
    "gio",
    "operations",
    "running",
    "settings",
    "stranger",
]


@pytest.fixture
def files(settings: Settings) -> Files:
    """Where the service keeps its files."""
    return Files(settings.data.files_dir)
