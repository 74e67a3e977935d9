"""The format of store files: rows sorted by identity key, in row groups cut at key prefixes.

A key is 128 bits in two unsigned columns. Its *prefix* at depth ``d`` is its first ``d`` bits.
Every file has a depth of its own, chosen by its bytes, and one row group per prefix that
occurs (several only where one prefix outgrows a row group). Because prefixes nest, a reader may
ask for slices at any depth: finer ones are cut out of a row group, coarser ones are runs of
them. What the columns beside the keys mean is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from service.engine.identity_keys import fingerprint

#: The identity a row is about. Columns of our own start with an underscore and hold no dot, but
#: so may a leaf of the root: promotion refuses schemas with these names.
KEY_HI, KEY_LO = "_key_hi", "_key_lo"
#: Running number of the row in its batch.
SEQ = "_seq"

#: Row groups hold about this much before encoding. A task decodes whole row groups: with 8 MiB,
#: exports of files of a few MiB took twice as long and twice the memory; with 1 MiB, reading
#: everything took a third longer.
GROUP_BYTES = 2 << 20
#: 4096 row groups of 2 MiB are 8 GiB; beyond that footers would cost more than finer groups save.
MAX_DEPTH = 12

_METADATA_KEY = b"profile-exports"

Uint64s = npt.NDArray[np.uint64]


class Sink(Protocol):
    """Something to write bytes to, such as :class:`service.storage.files.Writing`."""

    def write(self, data: bytes, /) -> int: ...


class Layout(BaseModel):
    """What a store file says of itself, as JSON in its key-value metadata."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    depth: int
    #: Of each row group, ascending.
    prefixes: tuple[int, ...]
    #: Names the secret of the keys; null in files that live and die with a plan.
    secret: str | None
    #: The column whose prefixes the row groups are cut at.
    cut_at: str = KEY_HI


def depth_for(size_bytes: int) -> int:
    """Choose the depth of a file with this many bytes before encoding: 0 to 12."""
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
    """Writes one store file, prefix by prefix in ascending order."""

    def __init__(
        self,
        sink: Sink,
        schema: pa.Schema,
        *,
        depth: int,
        secret: bytes | None,
        cut_at: str = KEY_HI,
    ) -> None:
        self._depth = depth
        self._secret = None if secret is None else fingerprint(secret)
        self._cut_at = cut_at
        self._prefixes: list[int] = []
        self._writer = pq.ParquetWriter(
            pa.PythonFile(sink, mode="w"),
            schema,
            compression="zstd",
            use_dictionary=text_columns(schema),
            # Readers find their rows by prefix; footers with 4096 groups should be short.
            write_statistics=False,
        )

    def write(self, prefix: int, rows: pa.Table) -> None:
        """Write the rows of one prefix, sorted by key, as one row group; none, when there are none.

        A prefix may be written again as long as no later one was: its rows then go on in another
        row group, which is how an identity with more rows than fit into memory is stored.
        """
        if self._prefixes and prefix < self._prefixes[-1]:
            raise ValueError(f"prefix {prefix} after {self._prefixes[-1]}: prefixes must ascend")
        if rows.num_rows:
            self._prefixes.append(prefix)
            self._writer.write_table(rows, row_group_size=rows.num_rows)

    def write_sorted(self, rows: pa.Table) -> None:
        """Write sorted rows of any prefixes, cutting them where the prefix changes."""
        keys = rows.column(self._cut_at).to_numpy()
        for prefix, start, stop in _runs(prefixes(keys, self._depth)):
            self.write(prefix, rows.slice(start, stop - start))

    def close(self) -> None:
        """Write the footer. The sink is left open: it is its owner's to publish."""
        layout = Layout(
            depth=self._depth,
            prefixes=tuple(self._prefixes),
            secret=self._secret,
            cut_at=self._cut_at,
        )
        self._writer.add_key_value_metadata(
            {_METADATA_KEY.decode(): json.dumps(layout.model_dump(), separators=(",", ":"))}
        )
        self._writer.close()


def _runs(sorted_prefixes: Uint64s) -> Iterable[tuple[int, int, int]]:
    starts = np.flatnonzero(np.r_[True, sorted_prefixes[1:] != sorted_prefixes[:-1]])
    stops = np.r_[starts[1:], len(sorted_prefixes)]
    if not len(sorted_prefixes):
        return
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        yield int(sorted_prefixes[start]), start, stop


