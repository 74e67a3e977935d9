"""An engine whose files are of memory, and which answers only when it is let.

It drops what the engine drops, and reads no more of a labelling than it has to; but its rows are no
more than the name of an item.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from catalog.store_files import StoreFileKind
from service.engine.home_files import BROUGHT_HOME
from service.engine.orders import (
    GONE,
    Answer,
    Compacted,
    CompactionOrder,
    Done,
    ExportOrder,
    Failed,
    Merger,
    NewCompactedFile,
    NewFile,
    NewStoreFile,
    Part,
    Promoted,
    PromotionOrder,
)
from tests.store.history.disk import Disk, Home, Plan
from tests.store.history.planning import plan
from tests.store.history.rows import Row, superseded

#: What each batch brings a file of, though it may have no rows.
EVENT_KINDS = (StoreFileKind.EVENTS, StoreFileKind.IDENTITIES, StoreFileKind.LINKS)
RECORD_KINDS = (StoreFileKind.RECORDS, StoreFileKind.IDENTITIES, StoreFileKind.LINKS)


class Engine:
    """Stands where the runner of one attempt does: reads at once, and answers later."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.has_read = asyncio.Event()
        self.has_planned = False
        #: What an export is told, the last time it was.
        self.order: ExportOrder | None = None
        self._may_answer = asyncio.Event()
        self._stops_again = False
        self._failure: Failed | None = None
        self._runs = 0

    def go_on(self) -> None:
        self._may_answer.set()

    def go_on_once(self) -> None:
        """Answer once, and read what is to be read next."""
        self._stops_again = True
        self.has_read.clear()
        self.go_on()

    def fail(self, *, is_final: bool) -> None:
        """Answer that the work cannot be done."""
        self._failure = Failed(code="told_to", message="it was told to", is_final=is_final)
        self.go_on()

    @asynccontextmanager
    async def run(
        self, order: CompactionOrder | PromotionOrder | ExportOrder
    ) -> AsyncIterator[AsyncIterator]:
        self._runs += 1
        match order:
            case ExportOrder():
                self.order = order
                yield self._exported(order)
            case CompactionOrder():
                yield self._answered(self._compacted(order))
            case PromotionOrder():
                yield self._answered(self._promoted(order))

    async def _wait(self) -> None:
        """Wait until somebody lets it answer."""
        self.has_read.set()
        await self._may_answer.wait()
        if self._stops_again:
            self._stops_again = False
            self._may_answer.clear()

    async def _answered(self, answer: Answer) -> AsyncIterator[Answer]:
        await self._wait()
        yield self._failure or answer

    async def _exported(self, order: ExportOrder) -> AsyncIterator[Answer]:
        known = self._disk.files.get(order.plan_key or "")
        if not (isinstance(known, Plan) and known.reads <= self._disk.files.keys()):
            planned = plan(order, f"{order.folder}/{self._runs}", self._disk)
            await self._wait()
            yield self._failure or planned
        self.has_planned = True
        await self._wait()
        if self._failure is not None:
            yield self._failure
            return
        key = f"{order.folder}/{self._runs}/part"
        yield Part(number=0, key=key, size_bytes=1, row_count=1, sha256="", counters={})
        yield Done()

    def _promoted(self, order: PromotionOrder) -> Answer:
        rows = [row for upload in order.uploads for row in self._disk.rows(upload.key)]
        kinds = EVENT_KINDS if order.is_event else RECORD_KINDS
        return Promoted(store_files=stored(self._disk, order.folder, rows, kinds))

    def _compacted(self, order: CompactionOrder) -> Answer:
        made = []
        for number, merger in enumerate(order.mergers):
            file = self._merged(merger, f"{order.folder}/{number}")
            is_home = order.labelling is not None and file.kind in BROUGHT_HOME
            home = self._home(order, file.key, number) if is_home else None
            made.append(file.model_copy(update={"home": home}))
        homes = [
            self._home(order, key, len(made) + number) for number, key in enumerate(order.homeless)
        ]
        return Compacted(files=tuple(made), homes=tuple(homes))

    def _merged(self, merger: Merger, key: str) -> NewCompactedFile:
        rows = [
            Row(file.numbers[row.number], row.batch_id, row.kind, row.item, row.leaves)
            for file in merger.files
            for row in self._disk.rows(file.key)
            if file.numbers[row.number] != GONE
        ]
        assert {row.kind for row in rows} <= {merger.kind}
        dropped = superseded(rows, merger.settled, merger.patches)
        kept = [row for row in rows if row not in dropped]
        later = superseded(kept, {row.number for row in kept}, merger.patches)
        return NewCompactedFile(
            **self._disk.put(merger.kind, key, kept).model_dump(),
            relied_on=tuple(sorted({number for causes in dropped.values() for number in causes})),
            superseded_count=len(later),
        )

    def _home(self, order: CompactionOrder, store_file: str, number: int) -> NewFile:
        assert order.labelling is not None
        assert self._disk.labels(order.labelling)
        assert store_file in self._disk.files
        return self._disk.keep(f"{order.folder}/{number}-home", Home(store_file, order.labelling))


def stored(
    disk: Disk, folder: str, rows: Sequence[Row], kinds: Sequence[StoreFileKind]
) -> tuple[NewStoreFile, ...]:
    """Write what a promotion makes of the rows of a batch: a file of each kind."""
    return tuple(
        disk.put(kind, f"{folder}/{kind}", [row for row in rows if row.kind is kind])
        for kind in kinds
    )
