"""Parquet of every kind: mutations of real files, lying footers, bombs, and bytes."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.batches import FileFormat
from service.engine.orders import Reading
from tests.engine.fuzzing import (
    Edit,
    Thrower,
    edited,
    edited_by_chance,
    edits,
    fuzzed,
    thrower,
)

PARQUET = Reading(format=FileFormat.PARQUET)

TABLE = pa.table(
    {
        "crm": ["1", "2", None, "4"],
        "count": pa.array([1, None, 3, 2**40], pa.int64()),
        "ratio": pa.array([0.5, float("nan"), None, 1.0], pa.float32()),
        "flag": [True, False, None, True],
        "day": pa.array([1, 2, 3, None], pa.date32()),
        "at": pa.array([1, 2**50, None, 0], pa.timestamp("us")),
        "person": [{"name": {"first": "Ann"}}, None, {"name": None}, {"name": {"first": "Bob"}}],
        "tags": [["a", None], [], None, ["b"]],
        "items": [[{"sku": "x", "price": 1.0}], [], None, [None]],
        "notes": pa.array(
            [[("k", "v")], [], None, [("k", None)]], pa.map_(pa.string(), pa.string())
        ),
        "unheard": pa.array([b"\xff", b"", None, b"x"], pa.binary()),
    }
)


def a_file(table: pa.Table = TABLE, **how: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **how)
    return sink.getvalue()


FILES = [
    a_file(compression="none", use_dictionary=False),
    a_file(compression="snappy", row_group_size=2),
    a_file(compression="zstd", data_page_version="2.0", write_page_index=True),
    a_file(compression="gzip", write_page_checksum=True, store_schema=False),
    a_file(TABLE.slice(0, 0)),
    a_file(TABLE.select(["unheard"])),
]


@pytest.fixture(scope="module")
def child():
    with thrower() as found:
        yield found


@pytest.fixture
def parser(child: Thrower):
    yield child
    child.flush()


@fuzzed
@given(base=st.sampled_from(FILES), changes=edits)
def test_mutated_parquet_is_accepted_or_refused(parser: Thrower, base: bytes, changes: list[Edit]):
    parser.heap_up(edited(base, changes), PARQUET)


def with_footer(base: bytes, edit: Callable[[bytes], bytes]) -> bytes:
    """The file with another footer, of which it tells the right length."""
    (length,) = struct.unpack("<I", base[-8:-4])
    body, footer = base[: -8 - length], edit(base[-8 - length : -8])
    return body + footer + struct.pack("<I", len(footer)) + b"PAR1"


@fuzzed
@given(base=st.sampled_from(FILES), changes=edits)
def test_parquet_with_a_mutated_footer_is_accepted_or_refused(
    parser: Thrower, base: bytes, changes: list[Edit]
):
    parser.heap_up(with_footer(base, lambda footer: edited(footer, changes)), PARQUET)


@fuzzed
@given(content=st.binary(max_size=300), length=st.integers(0, 2**32 - 1))
def test_any_bytes_are_accepted_or_refused_as_parquet(parser: Thrower, content: bytes, length: int):
    parser.heap_up(content, PARQUET)
    parser.heap_up(b"PAR1" + content + struct.pack("<I", length) + b"PAR1", PARQUET)


def a_volley_file(rng: Random) -> bytes:
    """A file that was changed anywhere, or in its footer alone, or bytes that are anything."""
    chance, base = rng.random(), rng.choice(FILES)
    if chance < 0.45:
        return edited_by_chance(base, rng)
    if chance < 0.9:
        return with_footer(base, lambda footer: edited_by_chance(footer, rng))
    content, length = rng.randbytes(rng.randint(0, 300)), rng.getrandbits(rng.choice([8, 32]))
    return rng.choice([content, b"PAR1" + content + struct.pack("<I", length) + b"PAR1"])


def test_a_volley_of_parquet_is_accepted_or_refused(parser: Thrower):
    parser.volley(a_volley_file, lambda _: PARQUET)


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


HOSTILE = {
    "a schema nested ninety deep": lambda: a_file(nested(90)),
    "a text of a megabyte in each of a million rows": lambda: a_file(
        texts("x" * 1_000_000, 1_000_000)
    ),
    "texts of forty megabytes": lambda: a_file(
        pa.table({"crm": ["x" * 40_000_000] * 3}), use_dictionary=False, compression="zstd"
    ),
    "three hundred thousand rows of nothing": lambda: a_file(
        pa.table({"crm": pa.nulls(300_000, pa.string())}), row_group_size=300_000
    ),
    "thousands of row groups": lambda: of_many_groups(5_000),
    "thousands of columns": lambda: a_file(
        pa.table({f"c{n}": pa.nulls(1, pa.int32()) for n in range(20_000)})
    ),
    "columns of one name": lambda: a_file(
        pa.Table.from_arrays([pa.array(["1"]), pa.array(["2"])], names=["crm", "crm"])
    ),
    "a footer of four gigabytes": lambda: b"PAR1" + b"\0" * 100 + b"\xff\xff\xff\xffPAR1",
    "an encrypted file": lambda: b"PARE" + b"\0" * 100 + b"\x10\0\0\0PARE",
    "times that have no year": lambda: a_file(
        pa.table({"crm": ["1"], "at": pa.array([2**63 - 1], pa.timestamp("us"))})
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_parquet_is_accepted_or_refused(parser: Thrower, name: str):
    parser.check(HOSTILE[name](), PARQUET)