def text_columns(schema: pa.Schema) -> list[str]:
    """Give the Parquet paths of texts, which a dictionary may serve; numbers only pay for it."""
    return [path for field in schema for path in _text_paths(field.name, field.type)]


def _text_paths(path: str, type: pa.DataType) -> Iterable[str]:
    if pa.types.is_dictionary(type) or pa.types.is_string(type):
        yield path
    elif pa.types.is_struct(type):
        for field in type:
            yield from _text_paths(f"{path}.{field.name}", field.type)
    elif pa.types.is_map(type):
        yield from _text_paths(f"{path}.key_value.key", type.key_type)
        yield from _text_paths(f"{path}.key_value.value", type.item_type)
    elif pa.types.is_list(type):
        yield from _text_paths(f"{path}.list.element", type.value_type)


class Group(NamedTuple):
    """What a footer tells of one row group, for the columns asked for."""

    prefix: int
    row_count: int
    #: Before compression.
    size_bytes: int
    #: As stored.
    stored_bytes: int


class StoreFile:
    """One open store file. Not to be shared between threads: it keeps what it read last."""

    def __init__(self, source: pa.NativeFile) -> None:
        self._parquet = pq.ParquetFile(source)
        metadata = self._parquet.metadata.metadata or {}
        if _METADATA_KEY not in metadata:
            raise ValueError("not a store file: its footer has no layout")
        self.layout = Layout.model_validate_json(metadata[_METADATA_KEY])
        self.schema: pa.Schema = self._parquet.schema_arrow.remove_metadata()
        self._prefixes = np.array(self.layout.prefixes, np.uint64)
        self._kept: tuple[tuple[int, int, tuple[str, ...]], pa.Table] | None = None

    def groups(self, columns: Sequence[str]) -> list[Group]:
        """Describe the row groups, in order; bytes are those of ``columns`` alone."""
        metadata = self._parquet.metadata
        # A leaf's name may hold dots, and nested columns add some of their own.
        wanted = [
            number
            for number in range(metadata.num_columns)
            if _root(metadata.schema.column(number).path, self.schema) in set(columns)
        ]
        described = []
        for number, prefix in enumerate(self.layout.prefixes):
            group = metadata.row_group(number)
            chunks = [group.column(column) for column in wanted]
            size_bytes = sum(chunk.total_uncompressed_size for chunk in chunks)
            stored_bytes = sum(chunk.total_compressed_size for chunk in chunks)
            described.append(Group(prefix, group.num_rows, size_bytes, stored_bytes))
        return described

    def read_group(self, number: int, columns: Sequence[str]) -> pa.Table:
        """Read columns of one row group; those that the file lacks are left out."""
        return self._read(number, number + 1, columns)

    def slice(self, prefix: int, depth: int, columns: Sequence[str]) -> pa.Table:
        """Read all rows whose key has the prefix, sorted as in the file.

        Columns that the file lacks are left out. Ask in ascending order: the row groups read
        last are kept, so that fine slices of a coarse file decode it once.
        """
        first, stop = self._groups_of(prefix, depth)
        rows = self._read(first, stop, columns)
        if depth <= self.layout.depth or not rows.num_rows:
            return rows
        keys = rows.column(self.layout.cut_at).to_numpy()
        start = _position(keys, first_key(prefix, depth))
        return rows.slice(start, _position(keys, first_key(prefix + 1, depth)) - start)

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
        present = tuple(name for name in columns if name in self.schema.names)
        asked = (first, stop, present)
        if self._kept is None or self._kept[0] != asked:
            self._kept = None  # frees the last before the next is read
            rows = self._parquet.read_row_groups(
                list(range(first, stop)), columns=list(present), use_threads=False
            )
            self._kept = (asked, rows.select(list(present)))
        return self._kept[1]


def _position(sorted_keys: Uint64s, key: int) -> int:
    if key >> 64:
        return len(sorted_keys)
    return int(np.searchsorted(sorted_keys, np.uint64(key)))


def _root(path: str, schema: pa.Schema) -> str:
    """Give the column that a Parquet path such as ``tags.list.element`` lies in."""
    while path not in schema.names:
        path = path.rpartition(".")[0]
    return path
