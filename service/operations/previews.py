"""What may be asked of a batch's files before they are rows: to see how they are read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from catalog.audit import Action, ObjectKind
from catalog.batches import BatchId, FileFormat, InputFormat
from catalog.errors import Invalid, NotFound
from catalog.organisations import Caller
from catalog.store.audit import AuditStore
from catalog.store.batches import BatchStore
from catalog.store.database import Database
from service.engine.local import EngineDied, LocalRunner
from service.engine.orders import (
    Failed,
    Limits,
    Peeked,
    PeekOrder,
    Reading,
    UploadedFile,
)

#: Previews one process makes at a time, each in a child of its own; further ones wait.
AT_ONCE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a caller wants files to be read; null is what their batch says."""

    format: FileFormat | None = None
    delimiter: str | None = None
    quote: str | None = None
    escape: str | None = None
    has_header: bool = True
    row_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The first rows of what was sent for a batch, and how it was read."""

    input_format: InputFormat
    has_header: bool
    #: Values as texts by the number of their column.
    columns: tuple[str, ...]
    rows: tuple[dict[int, str], ...]


class Previews:
    """The files that were sent for batches of a caller's sandbox, as far as they are kept.

    They are read as promotions read them, in a child under limits: what anybody sent is not
    parsed in the process that answers everybody.
    """

    def __init__(self, database: Database, runner: LocalRunner, *, limits: Limits) -> None:
        self._database = database
        self._runner = runner
        self._limits = limits
        self._places = asyncio.Semaphore(AT_ONCE)

    async def of_batch(
        self, batch_id: BatchId, dataset_id: str, look: Look, *, by: Caller
    ) -> Preview:
        """Give the first rows of a batch's files; refuses with Invalid what cannot be read."""
        async with self._database.transaction() as db:
            batch = await BatchStore(db).find(by.scope, batch_id)
            if batch.dataset_id != dataset_id:
                raise NotFound(f"batch {batch_id} of data set", dataset_id)
            uploads = await BatchStore(db).uploads(batch_id)
            await AuditStore(db).note(by, Action.READ, ObjectKind.BATCH, batch_id)
        read_as = _read_as(batch.input_format, look)
        order = PeekOrder(
            uploads=tuple(
                UploadedFile(path=upload.path, key=upload.key, size_bytes=upload.size_bytes)
                for upload in uploads
            ),
            reading=Reading(
                format=read_as.format,
                delimiter=read_as.delimiter,
                quote=read_as.quote,
                escape=read_as.escape,
            ),
            has_header=look.has_header,
            row_count=look.row_count,
            limits=self._limits,
        )
        async with self._places:
            peeked = await self._peeked(order)
        return Preview(
            input_format=read_as,
            has_header=look.has_header,
            columns=peeked.columns,
            rows=peeked.rows,
        )

    async def _peeked(self, order: PeekOrder) -> Peeked:
        try:
            async with self._runner.run(order) as answers:
                async for answer in answers:
                    if isinstance(answer, Peeked):
                        return answer
                    if isinstance(answer, Failed) and answer.is_final:
                        raise Invalid(answer.message)
                    raise RuntimeError(f"a look at files was answered by {answer.kind}")
        except EngineDied as died:
            raise Invalid("the files cannot be shown: reading them broke down") from died
        raise AssertionError("answers end with one that ends them")


def _read_as(batch: InputFormat, look: Look) -> InputFormat:
    return InputFormat(
        format=look.format or batch.format,
        is_multi_line_json=batch.is_multi_line_json,
        delimiter=look.delimiter or batch.delimiter,
        quote=look.quote or batch.quote,
        escape=look.escape or batch.escape,
    )
