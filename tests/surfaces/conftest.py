"""Gives the tests of this folder the service as a client calls it."""

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
