"""The format of store files: rows sorted by identity key, in groups cut at key prefixes.

A store file is an uncompressed Arrow file. It is mapped into memory and its columns are used
where they lie, because exports read the same rows again and again and decoding would cost them
more than all else: see ``docs/decisions``. Texts that repeat are stored as *words*: each once in
a dictionary of the whole file, and a small number in each row.

A key is 128 bits in two unsigned columns. Its *prefix* at depth ``d`` is its first ``d`` bits.
Every file has a depth of its own, chosen by its bytes, and one group of rows (a record batch)
per prefix that occurs, several only where one prefix outgrows a group. Because prefixes nest,
a reader may ask for slices at any depth: finer ones are cut out of a group, coarser ones are
runs of them. What the columns beside the keys mean is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from service.engine.arrow_types import Column
from service.engine.identity_keys import fingerprint
from service.engine.nesting import whole
from service.storage.files import Mapped

#: The identity a row is about. Columns of our own start with an underscore and hold no dot, but
#: so may a leaf of the root: promotion refuses schemas with these names.
KEY_HI, KEY_LO = "_key_hi", "_key_lo"
#: Running number of the row in its batch.
SEQ = "_seq"
#: Of files that hold rows of several batches: the number of the row's batch in the file.
SOURCE = "_source"
#: Of events: the mark of the id, see :mod:`~service.engine.marks`; null without one.
MARK = "_mark"
#: Of memberships: those of a profile, see :mod:`~service.engine.own_memberships`.
MEMBERSHIPS = "_memberships"

#: Groups hold about this much. Slices are cut out of them without copying, so only the writer's
#: memory speaks for small ones, and a footer that is quickly read for big ones.
GROUP_BYTES = 8 << 20
#: 4096 groups of 8 MiB are 32 GiB; beyond that footers would cost more than finer groups save.
MAX_DEPTH = 12

#: Texts with more words than 16 bits tell apart are stored as they are.
MOST_WORDS = 1 << 16

_METADATA_KEY = b"profile-exports"

Uint64s = npt.NDArray[np.uint64]


class Sink(Protocol):
    """Something to write bytes to, such as :class:`service.storage.files.Writing`."""

    def write(self, data: bytes, /) -> int: ...


class Layout(BaseModel):
    """What a store file says of itself, as JSON beside an empty record batch after the last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[2] = 2
    depth: int
    #: Of each group, ascending.
    prefixes: tuple[int, ...]
    #: Of each group.
    row_counts: tuple[int, ...]
    #: By column, of all groups.
    column_bytes: dict[str, int]
    #: Texts that are stored as words.
    worded: tuple[str, ...] = ()
    #: Names the secret of the keys; null in files that live and die with a plan.
    secret: str | None
    #: The column whose prefixes the groups are cut at.
    cut_at: str = KEY_HI


