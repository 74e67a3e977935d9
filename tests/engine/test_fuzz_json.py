"""JSON of every kind: mutations of real files, made-up documents, and bytes that are anything."""

from __future__ import annotations

import json
from random import Random

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

JSON = Reading(format=FileFormat.JSON)

ROWS = [
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

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("\ud800")
)
names = st.sampled_from([*{name for row in ROWS for name in row}, "", "id", "first", "\0", "é"])
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=6)),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def child():
    with thrower() as found:
        yield found


@pytest.fixture
def parser(child: Thrower):
    yield child
    child.flush()


@fuzzed
@given(base=st.sampled_from(LAYOUTS), changes=edits)
def test_mutated_json_is_accepted_or_refused(parser: Thrower, base: bytes, changes: list[Edit]):
    parser.heap_up(edited(base, changes), JSON)


@fuzzed
@given(rows=st.lists(documents, max_size=8), gap=st.sampled_from(["\n", "", " ", ",", "\r\n\n"]))
def test_made_up_json_is_accepted_or_refused(parser: Thrower, rows: list[object], gap: str):
    parser.heap_up(gap.join(json.dumps(row) for row in rows).encode(), JSON)
    parser.heap_up(json.dumps(rows).encode(), JSON)


@fuzzed
@given(content=st.binary(max_size=300))
def test_any_bytes_are_accepted_or_refused_as_json(parser: Thrower, content: bytes):
    parser.heap_up(content, JSON)


_SCALARS = [None, True, 7, -1, 2**70, 0.5, 1e308, "", "x", "é", "\ud800", "2022-11-22T12:00:00Z"]
_NAMES = sorted({*(name for row in ROWS for name in row), "", "id", "first", "\0", "é"})


def a_document(rng: Random, depth: int = 0) -> object:
    chance = rng.random()
    if depth > 4 or chance < 0.4:
        return rng.choice(_SCALARS)
    if chance < 0.6:
        return [a_document(rng, depth + 1) for _ in range(rng.randint(0, 4))]
    return {rng.choice(_NAMES): a_document(rng, depth + 1) for _ in range(rng.randint(0, 6))}


def a_file(rng: Random) -> bytes:
    """A changed file, made-up rows that may be changed too, or bytes that are anything."""
    chance = rng.random()
    if chance < 0.4:
        return edited_by_chance(rng.choice(LAYOUTS), rng)
    if chance < 0.85:
        rows = [a_document(rng) for _ in range(rng.randint(0, 8))]
        gap = rng.choice(["\n", "", " ", ",", "\r\n\n", None])
        text = json.dumps(rows) if gap is None else gap.join(map(json.dumps, rows))
        return edited_by_chance(text.encode(), rng) if rng.random() < 0.5 else text.encode()
    return rng.randbytes(rng.randint(0, 300))


def test_a_volley_of_json_is_accepted_or_refused(parser: Thrower):
    parser.volley(a_file, lambda _: JSON)


HOSTILE = {
    "a list a million deep": b"[" * 1_000_000,
    "objects a million deep": b'{"a":' * 1_000_000,
    "a row nested in lists that close": b'{"tags":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a text of a hundred million characters": b'{"crm":"' + b"x" * 100_000_000 + b'"}',
    "a text that never ends": b'{"crm":"' + b"x" * 40_000_000,
    "a number of a million digits": b'{"crm":"1","count":' + b"9" * 1_000_000 + b"}",
    "an exponent beyond all": b'{"crm":"1","ratio":1e99999999999999999999}',
    "keys given twice": b'{"crm":"1","crm":"2","count":1,"count":2}',
    "bytes that are no UTF-8": b'{"crm":"\xff\xfe"}\n{"crm":"ok"}\n',
    "half of a pair": b'{"crm":"\\ud800"}\n{"crm":"ok"}',
    "no numbers": b'{"crm":"1","ratio":NaN}\n{"crm":"2","ratio":-Infinity}\n{"crm":"3"}',
    "many little rows": b"1\n" * 200_000,
    "many empty rows": b'{"crm":"1"}' * 100_000,
    "many keys": b"{" + b",".join(b'"k%d":1' % n for n in range(200_000)) + b"}",
    "many new keys in maps": b"\n".join(
        b'{"crm":"1","notes":{"k%d":"v"}}' % n for n in range(20_000)
    ),
    "a mark of byte order and nothing": b"\xef\xbb\xbf",
    "UTF-16": '{"crm":"1"}'.encode("utf-16"),
    "NULs": b"\0" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_json_is_accepted_or_refused(parser: Thrower, name: str):
    parser.check(HOSTILE[name], JSON)


def test_of_hostile_rows_the_good_ones_between_them_are_kept(parser: Thrower):
    bad = [b"{", b"]", b'{"crm":"\xff"}', b'{"count":NaN,"crm":"1"}', b"[" * 300, b'"', b"\0"]
    content = b"\n".join(b'{"crm":"%d"}\n%b' % (n, row) for n, row in enumerate(bad)) + b"\n"
    thrown = parser.check(content, JSON)
    assert (thrown.outcome, thrown.output_rows) == ("accepted", len(bad))
