"""An engine whose files are rows in memory, and which answers only when it is let.

It drops what the engine drops, but of rows that are no more than the name of an item: of those of
one kind the latest batch's counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from catalog.store_files import StoreFile, StoreFileKind
from service.engine.orders import (
    GONE,
    Answer,
    Compacted,
    CompactionOrder,
    Failed,
    Merger,
    NewCompactedFile,
    NewStoreFile,
    Promoted,
    PromotionOrder,
)

#: What each batch brings a file of, though it may have no rows.
KINDS = (StoreFileKind.EVENTS, StoreFileKind.IDENTITIES, StoreFileKind.LINKS)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file, with the number that its batch has there."""

    number: int
    batch_id: str
    kind: StoreFileKind
    item: str


class Disk:
    """Files, by their key."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[Row, ...]] = {}

    def put(self, kind: StoreFileKind, key: str, rows: Iterable[Row]) -> NewStoreFile:
        assert key not in self.files
        self.files[key] = tuple(rows)
        size = len(self.files[key])
        return NewStoreFile(kind=kind, key=key, size_bytes=100 + size, row_count=size, sha256="")

    def counting(self, file: StoreFile) -> Iterator[Row]:
        """The rows of a file that count in the snapshot it is of."""
        sources = {source.number: source.batch_id for source in file.sources}
        sources = {0: file.batch_id} if file.batch_id is not None else sources
        for row in self.files[file.key]:
            if row.number in sources:
                assert sources[row.number] == row.batch_id, "rows are told to be another batch's"
                yield row


class Engine:
    """Stands where the runner of one attempt does: reads at once, and answers later."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.has_read = asyncio.Event()
        self._may_answer = asyncio.Event()
        self._failure: Failed | None = None

    def go_on(self) -> None:
        self._may_answer.set()

    def fail(self, *, is_final: bool) -> None:
        """Answer that the work cannot be done."""
        self._failure = Failed(code="told_to", message="it was told to", is_final=is_final)
        self.go_on()

    async def wait(self) -> Failed | None:
        """Wait until somebody lets it answer."""
        self.has_read.set()
        await self._may_answer.wait()
        return self._failure

    @asynccontextmanager
    async def run(self, order: CompactionOrder | PromotionOrder) -> AsyncIterator[AsyncIterator]:
        yield self._answers(order)

    async def _answers(self, order: CompactionOrder | PromotionOrder) -> AsyncIterator[Answer]:
        answer = self._compacted(order) if order.kind == "compaction" else self._promoted(order)
        failure = await self.wait()
        yield failure or answer

    def _promoted(self, order: PromotionOrder) -> Answer:
        if not all(upload.key in self._disk.files for upload in order.uploads):
            return Failed(code="gone", message="a file is gone", is_final=False)
        rows = [row for upload in order.uploads for row in self._disk.files[upload.key]]
        return Promoted(store_files=stored(self._disk, order.folder, rows))

    def _compacted(self, order: CompactionOrder) -> Answer:
        made = []
        for number, merger in enumerate(order.mergers):
            if not all(file.key in self._disk.files for file in merger.files):
                return Failed(code="gone", message="a file is gone", is_final=False)
            made.append(self._merged(merger, f"{order.folder}/{number}"))
        return Compacted(files=tuple(made))

    def _merged(self, merger: Merger, key: str) -> NewCompactedFile:
        rows = [
            Row(file.numbers[row.number], row.batch_id, row.kind, row.item)
            for file in merger.files
            for row in self._disk.files[file.key]
            if file.numbers[row.number] != GONE
        ]
        assert {row.kind for row in rows} <= {merger.kind}
        last = _last_by_item(rows, merger.settled)
        kept = [row for row in rows if row.number >= last.get(row.item, GONE)]
        every = _last_by_item(kept, {row.number for row in kept})
        file = self._disk.put(merger.kind, key, kept)
        return NewCompactedFile(
            **file.model_dump(),
            relied_on=tuple({last[row.item] for row in rows if row not in kept}),
            superseded_count=sum(row.number < every.get(row.item, GONE) for row in kept),
        )


def stored(disk: Disk, folder: str, rows: Sequence[Row]) -> tuple[NewStoreFile, ...]:
    """Write what a promotion makes of the rows of a batch: a file of each kind."""
    return tuple(
        disk.put(kind, f"{folder}/{kind}", [row for row in rows if row.kind is kind])
        for kind in KINDS
    )


def _last_by_item(rows: Iterable[Row], settled: Collection[int]) -> dict[str, int]:
    """For whose sake earlier rows of an item may go; links never do."""
    last: dict[str, int] = {}
    for row in rows:
        if row.number in settled and row.kind is not StoreFileKind.LINKS:
            last[row.item] = max(row.number, last.get(row.item, GONE))
    return last
