"""Short ids as GrowingIO's dialect writes them: eight letters and digits for a number.

An id says what it is of: the number is multiplied before it is hashed, so no two nouns ever
share one. The salt is the deployment's own, and is a secret only so far as numbers are: knowing
an id lets nobody look at anything.
"""

from __future__ import annotations

import asyncio
from enum import IntEnum
from hashlib import blake2b

from hashids import Hashids

from catalog.store.database import Database
from catalog.store.secrets import SecretStore

#: The name of the salt among the deployment's secrets.
SALT = "hash_ids"

#: As documented.
LENGTH = 8
#: Of ids of any number there is. Longer ones are none, and take time as the square of it to read.
_MOST_LENGTH = 16

#: Ids of eight characters have room for so many bits beside the noun: seven of 44 letters are 38.
_DIGEST_BITS = 34


class Noun(IntEnum):
    """What an id is of. The numbers are a part of ids: they never change, below sixteen."""

    PROJECT = 1
    SPACE = 2
    PROPERTY = 3
    SEGMENT = 4
    JOB = 5
    TOKEN = 6
    MEMBER = 7
    ENTERPRISE = 8


_NOUNS = 16


class HashIds:
    """Writes and reads the short ids of one deployment."""

    def __init__(self, salt: bytes) -> None:
        self._hashids = Hashids(salt=salt.hex(), min_length=LENGTH)

    def of(self, noun: Noun, number: int) -> str:
        """Write the id of the thing that has a number."""
        return str(self._hashids.encode(number * _NOUNS + noun))

    def of_text(self, noun: Noun, text: str) -> str:
        """Write an id of what has no number; nothing leads back from it."""
        digest = int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
        return self.of(noun, digest >> (64 - _DIGEST_BITS))

    def number(self, noun: Noun, id: str) -> int | None:
        """Read an id back; None when it is none, or of something else."""
        if len(id) > _MOST_LENGTH:
            return None
        numbers = self._hashids.decode(id)
        if len(numbers) != 1 or numbers[0] % _NOUNS != noun:
            return None
        return int(numbers[0] // _NOUNS)


class HashIdSource:
    """Gives the short ids of a deployment, whose salt lies in its database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: HashIds | None = None

    async def known(self) -> HashIds:
        """The short ids of this deployment, made at their first use and never changed."""
        if self._known is None:
            # A task of its own has a transaction of its own: a salt that is undone with whatever
            # is being made around this call would be remembered here and known to nobody else.
            self._known = await asyncio.create_task(self._made())
        return self._known

    async def _made(self) -> HashIds:
        async with self._database.transaction() as db:
            return HashIds(await SecretStore(db).find_or_make(SALT))
