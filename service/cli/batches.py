"""Batches by way of the API: sent, and followed until they are active."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import click

from service.cli.api import Service
from service.cli.interrupts import Say, end, seen_through
from service.cli.sources import Files

IMPORT = "/data/foundation/import/batches"
BATCHES = "/data/foundation/catalog/batches"

#: The largest file that is sent in one call: the documented limit. Larger ones go in parts.
_ONE_CALL_BYTES = 256 << 20
_PART_BYTES = 64 << 20
#: Bytes read at a time: few enough for a bar that moves.
_PIECE_BYTES = 1 << 18

_SUCCEEDED = frozenset({"success", "active"})
_ENDED = _SUCCEEDED | {"failed", "failure", "aborted", "inactive", "deleted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A batch that will not change any more."""

    id: str
    dataset_id: str
    #: The catalog's own word, such as ``success`` or ``failed``.
    status: str
    metrics: Mapping[str, int]
    errors: tuple[Mapping[str, Any], ...]

    @property
    def is_active(self) -> bool:
        return self.status in _SUCCEEDED

    @property
    def row_count(self) -> int:
        return self.metrics.get("outputRecordCount", 0)


def pauses() -> Iterator[float]:
    """Seconds between two looks at something that is being worked on: often first, then less."""
    pause = 0.1
    while True:
        yield pause
        pause = min(pause * 1.3, 1.0)


async def send(
    service: Service,
    dataset_id: str,
    files: Files,
    *,
    on_bytes: Callable[[int], None] = lambda _: None,
    say: Say = lambda _: None,
) -> str:
    """Open a batch, upload its files and complete it. A batch that cannot be sent is aborted.

    ``on_bytes`` is told how many bytes went out since it was told last. ``say`` is told what became
    of a batch that was not sent, or whose sender was interrupted.
    """
    opened = await seen_through(
        service.post(
            IMPORT, {"datasetId": dataset_id, "inputFormat": {"format": files.format.value}}
        ),
        "the batch",
        say=say,
        on_interrupt=lambda opened: _abort(service, str(opened["id"]), say),
    )
    batch_id = str(opened["id"])
    try:
        for path in files.paths:
            name = quote(files.upload_name(path), safe="/")
            address = f"{IMPORT}/{batch_id}/datasets/{dataset_id}/files/{name}"
            await _upload(service, address, path, on_bytes)
    except BaseException:
        await _abort(service, batch_id, say)
        raise
    await seen_through(
        _complete(service, batch_id, say),
        f"batch {batch_id}",
        say=say,
        on_interrupt=lambda _: _leave(batch_id, say),
    )
    return batch_id


async def _complete(service: Service, batch_id: str, say: Say) -> None:
    try:
        await service.post(f"{IMPORT}/{batch_id}", query={"action": "COMPLETE"})
    except click.ClickException:
        await _abort(service, batch_id, say)
        raise


async def _leave(batch_id: str, say: Say) -> None:
    say(
        f"batch {batch_id} is complete and will be promoted without you:"
        f" see GET {BATCHES}/{batch_id}"
    )


async def _abort(service: Service, batch_id: str, say: Say) -> None:
    """Abort a batch, or say that it could not be."""
    address = f"{IMPORT}/{batch_id}"
    hint = (
        f"See GET {BATCHES}/{batch_id}; while it is loading nothing of it is visible, and"
        f" POST {address}?action=ABORT aborts it"
    )
    await end(
        service.post(address, query={"action": "ABORT"}),
        f"batch {batch_id}",
        "aborted",
        say=say,
        hint=hint,
        then=": nothing of it is visible, send it again",
    )


async def settled(service: Service, batch_id: str, *, say: Say = lambda _: None) -> Settled:
    """Wait until a batch is active, or never will be. ``say`` is told of an interruption."""
    try:
        for pause in pauses():
            batch = (await service.get(f"{BATCHES}/{batch_id}"))[batch_id]
            if batch["status"] in _ENDED:
                return _settled(batch_id, batch)
            await asyncio.sleep(pause)
    except asyncio.CancelledError:
        await _leave(batch_id, say)
        raise
    raise AssertionError("pauses never end")


def _settled(batch_id: str, batch: Mapping[str, Any]) -> Settled:
    return Settled(
        id=batch_id,
        dataset_id=_dataset_of(batch),
        status=batch["status"],
        metrics=batch.get("metrics") or {},
        errors=tuple(batch.get("errors") or ()),
    )


def _dataset_of(batch: Mapping[str, Any]) -> str:
    return next(
        (str(each["id"]) for each in batch["relatedObjects"] if each["type"] == "dataSet"), ""
    )


async def _upload(
    service: Service, address: str, path: Path, on_bytes: Callable[[int], None]
) -> None:
    with path.open("rb") as file:
        size_bytes = os.fstat(file.fileno()).st_size
        if size_bytes <= _ONE_CALL_BYTES:
            await service.upload(address, _pieces(file, size_bytes, on_bytes), size_bytes)
            return
        await service.post(address, query={"action": "INITIALIZE"})
        for start in range(0, size_bytes, _PART_BYTES):
            part_bytes = min(_PART_BYTES, size_bytes - start)
            pieces = _pieces(file, part_bytes, on_bytes)
            await service.upload_part(
                address, pieces, part_bytes, start=start, whole_bytes=size_bytes
            )
        await service.post(address, query={"action": "COMPLETE"})


async def _pieces(
    file: BinaryIO, count: int, on_bytes: Callable[[int], None]
) -> AsyncIterator[bytes]:
    """The next bytes of a file, a piece at a time."""
    while piece := await asyncio.to_thread(file.read, min(_PIECE_BYTES, count)):
        count -= len(piece)
        yield piece
        on_bytes(len(piece))
