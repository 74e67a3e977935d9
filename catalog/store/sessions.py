"""Sessions of the service at the database, and the end of those whose process fell silent."""

from __future__ import annotations

from datetime import timedelta

from catalog.store import queries
from catalog.store.database import APPLICATION, Connection

SQL = queries.beside(__file__)


class SessionStore:
    """Sessions of every process that shares this database, as this connection's role sees them."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def end_silent(self, *, silence: timedelta) -> int:
        """End sessions that keep a transaction open and sent nothing for so long; return how many.

        A process that was stopped in the middle of one would hold its locks until it goes on. The
        server's own limit for idle transactions is not enough: it does not count while a statement
        has been prepared and not yet run, which is where a first part is kept, for instance.
        """
        rows = await SQL["end_silent"].rows(self._db, application=APPLICATION, silence=silence)
        return len(rows)
