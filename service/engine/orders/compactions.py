"""Orders to make few store files of many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from catalog.store_files import StoreFileKind
from service.engine.orders.messages import NewStoreFile, Order
from service.engine.orders.snapshots import GONE, Fragments, Source


class CompactedFile(Order):
    """A store file whose rows go into a larger one."""

    key: str
    #: For each number of its own batches that of the same batch in the larger file; -1 leaves
    #: the rows of a batch out. A file that is of one batch has one.
    numbers: tuple[int, ...]


class Merger(Order):
    """Store files of one data set and kind that become one."""

    kind: StoreFileKind
    files: tuple[CompactedFile, ...]


class CompactionOrder(Order):
    """Make one store file of several, which says the same."""

    kind: Literal["compaction"] = "compaction"
    folder: str
    mergers: tuple[Merger, ...]
    #: The deployment's secret for identity keys (32 bytes).
    secret: bytes
    threads: int = 2


class Compacted(Order):
    """The files that were made, one for each merger, in their order; empty ones too."""

    kind: Literal["compacted"] = "compacted"
    files: tuple[NewStoreFile, ...]


def merger_of(files: Sequence[Fragments]) -> tuple[Merger, tuple[Source, ...]]:
    """Say how files of one data set and kind become one, and which batches it then holds.

    Those are numbered in ingest order; batches that are gone are left out.
    """
    batches = {source.ingest_number: source for file in files for source in file.all_sources}
    sources = tuple(
        batches[ingest_number].model_copy(update={"number": number})
        for number, ingest_number in enumerate(sorted(batches))
    )
    number = {source.ingest_number: source.number for source in sources}
    compacted = []
    for file in files:
        numbers = [GONE] * file.source_count
        for source in file.all_sources:
            numbers[source.number] = number[source.ingest_number]
        compacted.append(CompactedFile(key=file.key, numbers=tuple(numbers)))
    return Merger(kind=files[0].kind, files=tuple(compacted)), sources
