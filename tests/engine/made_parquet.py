"""Parquet files by chance: columns of any type and encoding, with changed pages or footers."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from catalog.batches import FileFormat
from service.engine.orders import Reading
from tests.engine.made_files import Made, changed

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


def written(table: pa.Table = TABLE, **how: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **how)
    return sink.getvalue()


FILES = [
    written(compression="none", use_dictionary=False),
    written(compression="snappy", row_group_size=2),
    written(compression="zstd", data_page_version="2.0", write_page_index=True),
    written(compression="gzip", write_page_checksum=True, store_schema=False),
    written(TABLE.slice(0, 0)),
    written(TABLE.select(["unheard"])),
]

_IDENTITIES = pa.list_(
    pa.struct([("id", pa.string()), ("authenticatedState", pa.string()), ("primary", pa.bool_())])
)
_MEMBERSHIP = pa.struct([("status", pa.string()), ("timestamp", pa.timestamp("ms"))])
_TEXTS = ["1", "", None, "é", "7", "2004-09-25"]
_NUMBERS = [1, 0, None, 2, 7, 100]
#: Of each column some that are as the schema has them, and some that are not: six rows each.
_COLUMNS: dict[str, list[pa.Array]] = {
    "crm": [
        pa.array(["1", "2", "3", "4", "5", "6"]),
        pa.array(_TEXTS, pa.large_string()),
        pa.array(_TEXTS).dictionary_encode(),
        pa.array([b"1", b"\xff", None, b"", b"\xc3\xa9", b"6"], pa.binary()),
        pa.array([1, 2, None, 2**63 - 1, -1, 0], pa.int64()),
        pa.array([[1], [], None, [2], [3], [4]], pa.list_(pa.int8())),
    ],
    "count": [
        pa.array([1, None, 2**63 - 1, -(2**63), 0, 7], pa.int64()),
        pa.array([1, None, 2**64 - 1, 2**63, 0, 7], pa.uint64()),
        pa.array([1.0, 1.5, None, float("inf"), float("nan"), 2.0**63]),
        pa.array([Decimal("1.00"), None, Decimal("2.50"), *[Decimal(7)] * 3], pa.decimal128(38, 2)),
        pa.array(["7", "x", None, "", "1e3", "9" * 30]),
    ],
    "ratio": [
        pa.array([0.5, float("nan"), None, float("-inf"), 1e308, -0.0]),
        pa.array(_NUMBERS, pa.uint8()),
        pa.array([Decimal("0.1"), None, Decimal(2), *[Decimal(7)] * 3], pa.decimal256(60, 5)),
        pa.array([True, False, None, True, True, True]),
    ],
    "flag": [pa.array([True, False, None, True, True, False]), pa.array(_NUMBERS, pa.int8())],
    "day": [
        pa.array([0, None, 2**31 - 1, -(2**31), 12_000, 1], pa.date32()),
        pa.array([0, None, 86_400_000, 864 * 10**12, 0, 0], pa.date64()),
        pa.array([0, None, 1, 2**62, 0, 0], pa.timestamp("ns")),
        pa.array(["2004-09-25", "2004-02-30", None, "", "0000-00-00", "x"]),
    ],
    "at": [
        pa.array([0, None, 2**62, -(2**62), 1, 1], pa.timestamp("us", tz="UTC")),
        pa.array([0, None, 2**62, 1, 1, 1], pa.timestamp("ms", tz="Asia/Kolkata")),
        pa.array([0, None, 2**62, 1, 1, 1], pa.timestamp("ns")),
        pa.array([0, None, 86_399, 1, 1, 1], pa.time32("s")),
        pa.array([0, None, 2**40, 1, 1, 2**63 - 1], pa.int64()),
        pa.array(["2022-11-22T12:00:00Z", "soon", None, "", "x", "y"]),
    ],
    "person": [
        pa.array([{"name": {"first": "Ann"}}, None, {"name": {}}, {"name": None}, {}, {}]),
        pa.array([{"name": {"first": 1, "more": 2}}, None, *[{"name": None}] * 4]),
        pa.array(_TEXTS),
    ],
    "tags": [
        pa.array([["a"], [None, "b"], [], None, ["c"] * 9, ["é"]]),
        pa.array([["a"], [None], [], None, [], []], pa.large_list(pa.string())),
        pa.array([["a", "b"], None, *[["c", None]] * 4], pa.list_(pa.string(), 2)),
        pa.array([[[1]], [[]], None, [], [], [None]], pa.list_(pa.list_(pa.int16()))),
    ],
    "items": [
        pa.array([[{"sku": "x", "price": 1.0}], [None], [], None, [{}], [{"sku": None}]]),
        pa.array([[{"sku": 1, "of": [1]}], [None], [], None, [], []]),
    ],
    "notes": [
        pa.array(
            [[("k", "v"), ("k", "w")], [], None, [("", None)], [], []],
            pa.map_(pa.string(), pa.string()),
        ),
        pa.array([[(1, 2)], [], None, [], [], []], pa.map_(pa.int32(), pa.int64())),
        pa.array([{"a": "1", "b": None}, None, {}, {}, {"b": "2"}, {}]),
        pa.array([[{"key": "k", "value": "v"}], [], None, [], [], []]),
    ],
    "identityMap": [
        pa.array(
            [
                [("ECID", [{"id": "1" * 38, "primary": True}])],
                [("Email", [{"id": "x@y"}, {"id": ""}, None])],
                [("", [{"id": "z"}])],
                None,
                [("4", None)],
                [],
            ],
            pa.map_(pa.string(), _IDENTITIES),
        ),
        pa.array([{"Email": [{"id": 7}]}, None, {}, {}, {}, {}]),
    ],
    "segmentMembership": [
        pa.array(
            [[("ups", [("s", {"status": "exited", "timestamp": 5})])], None, [], [], [], []],
            pa.map_(pa.string(), pa.map_(pa.string(), _MEMBERSHIP)),
        )
    ],
    "unheard": [
        pa.array([b"\xff", b"", None, b"x", b"y", b"z"], pa.binary()),
        pa.array([b"ab", None, b"cd", b"ef", b"gh", b"ij"], pa.binary(2)),
        pa.nulls(6),
    ],
}
#: Encodings that Arrow writes only when it is told to.
_ENCODINGS = {
    pa.int64(): ["PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"],
    pa.string(): ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"],
    pa.float64(): ["PLAIN", "BYTE_STREAM_SPLIT"],
}
_PIECES = [
    *(b"\0", b"\xff", b"\x7f", b"\x80", b"\x01", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\xff" * 4),
    *(b"\x80" * 9 + b"\x01", b"\xff" * 5 + b"\x0f", b"PAR1", b"PARE", b"\x15\0", b"\x19\xfc"),
    *(
        b"\x2c",
        b"\x1c",
        b"\x15\x80\x80\x80\x80\x10",
        b"\0" * 64,
        b"\x18\xff\xff\xff\xff\x0f",
        b"crm",
    ),
]
_CORPUS_SIZE = 150


def a_table(rng: Random) -> pa.Table:
    """Make a few rows of some columns, each of any of its types."""
    names = rng.sample(list(_COLUMNS), rng.randint(0, 6))
    chosen: dict[str, pa.Array] = {}
    for name in ["crm", *names] if rng.random() < 0.95 else names:
        kinds = _COLUMNS[name]
        chosen[name] = kinds[0] if rng.random() < 0.6 else rng.choice(kinds)
    first = rng.randint(0, 5)
    return pa.table(chosen).slice(first, rng.randint(0, 6 - first)) if chosen else TABLE


def _a_way(table: pa.Table, rng: Random) -> dict[str, Any]:
    """Choose how a table is written."""
    how: dict[str, Any] = {
        "compression": rng.choice(["none", "none", "snappy", "zstd", "gzip", "lz4", "brotli"]),
        "data_page_version": rng.choice(["1.0", "2.0"]),
        "row_group_size": rng.choice([1, 3, 100]),
        "store_schema": rng.random() < 0.5,
        "write_page_checksum": rng.random() < 0.2,
        "write_statistics": rng.random() < 0.5,
        "use_dictionary": rng.random() < 0.5,
    }
    if not how["use_dictionary"]:
        how["column_encoding"] = {
            column.name: rng.choice(_ENCODINGS[column.type])
            for column in table.schema
            if column.type in _ENCODINGS
        }
    return how


@cache
def corpus() -> tuple[Made, ...]:
    """Give files that are right, always the same ones."""
    rng = Random("parquet")  # noqa: S311 -- to be the same each time
    made = [Made(content, pq.read_metadata(io.BytesIO(content)).num_rows) for content in FILES]
    for _ in range(_CORPUS_SIZE):
        table = a_table(rng)
        made.append(Made(written(table, **_a_way(table, rng)), table.num_rows))
    return tuple(made)


@cache
def _contents() -> Sequence[bytes]:
    return [made.content for made in corpus()]


def with_footer(base: bytes, edit: Callable[[bytes], bytes]) -> bytes:
    """The file with another footer, of which it tells the right length."""
    (length,) = struct.unpack("<I", base[-8:-4])
    body, footer = base[: -8 - length], edit(base[-8 - length : -8])
    return body + footer + struct.pack("<I", len(footer)) + b"PAR1"


def _with_pages(base: bytes, edit: Callable[[bytes], bytes]) -> bytes:
    """The file with other pages, behind as long a way as before: the footer finds them."""
    (length,) = struct.unpack("<I", base[-8:-4])
    body = base[4 : -8 - length]
    return b"PAR1" + edit(body)[: len(body)].ljust(len(body), b"\0") + base[-8 - length :]


def a_reading(_rng: Random) -> Reading:
    return PARQUET


def a_file(rng: Random, _reading: Reading) -> Made:
    """Change pages, the footer or both of a file that was right; or leave it; or make any bytes."""
    base, chance = rng.choice(corpus()), rng.random()
    if chance < 0.04:
        content, length = rng.randbytes(rng.randint(0, 300)), rng.getrandbits(rng.choice([8, 32]))
        return Made(rng.choice([content, b"PAR1" + content + struct.pack("<I", length) + b"PAR1"]))
    if chance < 0.1:
        return base
    change = _nudged if rng.random() < 0.6 else _edited
    if chance < 0.5:
        return Made(_with_pages(base.content, lambda pages: change(pages, rng)))
    if chance < 0.9:
        return Made(with_footer(base.content, lambda footer: change(footer, rng)))
    return Made(_edited(base.content, rng))


def _edited(data: bytes, rng: Random) -> bytes:
    return changed(data, _contents(), _PIECES, rng)


def _nudged(data: bytes, rng: Random) -> bytes:
    """Change numbers by a little: what follows them stays where it is."""
    nudged = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4)) if nudged else 0):
        at = rng.randrange(len(nudged))
        nudged[at] = (nudged[at] + rng.choice((-2, -1, 1, 2))) % 256
    return bytes(nudged)