def depth_for(size_bytes: int) -> int:
    """Choose the depth of a file with this many bytes: 0 to 12."""
    return min(MAX_DEPTH, max(0, -(-size_bytes // GROUP_BYTES) - 1).bit_length())


def prefixes(key_hi: Uint64s, depth: int) -> Uint64s:
    """Give the first ``depth`` bits of each key; at depth 0 every prefix is 0."""
    if depth == 0:
        return np.zeros(len(key_hi), np.uint64)
    return key_hi >> np.uint64(64 - depth)


def first_key(prefix: int, depth: int) -> int:
    """Give the smallest high half with the prefix; of one prefix past the last, 2 ** 64."""
    return prefix << (64 - depth)


class StoreFileWriter:
    """Writes one store file, prefix by prefix in ascending order.

    In a ``with`` block it is closed at the end, unless the block fails.
    """

    def __init__(
        self,
        sink: Sink | pa.NativeFile,
        schema: pa.Schema,
        *,
        depth: int,
        secret: bytes | None,
        cut_at: str = KEY_HI,
        words: Mapping[str, Column] | None = None,
    ) -> None:
        """Prepare for rows of a schema.

        ``words`` names the texts that are stored as words, each with all its values, distinct
        and none of them null: :func:`~service.engine.words.common_words` when files become one.
        Exports are several times faster on texts that repeat when all files of a data set store
        them so. Rows may have such a column as plain text or as a dictionary of just these words.
        A column that is a dictionary in ``schema`` must have one and the same in all rows.
        """
        self._depth = depth
        self._secret = None if secret is None else fingerprint(secret)
        self._cut_at = cut_at
        self._words = dict(words or {})
        self._prefixes: list[int] = []
        self._row_counts: list[int] = []
        self._column_bytes = dict.fromkeys(schema.names, 0)
        fields = [
            field.with_type(pa.dictionary(code_type(self._words[field.name]), pa.string()))
            if field.name in self._words
            else field
            for field in schema
        ]
        self._schema = pa.schema(fields)
        self._dictionaries = dict(self._words)
        if not isinstance(sink, pa.NativeFile):
            sink = pa.PythonFile(sink, mode="w")
        self._writer = pa.ipc.new_file(sink, self._schema)

    def write(self, prefix: int, rows: pa.Table) -> None:
        """Write the rows of one prefix, sorted by key, as one group; none, when there are none.

        A prefix may be written again as long as no later one was: its rows then go on in another
        group, which is how an identity with more rows than fit into memory is stored.
        """
        if self._prefixes and prefix < self._prefixes[-1]:
            raise ValueError(f"prefix {prefix} after {self._prefixes[-1]}: prefixes must ascend")
        if not rows.num_rows:
            return
        columns = [self._stored(field, rows) for field in self._schema]
        for name, column in zip(self._schema.names, columns, strict=True):
            self._column_bytes[name] += _column_bytes(column)
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        self._prefixes.append(prefix)
        self._row_counts.append(rows.num_rows)

    def write_sorted(self, rows: pa.Table) -> None:
        """Write sorted rows of any prefixes, cutting them where the prefix changes."""
        if not rows.num_rows:
            return
        # At once, because to look words up in each piece would mean to learn them all each time.
        stored = [self._stored(field, rows) for field in self._schema]
        rows = pa.Table.from_arrays(stored, schema=self._schema)
        keys = rows.column(self._cut_at).to_numpy()
        for prefix, start, stop in _runs(prefixes(keys, self._depth)):
            self.write(prefix, rows.slice(start, stop - start))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()

    def close(self) -> None:
        """Write the footer. The sink is left open: it is its owner's to publish."""
        layout = Layout(
            depth=self._depth,
            prefixes=tuple(self._prefixes),
            row_counts=tuple(self._row_counts),
            column_bytes=self._column_bytes,
            worded=tuple(self._words),
            secret=self._secret,
            cut_at=self._cut_at,
        )
        self._writer.write_batch(
            pa.RecordBatch.from_arrays(
                [self._none_of(field) for field in self._schema], schema=self._schema
            ),
            custom_metadata={_METADATA_KEY: json.dumps(layout.model_dump(), separators=(",", ":"))},
        )
        self._writer.close()

    def _stored(self, field: pa.Field[Any], rows: pa.Table) -> Column:
        """Give a column of rows as the file has it."""
        column = rows.column(field.name)
        words = self._words.get(field.name)
        if words is not None and not pa.types.is_dictionary(column.type):
            codes = whole(pc.index_in(column, value_set=words)).cast(field.type.index_type)
            if codes.null_count != column.null_count:
                raise ValueError(f"{field.name} has a text that is none of its words")
            return pa.DictionaryArray.from_arrays(codes, words)
        one = whole(column)
        if pa.types.is_dictionary(field.type):
            known = self._dictionaries.setdefault(field.name, one.dictionary)
            if one.dictionary is not known and not one.dictionary.equals(known):
                raise ValueError(f"{field.name} has another dictionary than before")
            codes = one.indices.cast(field.type.index_type)
            return pa.DictionaryArray.from_arrays(codes, known)
        return one

    def _none_of(self, field: pa.Field[Any]) -> Column:
        if not pa.types.is_dictionary(field.type):
            return pa.array([], field.type)
        dictionary = self._dictionaries.get(field.name, pa.array([], field.type.value_type))
        return pa.DictionaryArray.from_arrays(pa.array([], field.type.index_type), dictionary)


def code_type(words: Column) -> pa.DataType:
    """Choose the narrowest type of numbers that tells all words apart."""
    if len(words) <= 1 << 8:
        return pa.uint8()
    return pa.uint16() if len(words) <= MOST_WORDS else pa.int32()


def _column_bytes(column: Column) -> int:
    stored = column.indices if isinstance(column, pa.DictionaryArray) else column
    return int(stored.nbytes)


def _runs(sorted_prefixes: Uint64s) -> Iterable[tuple[int, int, int]]:
    starts = np.flatnonzero(np.r_[True, sorted_prefixes[1:] != sorted_prefixes[:-1]])
    stops = np.r_[starts[1:], len(sorted_prefixes)]
    if not len(sorted_prefixes):
        return
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        yield int(sorted_prefixes[start]), start, stop


class Group(NamedTuple):
    """What is known of one group without looking at it, for the columns asked for."""

    prefix: int
    row_count: int
    #: Its share of the columns' bytes, by rows.
    size_bytes: int


class StoreFile:
    """One open store file. Not to be shared between threads."""

    def __init__(self, source: pa.NativeFile) -> None:
        self._source = source
        try:
            self._arrow = pa.ipc.open_file(source)
        except pa.ArrowInvalid as error:
            raise ValueError("not a store file: it is no Arrow file") from error
        last, metadata = self._last_batch()
        if metadata is None or _METADATA_KEY not in metadata:
            raise ValueError("not a store file: it has no layout")
        self.layout = Layout.model_validate_json(metadata[_METADATA_KEY])
        self._last = last
        self._names = frozenset(last.schema.names)
        #: The columns as they were given to the writer: texts are texts, however stored.
        self.schema: pa.Schema = pa.schema([self._given(field) for field in last.schema])
        self._prefixes = np.array(self.layout.prefixes, np.uint64)
        #: The group that was sliced last: its number, the columns asked for, and its rows.
        self._sliced: tuple[int, int, Sequence[str], pa.Table, Uint64s] | None = None

    def let_go(self) -> None:
        """Give back the memory of what was read, where the file is mapped; it stays good."""
        if isinstance(self._source, Mapped):
            self._source.let_go()

    def words(self, name: str) -> Column | None:
        """Give the words of a text; None when the file lacks it or stores it otherwise."""
        return self._last.column(name).dictionary if name in self.layout.worded else None

    def dictionary(self, name: str) -> Column | None:
        """Give the dictionary of a column that was written as one; None when there is none."""
        if name not in self._names or name in self.layout.worded:
            return None
        column = self._last.column(name)
        return column.dictionary if isinstance(column, pa.DictionaryArray) else None

    def groups(self, columns: Sequence[str]) -> list[Group]:
        """Describe the groups, in order; bytes are those of ``columns`` alone."""
        layout = self.layout
        column_bytes = sum(layout.column_bytes.get(name, 0) for name in columns)
        row_bytes = column_bytes / max(1, sum(layout.row_counts))
        return [
            Group(prefix, row_count, round(row_count * row_bytes))
            for prefix, row_count in zip(layout.prefixes, layout.row_counts, strict=True)
        ]

    def read_group(self, number: int, columns: Sequence[str]) -> pa.Table:
        """Read columns of one group; those that the file lacks are left out."""
        return self._plain(self._read(number, number + 1, columns))

    def worded_group(self, number: int) -> pa.Table:
        """Describe one group whole, with dictionaries where texts are words; nothing is read."""
        return pa.Table.from_batches([self._arrow.get_batch(number)], self._last.schema)

    def slice(self, prefix: int, depth: int, columns: Sequence[str]) -> pa.Table:
        """Read all rows whose key has the prefix, sorted as in the file.

        Columns that the file lacks are left out. But for texts that are stored as words, nothing
        is copied: the rows lie where the file does.
        """
        return self._plain(self.worded_slice(prefix, depth, columns))

    def worded_slice(self, prefix: int, depth: int, columns: Sequence[str]) -> pa.Table:
        """Read the same rows, with dictionaries where texts are stored as words; never copies."""
        first, stop = self._groups_of(prefix, depth)
        if depth <= self.layout.depth or first == stop:
            return self._read(first, stop, columns)
        rows, keys = self._to_be_sliced(first, stop, columns)
        start = _position(keys, first_key(prefix, depth))
        return rows.slice(start, _position(keys, first_key(prefix + 1, depth)) - start)

    def first_row(self, prefix: int, depth: int, columns: Sequence[str]) -> int:
        """Say where the rows of a slice begin among those of the file.

        It costs next to nothing where the same slice was just read, with the same columns.
        """
        first, stop = self._groups_of(prefix, depth)
        before = sum(self.layout.row_counts[:first])
        if depth <= self.layout.depth or first == stop:
            return before
        _, keys = self._to_be_sliced(first, stop, columns)
        return before + _position(keys, first_key(prefix, depth))

    def _to_be_sliced(
        self, first: int, stop: int, columns: Sequence[str]
    ) -> tuple[pa.Table, Uint64s]:
        """Give groups and the keys they are cut at: one slice after another is of the same."""
        last = self._sliced
        if last is None or last[:2] != (first, stop) or last[2] is not columns:
            rows = self._read(first, stop, columns)
            last = (first, stop, columns, rows, rows.column(self.layout.cut_at).to_numpy())
            self._sliced = last
        return last[3], last[4]

    def _groups_of(self, prefix: int, depth: int) -> tuple[int, int]:
        finer = self.layout.depth - depth
        low, high = (
            (prefix << finer, prefix + 1 << finer)
            if finer >= 0
            else (prefix >> -finer, (prefix >> -finer) + 1)
        )
        first, stop = np.searchsorted(self._prefixes, np.array([low, high], np.uint64))
        return int(first), int(stop)

    def _read(self, first: int, stop: int, columns: Sequence[str]) -> pa.Table:
        # Whole batches: nothing of them is touched yet, and to tell Arrow which columns are wanted
        # costs more than to let it describe all.
        batches = [self._arrow.get_batch(number) for number in range(first, stop)]
        rows = pa.Table.from_batches(batches, self._last.schema)
        return rows.select([name for name in columns if name in self._names])

    def _plain(self, rows: pa.Table) -> pa.Table:
        schema = pa.schema([self.schema.field(name) for name in rows.schema.names])
        return rows if rows.schema == schema else rows.cast(schema)

    def _given(self, field: pa.Field[Any]) -> pa.Field[Any]:
        return field.with_type(pa.string()) if field.name in self.layout.worded else field

    def _last_batch(self) -> tuple[pa.RecordBatch, Mapping[bytes, bytes] | None]:
        count = self._arrow.num_record_batches
        if not count:
            raise ValueError("not a store file: it has no layout")
        last, metadata = self._arrow.get_batch_with_custom_metadata(count - 1)
        return last, metadata


def _position(sorted_keys: Uint64s, key: int) -> int:
    if key >> 64:
        return len(sorted_keys)
    return int(np.searchsorted(sorted_keys, np.uint64(key)))
