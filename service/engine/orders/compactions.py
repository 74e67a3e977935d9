"""Orders to make few store files of many."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from catalog.store_files import StoreFileKind
from service.engine.orders.messages import NewFile, NewStoreFile, Order
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
    #: Numbers, in the larger file, of batches that cannot be taken back any more without the store
    #: being made anew: for their sake older rows are left out.
    settled: tuple[int, ...] = ()
    #: Numbers of batches whose records patch others.
    patches: tuple[int, ...] = ()


class CompactionOrder(Order):
    """Make one store file of several, which says the same."""

    kind: Literal["compaction"] = "compaction"
    folder: str
    mergers: tuple[Merger, ...]
    #: The labelling by which home files are written; null writes none.
    labelling: str | None = None
    #: Larger files have one from so many bytes on.
    home_from_bytes: int = 0
    #: Store files that are to have one, and stay as they are.
    homeless: tuple[str, ...] = ()
    #: The deployment's secret for identity keys (32 bytes).
    secret: bytes
    threads: int = 2


class NewCompactedFile(NewStoreFile):
    """A larger file, and what is not in it."""

    #: Numbers of batches for whose sake rows of older ones were left out, now.
    relied_on: tuple[int, ...] = ()
    #: Rows that may be left out when all of its batches are settled.
    superseded_count: int = 0
    home: NewFile | None = None


class Compacted(Order):
    """The files that were made, one for each merger, in their order; empty ones too."""

    kind: Literal["compacted"] = "compacted"
    files: tuple[NewCompactedFile, ...]
    #: The home files of those that were to have one, in their order.
    homes: tuple[NewFile, ...] = ()


def merger_of(
    files: Sequence[Fragments], *, settled_until: datetime | None = None
) -> tuple[Merger, tuple[Source, ...]]:
    """Say how files of one data set and kind become one, and which batches it then holds.

    Those are numbered in ingest order; batches that are gone are left out. Batches that were
    ingested by ``settled_until`` are settled; without it none is.
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
    merger = Merger(
        kind=files[0].kind,
        files=tuple(compacted),
        settled=tuple(
            source.number
            for source in sources
            if settled_until is not None and source.ingested_at <= settled_until
        ),
        patches=tuple(source.number for source in sources if source.is_upsert),
    )
    return merger, sources
