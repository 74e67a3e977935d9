"""JSON files by chance, in every layout: rows that fit the schema or not, and changed files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from catalog.batches import FileFormat
from service.engine.orders import Reading
from tests.engine.made_files import Made, changed

JSON = Reading(format=FileFormat.JSON)

ROWS: list[dict[str, Any]] = [
    {"crm": "1", "count": 7, "ratio": 0.5, "flag": True, "day": "2004-09-25"},
    {"crm": "2", "at": "2022-11-22T12:00:00Z", "person": {"name": {"first": "Änn \\u00e4"}}},
    {"crm": "3", "tags": ["a", "b"], "items": [{"sku": "x", "price": 1e3}], "notes": {"k": "v"}},
    {"identityMap": {"ECID": [{"id": "1" * 38, "primary": True}], "4": [{"id": "2" * 38}]}},
    {"crm": "5", "segmentMembership": {"ups": {"s": {"status": "realized"}}}, "unheard": {"of": 1}},
]
LAYOUTS = [
    "\n".join(json.dumps(row) for row in ROWS).encode(),
    json.dumps(ROWS, indent=1).encode(),
    json.dumps(ROWS[2], indent=2).encode() * 3,
    json.dumps(ROWS, ensure_ascii=False).encode("utf-8-sig"),
]
_PIECES = [
    *(
        b"\0",
        b'"',
        b"\\",
        b"{",
        b"[",
        b"}",
        b"]",
        b",",
        b":",
        b"\n",
        b"\r\n",
        b" ",
        b"\xef\xbb\xbf",
    ),
    *(
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"\\ud800",
        b"\\u0000",
        b"\\x",
        b"\\",
    ),
    *(b"NaN", b"-Infinity", b"Inf", b"1e999", b"-0", b"0x1", b"01", b".5", b"1.", b"9" * 400),
    *(
        b"null",
        b"true",
        b"tru",
        b'"crm":"1",',
        b'"crm":null,',
        b'"identityMap":{},',
        b'{"crm":"1"}',
    ),
    *(b"[" * 10, b'{"a":' * 10, b"[" * 250, b'{"a":' * 250, b"[" * 250 + b"]" * 250),
    *(
        b"x" * 3_000,
        b'"' + b"y" * 70_000 + b'"',
        b"/* */",
        b"// x\n",
        b"'",
        b"\x1e",
        b"\x7f",
        b"\t",
    ),
]
_SCALARS = [None, True, 7, -1, 2**70, 0.5, 1e308, "", "x", "é", "\ud800", "2022-11-22T12:00:00Z"]
_NAMES = sorted({*(name for row in ROWS for name in row), "", "id", "first", "\0", "é"})


def a_document(rng: Random, depth: int = 0) -> object:
    """Make a value that fits nothing but by chance."""
    chance = rng.random()
    if depth > 3 or chance < 0.4:
        return rng.choice(_SCALARS)
    if chance < 0.6:
        return [a_document(rng, depth + 1) for _ in range(rng.randint(0, 4))]
    return {rng.choice(_NAMES): a_document(rng, depth + 1) for _ in range(rng.randint(0, 5))}


def _a_text(rng: Random) -> str:
    return rng.choice(("a", "b", "", " ", "é", "𝄞", '"', "\\", "\n", "=1+1", "x" * 300, "\0"))


def _an_identity_map(rng: Random) -> object:
    return {
        rng.choice(("ECID", "Email", "4", "", "email")): [
            {
                "id": rng.choice(("1" * 38, "x@y", "", "1")),
                "primary": rng.random() < 0.5,
                "authenticatedState": rng.choice((None, "ambiguous", "authenticated", "odd")),
            }
            for _ in range(rng.randint(0, 2))
        ]
        for _ in range(rng.randint(0, 2))
    }


def _memberships(rng: Random) -> object:
    times = ("2022-11-22T12:00:00Z", None, "soon", 0)
    return {
        "ups": {
            _a_text(rng): {
                "status": rng.choice(("realized", "exited", None)),
                rng.choice(("timestamp", "lastQualificationTime", "validUntil")): rng.choice(times),
            }
            for _ in range(rng.randint(0, 2))
        }
    }


_FITTING: dict[str, Callable[[Random], object]] = {
    "crm": lambda rng: rng.choice(("1", "2", "3", 4, 5.5, True)),
    "count": lambda rng: rng.choice((0, -1, 2**63 - 1, 2**63, "7", "1e3", 1.0, 1.5)),
    "ratio": lambda rng: rng.choice((0, 0.5, "1e3", -1e308, 2**70, "NaN")),
    "flag": lambda rng: rng.choice((True, False, "TRUE", "no")),
    "day": lambda rng: rng.choice(("2004-09-25", "2004-02-30", "0000-01-01", "9999-12-31")),
    "at": lambda rng: rng.choice(
        (
            "2022-11-22T12:00:00Z",
            "2022-11-22T25:00:00Z",
            "2022-11-22T12:00:00.123456789+05:30",
            1e12,
        )
    ),
    "person": lambda rng: {"name": {"first": _a_text(rng)} if rng.random() < 0.8 else {}},
    "tags": lambda rng: [_a_text(rng) for _ in range(rng.randint(0, 3))],
    "items": lambda rng: [{"sku": _a_text(rng), "price": 1.5}, {}, None][: rng.randint(0, 3)],
    "notes": lambda rng: {_a_text(rng): _a_text(rng) for _ in range(rng.randint(0, 3))},
    "identityMap": _an_identity_map,
    "segmentMembership": _memberships,
    "unheard": a_document,
}


def _a_row(rng: Random) -> dict[str, object]:
    """Make a row that mostly fits."""
    names = rng.sample(list(_FITTING), rng.randint(1, 5))
    row = {name: _FITTING[name](rng) if rng.random() < 0.95 else a_document(rng) for name in names}
    return {"crm": "1"} | row if rng.random() < 0.9 else row


def _laid_out(rows: Sequence[object], rng: Random) -> Made:
    """Write rows in one of the layouts; how many they are is certain in some."""
    is_ascii = rng.random() < 0.7 or "\\ud800" in json.dumps(rows)
    gap = rng.choice(("\n", "\n", None, "", " ", ",", "\r\n\n"))
    if gap is None:
        indent = rng.choice((None, None, 1))
        content = json.dumps(rows, indent=indent, ensure_ascii=is_ascii).encode()
        return Made(content, len(rows))
    content = gap.join(json.dumps(row, ensure_ascii=is_ascii) for row in rows).encode()
    is_certain = gap in {"\n", "\r\n\n"} and rows and all(isinstance(row, dict) for row in rows)
    return Made(content, len(rows) if is_certain else None)


def a_reading(_rng: Random) -> Reading:
    return JSON


def a_file(rng: Random, _reading: Reading) -> Made:
    """Make rows that fit, or do not, changed or not; a changed sample; or any bytes."""
    chance = rng.random()
    if chance < 0.04:
        return Made(rng.randbytes(rng.randint(0, 300)))
    if chance < 0.25:
        return Made(changed(rng.choice(LAYOUTS), LAYOUTS, _PIECES, rng))
    make = a_document if chance < 0.35 else _a_row
    made = _laid_out([make(rng) for _ in range(rng.randint(0, 8))], rng)
    if rng.random() < 0.3:
        return made
    if rng.random() < 0.02:
        return Made(made.content.decode().encode(rng.choice(("utf-16", "utf-32", "utf-8-sig"))))
    return Made(changed(made.content, LAYOUTS, _PIECES, rng))
