"""Makes one store file of several, which says the same and is read faster.

Each row keeps its number in its batch and the number of its batch in the file, so that a batch
can be taken back later, and merging finds what it would have found. Rows of batches that are
gone are left out, and rows that settled batches supersede: what a later record replaced must come
back when that record's batch is taken back, so it stays until that will not happen any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.store_files import StoreFileKind
from service.engine.arrow_types import Column, united_type
from service.engine.columns import column_in
from service.engine.home_files import BROUGHT_HOME, write_home_file
from service.engine.identity_keys import fingerprint
from service.engine.marks import marks
from service.engine.nesting import taken, whole
from service.engine.orders import (
    GONE,
    Compacted,
    CompactionOrder,
    Merger,
    NewCompactedFile,
    NewFile,
    Progress,
)
from service.engine.projection import EVENT_ID, EVENT_TIME
from service.engine.ranking import Ints, Sortable, ordered
from service.engine.store_files import (
    KEY_HI,
    KEY_LO,
    MARK,
    SEQ,
    SOURCE,
    StoreFile,
    StoreFileWriter,
    depth_for,
)
from service.engine.superseding import Batches, superseded
from service.engine.words import common_words
from service.storage.files import Files

Report = Callable[[Progress], None]

#: What rows are sorted by behind their key; whatever is the same then is kept in its order.
_SORTED_BY = {
    StoreFileKind.RECORDS: (SOURCE, SEQ),
    StoreFileKind.EVENTS: (EVENT_TIME.name, SOURCE, SEQ),
    StoreFileKind.IDENTITIES: ("id_hi", "id_lo", SOURCE),
    StoreFileKind.LINKS: ("other_hi", "other_lo", SOURCE),
}


def compact(order: CompactionOrder, files: Files, report: Report) -> Compacted:
    """Write the larger files and name them. Those they are made of are left as they are.

    Holds the rows of one prefix at a time. Raises :class:`ValueError` when the files do not go
    together: they were keyed with another secret, or type one leaf in ways that nothing holds.
    """
    made, homes, total = [], [], len(order.mergers) + len(order.homeless)
    for number, merger in enumerate(order.mergers):
        report(Progress(phase="compacting", done=number, total=total))
        file = _Merging(merger, files, order.secret).write(order.folder, number)
        made.append(file.model_copy(update={"home": _home_of(file, order, files)}))
    for number, key in enumerate(order.homeless):
        report(Progress(phase="compacting", done=len(made) + number, total=total))
        assert order.labelling is not None
        home = f"{order.folder}/{number:04d}-home.arrow"
        homes.append(write_home_file(key, order.labelling, home, files))
    report(Progress(phase="compacting", done=total, total=total))
    return Compacted(files=tuple(made), homes=tuple(homes))


def _home_of(file: NewCompactedFile, order: CompactionOrder, files: Files) -> NewFile | None:
    """Write the home file of a file that was made, if it is to have one."""
    is_worth_it = file.kind in BROUGHT_HOME and file.size_bytes >= order.home_from_bytes
    if order.labelling is None or not is_worth_it:
        return None
    key = file.key.removesuffix(".arrow") + "-home.arrow"
    return write_home_file(file.key, order.labelling, key, files)


class _Merging:
    """The merging of some files into one."""

    def __init__(self, merger: Merger, files: Files, secret: bytes) -> None:
        self._kind = merger.kind
        self._files = files
        self._secret = secret
        self._opened = [StoreFile(files.open(file.key)) for file in merger.files]
        self._numbers: list[Ints] = [np.array(file.numbers, np.int64) for file in merger.files]
        self._batches = _batches(merger)
        if {file.layout.secret for file in self._opened} != {fingerprint(secret)}:
            raise ValueError("the store files were keyed with another secret")
        self._schema = _united_schema(file.schema for file in self._opened)
        #: Of columns that are dictionaries, not of texts that may be stored as words.
        self._dictionaries = {
            field.name: self._united_dictionary(field.name)
            for field in self._schema
            if pa.types.is_dictionary(field.type)
        }

    def write(self, folder: str, number: int) -> NewCompactedFile:
        """Write the one file below a folder."""
        size_bytes = sum(sum(file.layout.column_bytes.values()) for file in self._opened)
        depth = depth_for(size_bytes)
        row_count = superseded_count = 0
        is_relied_on = np.zeros_like(self._batches.is_settled)
        with (
            self._files.create(f"{folder}/{number:04d}-{self._kind}.arrow") as sink,
            StoreFileWriter(
                sink,
                self._schema,
                depth=depth,
                secret=self._secret,
                words=common_words(self._opened),
            ) as writer,
        ):
            for prefix in range(1 << depth):
                rows = self._rows(prefix, depth)
                found = superseded(self._kind, rows, self._batches)
                is_relied_on |= found.is_relied_on
                rows = rows if not found.is_dropped.any() else taken(rows, found.kept())
                writer.write(prefix, rows)
                row_count += rows.num_rows
                for file in self._opened:
                    file.let_go()  # else all of them would be in memory in the end
                later = superseded(self._kind, rows, self._batches.all_settled())
                superseded_count += int(later.is_dropped.sum())
        written = sink.written()
        return NewCompactedFile(
            kind=self._kind,
            key=written.key,
            size_bytes=written.size_bytes,
            row_count=row_count,
            sha256=written.sha256,
            relied_on=tuple(np.flatnonzero(is_relied_on).tolist()),
            superseded_count=superseded_count,
        )

    def _rows(self, prefix: int, depth: int) -> pa.Table:
        """Gather and sort the rows of one prefix."""
        rows = pa.concat_tables([self._schema.empty_table(), *self._portions(prefix, depth)])
        by = [_sortable(rows, name) for name in (KEY_HI, KEY_LO, *_SORTED_BY[self._kind])]
        return taken(rows, ordered(*(column for columns in by for column in columns)))

    def _portions(self, prefix: int, depth: int) -> Iterator[pa.Table]:
        for file, numbers in zip(self._opened, self._numbers, strict=True):
            rows = file.slice(prefix, depth, (*file.schema.names,))
            if not rows.num_rows:
                continue
            source = _own_numbers(rows)
            source = np.full(rows.num_rows, numbers[0]) if source is None else numbers[source]
            columns = [
                pa.array(source, pa.int32()) if field.name == SOURCE else self._column(rows, field)
                for field in self._schema
            ]
            portion = pa.Table.from_arrays(columns, schema=self._schema)
            yield portion if (source != GONE).all() else portion.filter(pa.array(source != GONE))

    def _column(self, rows: pa.Table, field: pa.Field) -> Column:
        """Give a column in the larger file's type; nulls where the smaller lacks it."""
        if field.name == MARK and MARK not in rows.column_names:
            return marks(whole(column_in(rows, EVENT_ID.name, pa.string())))
        if field.name not in self._dictionaries:
            return whole(column_in(rows, field.name, field.type))
        dictionary = self._dictionaries[field.name]
        texts = whole(column_in(rows, field.name, pa.string()))
        codes = pc.index_in(texts, value_set=dictionary).cast(field.type.index_type)
        return pa.DictionaryArray.from_arrays(codes, dictionary)

    def _united_dictionary(self, name: str) -> Column:
        known = [file.dictionary(name) for file in self._opened]
        held = [dictionary for dictionary in known if dictionary is not None]
        return pc.unique(pa.chunked_array(held, pa.string()))


