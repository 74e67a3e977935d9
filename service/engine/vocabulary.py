"""The words of many files as one: what a file numbers for itself is numbered through all of them.

A text that all files store as words stays numbers from the files to the part: rows are picked by
number, and the part's dictionary is the vocabulary's. It is the same for every task, so that
where the key space is cut changes nothing. What was made of the files, such as the runs of a
plan, holds the vocabulary's numbers and no words: its places are those after the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from service.engine.arrow_types import Chunks, Column
from service.engine.ranking import Bools, Ints
from service.engine.store_files import StoreFile, code_type

#: Distinct words of one column. Parts have them all in every row group, so they should be few
#: beside a row group's rows.
MOST_WORDS = 1 << 16
#: Words of all columns and files together: with 4 bytes for each, 64 MiB.
MOST_PLACES = 16 << 20

#: Of each row, which of several columns it is in.
Places = npt.NDArray[np.unsignedinteger]


class Vocabulary:
    """The words of files, in their order. May be read by several threads at once."""

    def __init__(self, files: Sequence[StoreFile], columns: Iterable[str], threads: int) -> None:
        #: Of every text that is kept as numbers.
        self.words: dict[str, Column] = {}
        self._numbers: dict[str, npt.NDArray[np.int32]] = {}
        #: By file: where its numbers begin; last, where those of no file do.
        self._firsts: dict[str, Ints] = {}
        self._worded = [frozenset(file.layout.worded) for file in files]
        found = {name: _words_in(files, name) for name in columns}
        room = MOST_PLACES
        for name, words in list(found.items()):
            count = sum(map(len, words.values()))
            if not 0 < count <= room:
                del found[name]
            else:
                room -= count
        with ThreadPoolExecutor(threads) as pool:
            united = pool.map(_united, found.values())
        for (name, own), chunks in zip(found.items(), united, strict=True):
            if len(chunks[0].dictionary) > MOST_WORDS:
                continue
            self.words[name] = chunks[0].dictionary
            # Behind those of the files' words, what is made of the files finds its own numbers.
            numbers = [chunk.indices.to_numpy() for chunk in chunks]
            same = np.arange(len(self.words[name]), dtype=np.int32)
            self._numbers[name] = np.concatenate([*numbers, same])
            counts = [len(own.get(number, ())) for number in range(len(files))]
            self._firsts[name] = np.concatenate(([0], np.cumsum(counts)))

    def readable(self, file: int, rows: pa.Table) -> pa.Table:
        """Give rows of a file, by its place, with texts for words the vocabulary does not have."""
        if file >= len(self._worded):
            return rows
        plain = self._worded[file] - self.words.keys()
        if not plain.intersection(rows.schema.names):
            return rows
        return pa.table(
            {
                name: column.cast(pa.string()) if name in plain else column
                for name, column in zip(rows.schema.names, rows.columns, strict=True)
            }
        )

    def worded(self, name: str, columns: Sequence[tuple[int, Chunks]], place: Places) -> Worded:
        """Give columns of files, each with its file's place, as a text that has words.

        ``place`` says for each row which of the columns it is in.
        """
        chunks = [chunk for _, column in columns for chunk in column.chunks]
        own = [_codes(chunk) for chunk in chunks]
        is_valid = None
        if any(chunk.null_count for chunk in chunks):
            is_valid = np.ones(sum(map(len, chunks)), np.bool_)
            start = 0
            for chunk, (bitmap, _) in zip(chunks, own, strict=True):
                is_valid[start : start + len(chunk)] = bitmap
                start += len(chunk)
        return Worded(
            codes=np.concatenate([codes for _, codes in own] or [np.empty(0, np.uint8)]),
            place=place,
            firsts=self._firsts[name][[min(file, len(self._worded)) for file, _ in columns]],
            numbers=self._numbers[name],
            is_valid=is_valid,
            words=self.words[name],
        )

    def numbered(self, name: str, file: int, column: Column) -> Column:
        """Give words of a file as what is made of the files holds them: as plain numbers."""
        first, stop = self._firsts[name][file : file + 2]
        type = code_type(self.words[name])
        bitmap, codes = _codes(column)
        own = self._numbers[name][first:stop].astype(type.to_pandas_dtype())
        # What lies under a null may be no code at all.
        numbers = own.take(codes, mode="clip") if len(own) else np.zeros(len(column), own.dtype)
        return pa.array(numbers, mask=~bitmap if column.null_count else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worded:
    """A column of texts as codes of words, each row's by the file it is in.

    Only those of rows that are asked for are looked up: most rows lose the contest of a leaf.
    """

    #: Of nulls, any.
    codes: npt.NDArray[np.integer]
    place: Places
    #: By place: where the words of the file begin in ``numbers``.
    firsts: Ints
    #: The number in ``words`` of each word of each file.
    numbers: npt.NDArray[np.int32]
    #: Null when all are.
    is_valid: Bools | None
    words: Column

    def at(self, rows: Ints) -> Column:
        """Give the texts at some rows as a dictionary, null where the row is -1."""
        if not len(self.codes):
            nulls = pa.nulls(len(rows), pa.int32())
            return pa.DictionaryArray.from_arrays(nulls, self.words)
        present = rows >= 0
        if self.is_valid is not None:
            present &= self.is_valid[rows]
        bitmap = None
        if not present.all():
            bitmap = pa.py_buffer(np.packbits(present, bitorder="little"))
        at = self.firsts[self.place[rows]] if len(self.firsts) > 1 else self.firsts
        # What lies under a null may be no code at all.
        numbers = self.numbers.take(at + self.codes[rows], mode="clip")
        indices = pa.Array.from_buffers(pa.int32(), len(rows), [bitmap, pa.py_buffer(numbers)])
        return pa.DictionaryArray.from_arrays(indices, self.words, safe=False)


def _codes(chunk: Column) -> tuple[Bools | bool, npt.NDArray[np.integer]]:
    """Give which values of a column of codes are there, and these, without copying them."""
    bitmap, codes = chunk.buffers()
    type = chunk.type.index_type if pa.types.is_dictionary(chunk.type) else chunk.type
    size = type.bit_width // 8
    own = np.frombuffer(codes, f"u{size}", len(chunk), chunk.offset * size)
    if bitmap is None or not chunk.null_count:
        return True, own
    before = chunk.offset % 8
    bits = np.frombuffer(bitmap, np.uint8, -(-(before + len(chunk)) // 8), chunk.offset // 8)
    return np.unpackbits(bits, bitorder="little")[before : before + len(chunk)].view(np.bool_), own


def _words_in(files: Sequence[StoreFile], name: str) -> dict[int, Column]:
    """Give a text's words by file; none at all unless all files that have it have words."""
    found: dict[int, Column] = {}
    for number, file in enumerate(files):
        words = file.words(name)
        if words is not None:
            found[number] = words
        elif name in file.schema.names:
            return {}
    return found


def _united(words: dict[int, Column]) -> list[Any]:
    """Number words through: dictionaries for each file, all with the same words."""
    chunks: list[Any] = pc.dictionary_encode(pa.chunked_array(list(words.values()))).chunks
    return chunks
