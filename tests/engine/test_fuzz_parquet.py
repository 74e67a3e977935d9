"""Parquet of every kind: mutations of real files, lying footers, bombs, and bytes."""

from __future__ import annotations

import io
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.batches import FileFormat
from tests.engine.fuzzing import Edit, Thrower, edited, edits, fuzzed
from tests.engine.made_parquet import FILES, PARQUET, with_footer, written
from tests.engine.volleys import INPUTS, MANY, volley


@fuzzed
@given(base=st.sampled_from(FILES), changes=edits)
def test_mutated_parquet_is_accepted_or_refused(parser: Thrower, base: bytes, changes: list[Edit]):
    parser.check(edited(base, changes), PARQUET)


@fuzzed
@given(base=st.sampled_from(FILES), changes=edits)
def test_parquet_with_a_mutated_footer_is_accepted_or_refused(
    parser: Thrower, base: bytes, changes: list[Edit]
):
    parser.check(with_footer(base, lambda footer: edited(footer, changes)), PARQUET)


@fuzzed
@given(content=st.binary(max_size=300), length=st.integers(0, 2**32 - 1))
def test_any_bytes_are_accepted_or_refused_as_parquet(parser: Thrower, content: bytes, length: int):
    parser.check(content, PARQUET)
    parser.check(b"PAR1" + content + struct.pack("<I", length) + b"PAR1", PARQUET)


#: What a long volley must have met: each is a way through the reader, or through Arrow's.
MET = [
    "crm: a list where a text is expected",
    "crm: a text that is not Unicode",
    "count: a number where a whole number of 00 bits is expected",
    "day: a date00[day] where a day such as 0000-00-00 is expected",
    "not readable as Parquet: Unexpected end of stream",
    "not readable as Parquet: Unknown encoding type.",
    "not readable as Parquet: Invalid page header",
    "not readable as Parquet: Corrupt snappy compressed data.",
    "not readable as Parquet: Dictionary page must be before data page.",
    "not readable as Parquet: Invalid flatbuffers message.",
]


def test_a_volley_of_parquet_is_accepted_or_refused():
    account = volley(FileFormat.PARQUET)
    assert account.files["read whole"] > INPUTS / 20
    assert account.files["read in part"] > INPUTS / 100
    assert account.files["refused"] > INPUTS / 10
    assert account.counted > INPUTS / 50
    assert account.promoted_rows > INPUTS / 5
    assert INPUTS < MANY or not set(MET) - account.reasons.keys()


def nested(depth: int) -> pa.Table:
    type_: pa.DataType = pa.string()
    for _ in range(depth):
        type_ = pa.struct([("a", type_)])
    return pa.table({"person": pa.nulls(1, type_)})


def texts(text: str, count: int) -> pa.Table:
    """Many rows of one text, which is stored once."""
    words = pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array([text]))
    return pa.table({"crm": words})


def of_many_groups(count: int) -> bytes:
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, pa.schema([("crm", pa.string())])) as writer:
        for _ in range(count):
            writer.write_table(pa.table({"crm": ["1"]}))
    return sink.getvalue()


def of_a_lying_page(table: pa.Table) -> bytes:
    """A file whose only page says that it has two gigabytes, and has a few bytes."""
    content = written(table, compression="none", use_dictionary=False)
    length = pq.read_metadata(io.BytesIO(content)).row_group(0).column(0).total_compressed_size
    page = content[4 : 4 + length]
    assert page[::2][:3] == b"\x15" * 3, "type and two sizes, a byte each"
    lying = page[:5] + b"\xfe\xff\xff\xff\x0f" + page[6:]
    return content[:4] + lying[:length] + content[4 + length :]


def of_fewer_than_no_rows() -> bytes:
    """A file of a column that nobody reads, whose row group says that it has minus 13 rows."""
    content = written(pa.table({"unheard": [b"x"] * 4}))
    lying = content.replace(b"\x16\x08&\x08", b"\x16\x19&\x08")
    assert pq.read_metadata(io.BytesIO(lying)).row_group(0).num_rows == -13
    return lying


HOSTILE = {
    "a row group of fewer than no rows": of_fewer_than_no_rows,
    "a page that says it has two gigabytes": lambda: of_a_lying_page(pa.table({"crm": ["1"] * 3})),
    "a schema nested ninety deep": lambda: written(nested(90)),
    "a text of a megabyte in each of a million rows": lambda: written(
        texts("x" * 1_000_000, 1_000_000)
    ),
    "texts of forty megabytes": lambda: written(
        pa.table({"crm": ["x" * 40_000_000] * 3}), use_dictionary=False, compression="zstd"
    ),
    "three hundred thousand rows of nothing": lambda: written(
        pa.table({"crm": pa.nulls(300_000, pa.string())}), row_group_size=300_000
    ),
    "thousands of row groups": lambda: of_many_groups(5_000),
    "thousands of columns": lambda: written(
        pa.table({f"c{n}": pa.nulls(1, pa.int32()) for n in range(20_000)})
    ),
    "columns of one name": lambda: written(
        pa.Table.from_arrays([pa.array(["1"]), pa.array(["2"])], names=["crm", "crm"])
    ),
    "a footer of four gigabytes": lambda: b"PAR1" + b"\0" * 100 + b"\xff\xff\xff\xffPAR1",
    "an encrypted file": lambda: b"PARE" + b"\0" * 100 + b"\x10\0\0\0PARE",
    "times that have no year": lambda: written(
        pa.table({"crm": ["1"], "at": pa.array([2**63 - 1], pa.timestamp("us"))})
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_parquet_is_accepted_or_refused(parser: Thrower, name: str):
    parser.check(HOSTILE[name](), PARQUET)