def _batches(merger: Merger) -> Batches:
    count = 1 + max((number for file in merger.files for number in file.numbers), default=GONE)
    is_settled, is_patch = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    is_settled[[*merger.settled]] = True
    is_patch[[*merger.patches]] = True
    return Batches(is_settled=is_settled, is_patch=is_patch)


def _own_numbers(rows: pa.Table) -> Ints | None:
    """Give the numbers of rows' batches in their file; None when it is of one batch."""
    if SOURCE not in rows.column_names:
        return None
    return np.asarray(rows.column(SOURCE).to_numpy(), np.int64)


def _united_schema(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """Give the columns of all files in the types that hold all values, our own before leaves."""
    types: dict[str, pa.DataType] = {}
    for schema in schemas:
        for field in schema:
            known = types.get(field.name)
            types[field.name] = field.type if known is None else united_type(known, field.type)
    types[SOURCE] = pa.int32()
    own = [name for name in (KEY_HI, KEY_LO, SOURCE, SEQ, MARK) if name in types]
    leaves = [name for name in types if name not in own]
    return pa.schema([(name, types[name]) for name in (*own, *leaves)])


def _sortable(rows: pa.Table, name: str) -> list[Sortable]:
    """Give a column as integers that sort as it does, nulls first; none when rows lack it."""
    if name not in rows.column_names:
        return []
    column = rows.column(name)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if not column.null_count:
        return [column.to_numpy()]
    return [
        np.asarray(column.is_valid().to_numpy(zero_copy_only=False)),
        column.fill_null(0).to_numpy(),
    ]
