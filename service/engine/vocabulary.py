"""The words of many files as one: what a file numbers for itself is numbered through all of them.

A text that all files store as words stays numbers from the files to the part: rows are picked by
number, and the part's dictionary is the vocabulary's. It is the same for every task, so that
where the key space is cut changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.compute as pc

from service.engine.arrow_types import Chunks, Column
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
        self._places: list[dict[str, Column | None]] = [
            dict.fromkeys(file.layout.worded) for file in files
        ]
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
        for (name, words), one in zip(found.items(), united, strict=True):
            if len(one.chunk(0).dictionary) > MOST_WORDS:
                continue
            self.words[name] = one.chunk(0).dictionary
            for number, chunk in zip(words, one.chunks, strict=True):
                self._places[number][name] = chunk.indices

    def numbered(self, file: int, rows: pa.Table) -> pa.Table:
        """Give rows of a file, by its place, with the vocabulary's numbers for its own.

        Words that the vocabulary does not have become texts.
        """
        places = self._places[file]
        return pa.table(
            {
                name: _numbered(places[name], column) if name in places else column
                for name, column in zip(rows.schema.names, rows.columns, strict=True)
            }
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


def _united(words: dict[int, Column]) -> Chunks:
    """Number words through: a chunk of numbers for each file, all with one dictionary."""
    return pc.dictionary_encode(pa.chunked_array(list(words.values())))


def _numbered(places: Column | None, column: Chunks) -> Chunks:
    if places is None:
        return column.cast(pa.string())
    return pa.chunked_array([places.take(chunk.indices) for chunk in column.chunks], pa.int32())
