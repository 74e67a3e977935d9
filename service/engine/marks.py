"""Marks of texts: 64-bit numbers that nearly always differ where the texts do.

A mark is no key: whoever wants to can make two texts with the same. It saves looking at texts
whose marks differ, and what agrees must be compared.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from service.engine.arrow_types import Column

Uint64s = npt.NDArray[np.uint64]

#: Of longer texts only so many bytes at each end count.
END_BYTES = 32
#: Odd, with bits well spread: one for each word of 8 bytes, and one to finish.
_FACTORS = np.cumprod(np.full(2 * END_BYTES // 8 + 1, 0x9E3779B97F4A7C15, np.uint64))
_HALF = np.uint64(32)


def marks(texts: Column) -> Column:
    """Give the mark of each text, null where it is null. It depends on nothing but the text."""
    filled = texts.fill_null("") if texts.null_count else texts
    lengths = pc.binary_length(filled).to_numpy()
    is_long = lengths > 2 * END_BYTES
    if is_long.any():
        mark = np.empty(len(texts), np.uint64)
        mark[~is_long] = _of_words(filled.filter(pa.array(~is_long)))
        binary = filled.filter(pa.array(is_long)).cast(pa.binary())
        ends = (pc.binary_slice(binary, 0, END_BYTES), pc.binary_slice(binary, -END_BYTES))
        mark[is_long] = _of_words(pc.binary_join_element_wise(*ends, b""))
    else:
        mark = _of_words(filled)
    mark += lengths.astype(np.uint64)
    mark ^= mark >> _HALF
    mark *= _FACTORS[-1]
    mark ^= mark >> _HALF
    is_null = texts.is_null().to_numpy(zero_copy_only=False) if texts.null_count else None
    return pa.array(mark, mask=is_null)


def _of_words(texts: Column) -> Uint64s:
    """Add up the 64-bit words of texts, each times a factor of its place."""
    mark = np.zeros(len(texts), np.uint64)
    for word, factor in zip(_words(texts).T, _FACTORS, strict=False):
        mark += word * factor
    return mark


def _words(texts: Column) -> Uint64s:
    """Give the bytes of texts as rows of 64-bit words, filled up with zeros."""
    lengths = pc.binary_length(texts).to_numpy()
    width = int(lengths.max(initial=0))
    rows = np.zeros((len(texts), -(-width // 8) * 8), np.uint8)
    _, offsets, data = texts.buffers()
    if width:
        start = np.frombuffer(offsets, np.int32)[texts.offset]
        content = np.frombuffer(data, np.uint8)[start : start + int(lengths.sum(dtype=np.int64))]
        if int(lengths.min()) == width:
            rows[:, :width] = content.reshape(len(texts), width)
        else:
            rows[np.arange(rows.shape[1]) < lengths[:, None]] = content
    return rows.view("<u8").astype(np.uint64, copy=False)
