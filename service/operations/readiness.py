"""Whether the service could do what it is asked."""

from __future__ import annotations

import asyncio
import logging

from catalog.store.database import Database

#: A load balancer asks every few seconds and must not be kept waiting.
_PATIENCE_SECONDS = 3

_LOG = logging.getLogger(__name__)


class Readiness:
    """Asks what the service depends on."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._is_stopping = False

    def stop(self) -> None:
        """Say from now on that no further calls should be sent here."""
        self._is_stopping = True

    async def obstacle(self) -> str | None:
        """Why no call should be sent here, in words for a log; None when there is no reason."""
        if self._is_stopping:
            return "the service was told to stop"
        return None if await self._database_answers() else "the database does not answer"

    async def _database_answers(self) -> bool:
        """Whether a query comes back in time. Any failure is a no, and is logged."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS), self._database.transaction() as db:
                await db.execute("SELECT 1")
        except Exception:  # noqa: BLE001 -- whatever it is, no call would fare better
            _LOG.warning("the database does not answer", exc_info=True)
            return False
        return True
