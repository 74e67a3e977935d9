"""The words of many files as one: what a file numbers for itself is numbered through all of them.

A text that all files store as words stays numbers from the files to the part: rows are picked by
number, and the part's dictionary is the vocabulary's. It is the same for every task, so that
where the key space is cut changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from service.engine.arrow_types import Column
from service.engine.ranking import Ints
from service.engine.store_files import StoreFile

#: Distinct words of one column. Parts have them all in every row group, so they should be few
#: beside a row group's rows.
MOST_WORDS = 1 << 16
#: Words of all columns and files together: with 4 bytes for each, 64 MiB.
MOST_PLACES = 16 << 20


class Vocabulary:
    """The words of files, in their order. May be read by several threads at once."""

    def __init__(self, files: Sequence[StoreFile], columns: Iterable[str], threads: int) -> None:
        #: Of every text that is kept as numbers.
        self.words: dict[str, Column] = {}
        self._numbers: dict[str, npt.NDArray[np.int32]] = {}
        #: By file: where its numbers begin.
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
            self._numbers[name] = np.concatenate([chunk.indices.to_numpy() for chunk in chunks])
            counts = [len(own.get(number, ())) for number in range(len(files))]
            self._firsts[name] = np.concatenate(([0], np.cumsum(counts)))

    def readable(self, file: int, rows: pa.Table) -> pa.Table:
        """Give rows of a file, by its place, with texts for words the vocabulary does not have."""
        plain = self._worded[file] - self.words.keys()
        if not plain.intersection(rows.schema.names):
            return rows
        return pa.table(
            {
                name: column.cast(pa.string()) if name in plain else column
                for name, column in zip(rows.schema.names, rows.columns, strict=True)
            }
        )

    def spelt(self, name: str, codes: Column, files: Ints) -> Column:
        """Give the words of a text for the codes that files have for them, as a dictionary.

        ``files`` has the place of the file of each code; of nulls, any.
        """
        size = codes.type.bit_width // 8
        _, data = codes.buffers()
        own = np.frombuffer(data, f"u{size}", len(codes), codes.offset * size)
        at = self._firsts[name][files] + own
        bitmap = None
        if codes.null_count:
            present = codes.is_valid().to_numpy(zero_copy_only=False)
            at *= present  # what lies under a null may be no code at all
            bitmap = pa.py_buffer(np.packbits(present, bitorder="little"))
        numbers = pa.py_buffer(self._numbers[name][at])
        return pa.DictionaryArray.from_arrays(
            pa.Array.from_buffers(pa.int32(), len(codes), [bitmap, numbers]), self.words[name]
        )


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
