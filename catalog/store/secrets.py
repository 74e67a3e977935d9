"""Secrets of the deployment, kept beside the data that depend on them."""

from __future__ import annotations

import secrets

from catalog.store.database import Connection
from catalog.store.queries import beside

SQL = beside(__file__)

#: Identity keys are hashed with it: losing it orphans every store file.
IDENTITY_SECRET = "identity_keys"  # noqa: S105 -- the name, not the value

#: What BLAKE2b takes as a key, half of its most: 256 bit.
SECRET_BYTES = 32


class SecretStore:
    """Random secrets by name, each made once in the life of a database."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def find_or_make(self, name: str) -> bytes:
        """Return the secret of a name, made now if there is none.

        Of two processes that find none, both return the one that was stored first.
        """
        row = await SQL["find"].row(self._db, name=name)
        if row is None:
            await SQL["keep"].rows(self._db, name=name, value=secrets.token_bytes(SECRET_BYTES))
            row = await SQL["find"].row(self._db, name=name)
            if row is None:
                raise LookupError(f"secret {name} vanished")
        value: bytes = row["value"]
        return value
