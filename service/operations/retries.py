"""Creates that callers may send again without making anything twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from catalog.organisations import Caller
from catalog.retries import Attempt, KeptAnswer
from catalog.store.database import Database
from catalog.store.retries import RetryStore

Answer = TypeVar("Answer")


class Retries:
    """Makes things once, and answers whoever asks again as the first time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def as_one(self, create: Callable[[], Awaitable[Answer]]) -> Answer:
        """Create, in one transaction with the answer: what fails, wherever, leaves neither."""
        async with self._database.together():
            return await create()

    async def once(
        self, create: Callable[[], Awaitable[KeptAnswer]], attempt: Attempt, *, by: Caller
    ) -> KeptAnswer:
        """Create, and keep the answer for those who repeat the attempt; or give the one kept.

        All that is written below ``create`` and the answer are one transaction. Refuses with
        KeyReused when the attempt's key came with another request before.
        """
        async with self._database.together() as db:
            retries = RetryStore(db)
            kept = await retries.claim(by.scope, attempt)
            if kept is None:
                kept = await create()
                await retries.keep(by.scope, attempt, kept)
            return kept
