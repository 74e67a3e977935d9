"""Values of flat columns as text: cells of CSV, and values in lines of JSON. Columns at a time.

Numbers are spelled as JSON spells them, dates and instants as :func:`pyarrow.csv.write_csv` does.
A list is spelled as JSON, in a cell too, where the quotes in it are doubled as any.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from service.engine.arrow_types import Column
from service.engine.nesting import valid
from service.engine.ranking import Bools, Ints

#: What a spreadsheet takes for a formula when it is the first character of a cell.
_STARTS_FORMULA = np.isin(np.arange(256), list(b"=+-@\t\r"))
_GUARD = "'"
#: What JSON has short escapes for; other control characters are rare and have long ones.
_ESCAPES = (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"))
_COMMA = ord(",")
#: What cannot stand in a text of JSON as it is: bytes below the first, and the others.
_BLANK, _QUOTE, _BACKSLASH = b' "\\'
_CONTROL = r"[\x00-\x1f]"


def csv_cells(column: Column, *, is_guarded: bool) -> Column:
    """Give a column as the writer of CSV takes it: numbers and lists as text, texts guarded."""
    if _is_number(column.type):
        return numerals(column)
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = json_lists(column)
    return guarded(column) if is_guarded else column


def numerals(column: Column) -> Column:
    """Spell numbers, some ten thousand at once; null where there is none.

    Doubles take half the time of Arrow's cast. What is no number is spelled as Arrow does.
    """
    texts = _json_numbers(column)
    is_finite = pc.is_finite(column)
    if not is_finite.false_count:
        return texts
    return pc.if_else(is_finite, texts, column.cast(pa.string()))


def _json_numbers(column: Column) -> Column:
    """Spell numbers as JSON does, which has ``null`` for what is no number."""
    if not len(column):
        return column.cast(pa.string())
    dtype = np.dtype(column.type.to_pandas_dtype())
    _, data = column.buffers()
    values = np.frombuffer(data, dtype, len(column), column.offset * dtype.itemsize)
    text = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
    # Each goes on to where the next begins, so it has a comma at its end, or the bracket.
    begins = np.empty(len(values) + 1, np.int32)
    begins[0], begins[-1] = 1, len(text)
    begins[1:-1] = np.flatnonzero(np.frombuffer(text, np.uint8) == _COMMA)
    begins[1:-1] += 1
    present = None
    if column.null_count:
        present = pa.py_buffer(np.packbits(valid(column), bitorder="little"))
    parts = pa.py_buffer(begins), pa.py_buffer(text), present
    return pc.ascii_rtrim(pa.StringArray.from_buffers(len(values), *parts), characters=",]")


def guarded(column: Column) -> Column:
    """Put an apostrophe before texts that a spreadsheet would take for formulas."""
    if isinstance(column, pa.DictionaryArray):
        return pa.DictionaryArray.from_arrays(column.indices, guarded(column.dictionary))
    if not _is_text(column.type):
        return column
    is_formula = _is_formula(column)
    if not is_formula.any():
        return column
    return pc.if_else(pa.array(is_formula), together(_GUARD, column), column)


def json_lists(column: Column) -> Column:
    """Spell lists of plain values as JSON; null where the list is."""
    start, stop = int(column.offsets[0].as_py()), int(column.offsets[-1].as_py())
    values = column.values.slice(start, stop - start)
    # One quote for the end of a text and the begin of the next, where there are texts alone.
    is_text = _is_text(values.type) and not values.null_count
    values, quote = (_escaped(values), '"') if is_text else (json_values(values), "")
    offsets = pc.subtract(column.offsets, column.offsets[0]).cast(pa.int64())
    lists = pa.LargeListArray.from_arrays(offsets, values.cast(pa.large_string()))
    between = pa.scalar(f"{quote},{quote}", pa.large_string())
    joined = together(f"[{quote}", pc.binary_join(lists, between), f"{quote}]")
    is_empty = pc.equal(pc.list_value_length(column), 0)
    joined = pc.if_else(is_empty, pa.scalar("[]", joined.type), joined)
    return pc.if_else(column.is_valid(), joined, pa.scalar(None, joined.type))


def json_values(column: Column) -> Column:
    """Spell values as JSON, ``null`` where there is none. Never null itself."""
    type = column.type
    if isinstance(column, pa.DictionaryArray):
        words = json_values(column.dictionary)
        return words.take(column.indices).fill_null("null")
    if pa.types.is_list(type) or pa.types.is_large_list(type):
        return json_lists(column).fill_null("null")
    if pa.types.is_boolean(type):
        return column.cast(pa.string()).fill_null("null")
    if _is_number(type):
        return _json_numbers(column).fill_null("null")
    if not _is_text(type):
        column = column.cast(pa.string())
    return together('"', _escaped(column), '"').fill_null("null")


def together(*parts: str | Column) -> Column:
    """Put texts together row by row, null where any is; with 64-bit offsets where any has them."""
    columns = [part for part in parts if not isinstance(part, str)]
    is_large = any(pa.types.is_large_string(column.type) for column in columns)
    type = pa.large_string() if is_large else pa.string()
    typed = [pa.scalar(p, type) if isinstance(p, str) else p.cast(type) for p in parts]
    return pc.binary_join_element_wise(*typed, pa.scalar("", type))


def _escaped(column: Column) -> Column:
    _, text = _text(column)
    if not any(marks.any() for marks in (text < _BLANK, text == _QUOTE, text == _BACKSLASH)):
        return column
    for raw, escaped in _ESCAPES:
        column = pc.replace_substring(column, raw, escaped)
    if not pc.any(pc.match_substring_regex(column, _CONTROL)).as_py():
        return column
    for code in range(0x20):
        column = pc.replace_substring(column, chr(code), f"\\u{code:04x}")
    return column


def _is_formula(column: Column) -> Bools:
    """Say which texts begin as a formula does, in a tenth of the time of a regular expression."""
    ends, text = _text(column)
    begins = np.flatnonzero(np.diff(ends) > 0)
    is_formula = np.zeros(len(column), np.bool_)
    is_formula[begins] = _STARTS_FORMULA[text[ends[begins] - ends[0]]]
    return is_formula


def _text(column: Column) -> tuple[Ints, npt.NDArray[np.uint8]]:
    """Give where the texts of a column begin, and the end of the last; and all of their bytes."""
    _, offsets, data = column.buffers()
    type = np.int64 if pa.types.is_large_string(column.type) else np.int32
    if not len(column) or data is None:
        return np.zeros(len(column) + 1, np.int64), np.empty(0, np.uint8)
    own = slice(column.offset, column.offset + len(column) + 1)
    ends = np.frombuffer(offsets, type)[own].astype(np.int64)
    return ends, np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]


def _is_text(type: pa.DataType) -> bool:
    return bool(pa.types.is_string(type) or pa.types.is_large_string(type))


def _is_number(type: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type) or pa.types.is_floating(type))
