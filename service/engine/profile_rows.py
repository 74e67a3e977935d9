"""Gathers the rows that a batch brings to the profile store, and writes its three store files."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from catalog.store_files import StoreFileKind
from service.engine.orders import NewStoreFile
from service.engine.spill import Settling, SortedRows, Sorting
from service.engine.store_files import SEQ, StoreFileWriter, depth_for
from service.engine.store_rows import (
    IDENTITIES,
    LINKS,
    NUMBERED_IDENTITIES,
    Shape,
    StoreRows,
    distinct_identities,
    distinct_links,
    latest_records,
    sorted_events,
    sorted_records,
)
from service.engine.words import Words
from service.storage.files import Files

#: What is held before it is sorted and spilled; sorting takes twice as much again for a moment.
FRAGMENT_BYTES, IDENTITY_BYTES, LINK_BYTES = 32 << 20, 16 << 20, 8 << 20


Report: TypeAlias = "Callable[[int], None]"


@dataclass(frozen=True, slots=True)
class _Target:
    """One store file to be."""

    kind: StoreFileKind
    rows: SortedRows
    schema: pa.Schema
    #: Brings sorted rows into the form they are stored in.
    finish: Callable[[pa.Table], pa.Table]
    words: Words | None = None


class ProfileRows:
    """Takes the profile rows of a batch in order, and writes them as three store files."""

    def __init__(self, shape: Shape, scratch: Path, *, is_event: bool, is_upsert: bool) -> None:
        #: Namespaces as first spelled, in order of first sight.
        self.codes: list[str] = []
        self._places: dict[str, int] = {}
        sort_fragments: Sorting = sorted_records if is_upsert else latest_records
        self._words = Words(shape.schema)
        kind = StoreFileKind.EVENTS if is_event else StoreFileKind.RECORDS
        self._fragments = _Target(
            kind,
            _sorted_rows(
                scratch / kind.value,
                shape.schema,
                sorted_events if is_event else sort_fragments,
                FRAGMENT_BYTES,
                self._words.settled,
            ),
            shape.schema,
            finish=self._words.spelt,
            words=self._words,
        )
        self._identities = _Target(
            StoreFileKind.IDENTITIES,
            _sorted_rows(
                scratch / "identities", NUMBERED_IDENTITIES, distinct_identities, IDENTITY_BYTES
            ),
            IDENTITIES,
            finish=self._spelt,
        )
        self._links = _Target(
            StoreFileKind.LINKS,
            _sorted_rows(scratch / "links", LINKS, distinct_links, LINK_BYTES),
            LINKS,
            finish=_as_they_are,
        )

    def add(self, rows: StoreRows, first: int) -> None:
        """Take rows whose file's first row has the running number ``first`` in the batch."""
        numbers = pa.array(rows.fragments.column(SEQ).to_numpy() + (first - 1))
        place = rows.fragments.schema.get_field_index(SEQ)
        fragments = rows.fragments.set_column(place, rows.fragments.schema.field(place), numbers)
        self._fragments.rows.add(self._words.coded(fragments))
        self._identities.rows.add(self._numbered(rows))
        self._links.rows.add(rows.links)

    def write(
        self, files: Files, folder: str, secret: bytes, pool: ThreadPoolExecutor, report: Report
    ) -> tuple[NewStoreFile, ...]:
        """Write the three files beside each other; ``report`` is told of bytes as they are."""
        targets = (self._fragments, self._identities, self._links)
        writing = [pool.submit(_write, target, files, folder, secret, report) for target in targets]
        return tuple(written.result() for written in writing)

    @property
    def size_bytes(self) -> int:
        """Bytes that :meth:`write` will report, about."""
        return sum(
            target.rows.size_bytes for target in (self._fragments, self._identities, self._links)
        )

    def _numbered(self, rows: StoreRows) -> pa.Table:
        """Count namespaces through the whole batch, not through these rows."""
        for code in rows.codes:
            if code.lower() not in self._places:
                self._places[code.lower()] = len(self.codes)
                self.codes.append(code)
        numbers = np.array([self._places[code.lower()] for code in rows.codes], np.int32)
        place = rows.identities.schema.get_field_index("namespace")
        chosen = numbers[rows.identities.column(place).to_numpy()]
        return rows.identities.set_column(
            place, rows.identities.schema.field(place), pa.array(chosen)
        )

    def _spelt(self, rows: pa.Table) -> pa.Table:
        codes = pa.array([code.lower() for code in self.codes], pa.string())
        place = rows.schema.get_field_index("namespace")
        numbers = rows.column(place).combine_chunks()
        spelt = pa.DictionaryArray.from_arrays(numbers, codes)
        return rows.set_column(place, IDENTITIES.field(place), spelt)


def _as_they_are(rows: pa.Table) -> pa.Table:
    return rows


def _sorted_rows(
    folder: Path,
    schema: pa.Schema,
    sorting: Sorting,
    run_bytes: int,
    settling: Settling = _as_they_are,
) -> SortedRows:
    folder.mkdir()
    return SortedRows(folder, schema, sorting, run_bytes, settling)


def _write(
    target: _Target, files: Files, folder: str, secret: bytes, report: Report
) -> NewStoreFile:
    depth = depth_for(target.rows.size_bytes)
    row_count = 0
    words = target.words.found() if target.words is not None else None
    with (
        files.create(f"{folder}/{target.kind}.arrow") as writing,
        StoreFileWriter(writing, target.schema, depth=depth, secret=secret, words=words) as writer,
    ):
        for rows in target.rows.slices(depth):
            finished = target.finish(rows)
            writer.write_sorted(finished)
            row_count += finished.num_rows
            report(finished.nbytes)
    written = writing.written()
    return NewStoreFile(
        kind=target.kind,
        key=written.key,
        size_bytes=written.size_bytes,
        row_count=row_count,
        sha256=written.sha256,
    )
