"""The words of many files as one: what a file numbers for itself is numbered through all of them.

A text that all files store as words stays numbers from the files to the part: rows are picked by
number, and the part's dictionary is the vocabulary's. It is the same for every task, so that
where the key space is cut changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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

    def __init__(self, files: Sequence[StoreFile], columns: Iterable[str]) -> None:
        #: Of every text that is kept as numbers.
        self.words: dict[str, Column] = {}
        self._places: list[dict[str, Column | None]] = [
            dict.fromkeys(file.layout.worded) for file in files
        ]
        room = MOST_PLACES
        for name in columns:
            own = {
                number: file.words(name)
                for number, file in enumerate(files)
                if name in file.schema.names
            }
            found = {number: words for number, words in own.items() if words is not None}
            count = sum(map(len, found.values()))
            if not found or len(found) < len(own) or count > room:
                continue
            encoded = pc.dictionary_encode(pa.chunked_array(list(found.values())))
            words = encoded.chunk(0).dictionary
            if len(words) > MOST_WORDS:
                continue
            room -= count
            self.words[name] = words
            for number, chunk in zip(found, encoded.chunks, strict=True):
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


def _numbered(places: Column | None, column: Chunks) -> Chunks:
    if places is None:
        return column.cast(pa.string())
    return pa.chunked_array([places.take(chunk.indices) for chunk in column.chunks], pa.int32())
