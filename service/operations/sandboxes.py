"""What callers may ask about sandboxes."""

from __future__ import annotations

from catalog.organisations import Caller, Sandbox
from catalog.store.database import Database
from catalog.store.organisations import OrganisationStore


class Sandboxes:
    """The sandboxes of a caller's organisation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, *, by: Caller) -> list[Sandbox]:
        """Every sandbox the caller may name, the default first."""
        async with self._database.transaction() as db:
            return await OrganisationStore(db).sandboxes(by.scope.organisation_id)
