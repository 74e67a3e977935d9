"""Gives the tests of this folder the service as a client calls it."""

from tests.surfaces.client import adobe, foreign, operations, running, settings, stranger

__all__ = ["adobe", "foreign", "operations", "running", "settings", "stranger"]
