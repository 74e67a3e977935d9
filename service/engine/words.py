"""The words of texts that repeat: while a batch is promoted, its texts become numbers.

Sorting and spilling numbers is cheap, and exports need each word once per file instead of once
per row. Whether a text repeats shows only when much of it was seen, so any column may turn out
to be no such text until the last row has come, and is then written as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.engine.arrow_types import Chunks, Column
from service.engine.nesting import whole
from service.engine.store_files import MOST_WORDS, StoreFile

#: A text repeats when it has fewer words than this share of its values. Exports hash each word
#: of a file once, and otherwise each value that they write, which costs more.
WORD_SHARE = 0.9
#: Of fewer values nothing can be told; they are taken for words.
FEWEST_VALUES = 4096
#: All words of a batch together; held in memory while it is promoted.
WORDS_BYTES = 32 << 20

_CODES = pa.int32()


@dataclass(slots=True)
class _Text:
    """One column of texts, as far as it was seen."""

    words: Column = field(default_factory=lambda: pa.array([], pa.string()))
    value_count: int = 0
    repeats: bool = True

    def codes(self, column: Column) -> Column:
        """Number texts by their words, of which there may be new ones."""
        encoded = pc.dictionary_encode(column)
        places = pc.index_in(encoded.dictionary, value_set=self.words)
        new = np.asarray(places.is_null().to_numpy(zero_copy_only=False))
        numbers = places.fill_null(0).to_numpy().astype(np.int32)
        numbers[new] = len(self.words) + np.arange(np.count_nonzero(new))
        self.words = pa.concat_arrays([self.words, encoded.dictionary.filter(pa.array(new))])
        self.value_count += len(column) - column.null_count
        enough = self.value_count < FEWEST_VALUES
        self.repeats = len(self.words) <= MOST_WORDS and (
            enough or len(self.words) <= WORD_SHARE * self.value_count
        )
        return pa.array(numbers, _CODES).take(encoded.indices)


class Words:
    """The words of all texts of one batch. Not to be shared between threads."""

    def __init__(self, schema: pa.Schema) -> None:
        """Look for words in the columns of a schema that are plain texts."""
        self._schema = schema
        self._texts = {f.name: _Text() for f in schema if pa.types.is_string(f.type)}

    def coded(self, rows: pa.Table) -> pa.Table:
        """Put numbers into the place of texts that repeat, as far as can be told by now."""
        columns = [
            text.codes(whole(rows.column(name)))
            if (text := self._texts.get(name)) is not None and text.repeats
            else rows.column(name)
            for name in rows.schema.names
        ]
        self._give_up_the_largest()
        return pa.table(dict(zip(rows.schema.names, columns, strict=True)))

    def settled(self, rows: pa.Table) -> pa.Table:
        """Give rows that were coded once, or none, the form they have now: numbers for words."""
        columns = [self._settled(field, rows.column(field.name)) for field in self._schema]
        return pa.table(dict(zip(self._schema.names, columns, strict=True)))

    def found(self) -> dict[str, Column]:
        """Give the words of the texts that repeat."""
        return {name: text.words for name, text in self._texts.items() if text.repeats}

    def spelt(self, rows: pa.Table) -> pa.Table:
        """Give settled rows with dictionaries in the place of numbers."""
        words = self.found()
        columns = [
            pa.DictionaryArray.from_arrays(whole(rows.column(name)), words[name])
            if name in words
            else rows.column(name)
            for name in rows.schema.names
        ]
        return pa.table(dict(zip(rows.schema.names, columns, strict=True)))

    def _settled(self, field: pa.Field[Any], column: Chunks) -> Column | Chunks:
        text = self._texts.get(field.name)
        if text is None:
            return column
        if text.repeats:
            return column if len(column) else pa.chunked_array([], _CODES)
        return column if column.type == field.type else text.words.take(whole(column))

    def _give_up_the_largest(self) -> None:
        """Keep the words within their bounds."""
        repeating = [text for text in self._texts.values() if text.repeats]
        repeating.sort(key=lambda text: text.words.nbytes)
        while sum(text.words.nbytes for text in repeating) > WORDS_BYTES:
            repeating.pop().repeats = False


def common_words(files: Iterable[StoreFile]) -> dict[str, Column]:
    """Give the words of texts that all of the files that have them store as words.

    Texts that together have too many words are left out.
    """
    words: dict[str, list[Column] | None] = {}
    for file in files:
        for name in file.schema.names:
            own = file.words(name)
            known = words.setdefault(name, [])
            if own is None or known is None:
                words[name] = None
            else:
                known.append(own)
    united = {name: pc.unique(pa.chunked_array(known)) for name, known in words.items() if known}
    return {name: each for name, each in united.items() if len(each) <= MOST_WORDS}
