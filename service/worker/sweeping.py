"""The sweeper: removes what nobody will read again, and only what the database says is that.

Rows go first, files after. A row that named a file leaves a note of it behind (see
``migrations``), and a folder is noted before anything is written below it; so a sweeper that is
killed at any moment leaves work for the next round and nothing else. What the database does not
know at all is not its business: ``doctor`` reports that.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from catalog.batches import BatchError, BatchEvent
from catalog.store.batches import BatchStore
from catalog.store.database import Database
from catalog.store.folders import Folder, FolderStore, Remains
from catalog.store.store_files import StoreFileStore
from catalog.store.sweeping import SweepingStore
from catalog.store.user_lists import UserListStore
from service.storage.files import Files

log = structlog.get_logger()

#: A stopped process may go on and finish what it was writing when its job has long ended: folders
#: are looked at again until then, less and less often.
LOOK_UNTIL = timedelta(hours=24)
#: The first time again after.
LOOK_AGAIN = timedelta(minutes=5)
#: Things of one kind that one round removes: some seconds of work.
MOST_AT_ONCE = 1000

#: Why the sweeper gave a batch up.
NEVER_COMPLETED = BatchError(
    code="never_completed", description="it was opened and not completed for too long"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How long things are kept that nobody needs any more, or may not want any more."""

    #: A batch that was opened and neither sent to nor completed; then it is given up.
    loading: timedelta
    #: What callers sent, after its batch ended.
    uploads: timedelta
    #: Data set files of a batch that was taken back.
    reverted: timedelta
    #: What is told about a batch in files, after it ended.
    diagnostics: timedelta
    #: Rows of data sets that do not say themselves; null keeps them for ever.
    rows: timedelta | None
    #: Files of user lists, after their jobs ended.
    user_lists: timedelta = timedelta(days=7)


class Sweeper:
    """Removes in rounds what has had its time. Many may run: they take turns."""

    def __init__(self, database: Database, files: Files, keeping: Keeping, *, actor: str) -> None:
        self._database = database
        self._files = files
        self._keeping = keeping
        self._actor = actor

    async def run(self, every: timedelta) -> None:
        """Sweep until cancelled, resting ``every`` so long."""
        while True:
            await asyncio.sleep(every.total_seconds())
            try:
                await self.sweep()
            except Exception as error:  # noqa: BLE001  # the next round goes on where this ended
                log.warning("cannot sweep", reason=type(error).__name__)

    async def sweep(self, *, is_eager: bool = False) -> Counter[str] | None:
        """Do one round and count what went; None when another sweeper is at it.

        An eager round looks at all folders, whether they are due or not and however many they are.
        """
        started_at = datetime.now(UTC)
        async with self._database.transaction() as lock:
            if not await SweepingStore(lock).try_lock():
                return None
            swept: Counter[str] = Counter()
            await self._expire_rows(swept)
            if is_eager:
                await self._look_at_folders(swept, datetime.max.replace(tzinfo=UTC), most=None)
            else:
                await self._look_at_folders(swept, started_at, most=MOST_AT_ONCE)
            await self._remove_discarded(swept)
            async with self._database.transaction() as db:
                await SweepingStore(db).note_sweep(self._actor, swept, started_at=started_at)
        if any(swept.values()):
            log.info("swept", **swept)
        return swept

    async def _expire_rows(self, swept: Counter[str]) -> None:
        """Let go of rows by their age. Each kind is a transaction of its own."""
        keeping, most = self._keeping, MOST_AT_ONCE
        await self._give_up_batches(swept)
        await self._withdraw_batches(swept)
        steps: dict[str, Callable[[SweepingStore], Awaitable[int]]] = {
            "deleted_files": lambda rows: rows.erase_deleted(),
            "uploads": lambda rows: rows.expire_uploads(keeping.uploads, most=most),
            "dataset_files": lambda rows: rows.erase_hidden(keeping.reverted, most=most),
            "answers": lambda rows: rows.expire_answers(most=most),
            "meta_files": lambda rows: rows.expire_meta_files(keeping.diagnostics, most=most),
        }
        for what, step in steps.items():
            async with self._database.transaction() as db:
                swept[what] += await step(SweepingStore(db))
        async with self._database.transaction() as db:
            swept["user_lists"] += await UserListStore(db).erase(keeping.user_lists, most=most)
        async with self._database.transaction() as db:
            sandboxes = await SweepingStore(db).sandboxes_with_superseded()
        for sandbox_id in sandboxes:
            async with self._database.transaction() as db:
                swept["store_files"] += await SweepingStore(db).forget_superseded(
                    sandbox_id, most=most
                )

    async def _give_up_batches(self, swept: Counter[str]) -> None:
        async with self._database.transaction() as db:
            abandoned = await SweepingStore(db).abandoned_batches(
                self._keeping.loading, most=MOST_AT_ONCE
            )
        for scope, id in abandoned:
            async with self._database.transaction() as db:
                given_up = await BatchStore(db).give_up(
                    scope, id, actor=self._actor, event=BatchEvent.ABORT, errors=[NEVER_COMPLETED]
                )
            swept["batches_given_up"] += given_up is not None

    async def _withdraw_batches(self, swept: Counter[str]) -> None:
        """Take batches from their readers whose data sets keep no rows as old as theirs."""
        async with self._database.transaction() as db:
            expired = await SweepingStore(db).expired_batches(self._keeping.rows, most=MOST_AT_ONCE)
        for scope, id in expired:
            async with self._database.transaction() as db:
                ids = await BatchStore(db).withdraw(
                    scope, [id], BatchEvent.EXPIRE, actor=self._actor
                )
                if ids:
                    await StoreFileStore(db).remove(scope, ids)
            swept["batches_expired"] += len(ids)

    async def _look_at_folders(
        self, swept: Counter[str], until: datetime, *, most: int | None
    ) -> None:
        """Remove files that lost attempts and refused uploads left, which no row ever named."""
        async with self._database.transaction() as db:
            due = await FolderStore(db).due(until=until, most=most)
        for folder in due:
            found = await asyncio.to_thread(self._found, folder)
            async with self._database.transaction() as db:
                remains = await FolderStore(db).judge(folder, found)
            swept["unnamed_files"] += await self._delete(remains.unnamed)
            await asyncio.to_thread(self._files.tidy, folder.key)
            await self._settle(folder, remains)

    def _found(self, folder: Folder) -> list[str]:
        return list(self._files.below(folder.key))

    async def _settle(self, folder: Folder, remains: Remains) -> None:
        """Say when to look at a folder again, or that there is no need any more."""
        async with self._database.transaction() as db:
            folders = FolderStore(db)
            if remains.is_over(LOOK_UNTIL):
                await folders.forget(folder)
            else:
                await folders.put_off(folder, max(LOOK_AGAIN, remains.ended_for or LOOK_AGAIN))

    async def _remove_discarded(self, swept: Counter[str]) -> None:
        async with self._database.transaction() as db:
            keys = await SweepingStore(db).discarded(most=10 * MOST_AT_ONCE)
        swept["files"] += await self._delete(keys)
        if keys:
            async with self._database.transaction() as db:
                await SweepingStore(db).removed(keys)

    async def _delete(self, keys: Iterable[str]) -> int:
        """Delete files and return how many there were."""
        return await asyncio.to_thread(lambda: sum(map(self._files.delete, keys)))
