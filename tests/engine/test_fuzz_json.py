"""JSON of every kind: mutations of real files, made-up documents, and bytes that are anything."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.batches import FileFormat
from tests.engine.fuzzing import Edit, Thrower, edited, edits, fuzzed
from tests.engine.made_json import JSON, LAYOUTS, ROWS
from tests.engine.volleys import INPUTS, MANY, volley

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("\ud800")
)
names = st.sampled_from([*{name for row in ROWS for name in row}, "", "id", "first", "\0", "é"])
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=6)),
    max_leaves=20,
)


@fuzzed
@given(base=st.sampled_from(LAYOUTS), changes=edits)
def test_mutated_json_is_accepted_or_refused(parser: Thrower, base: bytes, changes: list[Edit]):
    parser.check(edited(base, changes), JSON)


@fuzzed
@given(rows=st.lists(documents, max_size=8), gap=st.sampled_from(["\n", "", " ", ",", "\r\n\n"]))
def test_made_up_json_is_accepted_or_refused(parser: Thrower, rows: list[object], gap: str):
    parser.check(gap.join(json.dumps(row) for row in rows).encode(), JSON)
    parser.check(json.dumps(rows).encode(), JSON)


@fuzzed
@given(content=st.binary(max_size=300))
def test_any_bytes_are_accepted_or_refused_as_json(parser: Thrower, content: bytes):
    parser.check(content, JSON)


#: What a long volley must have met: each is a way through the reader.
MET = [
    "the file is empty",
    "the array is cut off: it is never closed",
    "something follows the end of the array",
    "the last row is not closed: the file is cut off",
    "the row is not UTF-0",
    "the row nests deeper than 000 levels",
    "the row is not JSON: Unterminated string starting at",
    "the row is not JSON: Invalid \\escape",
    "the row is null where an object is expected",
    "crm: a text that is not Unicode",
    "count: a number where a whole number of 00 bits is expected",
    "items: a list where an object is expected",
]


def test_a_volley_of_json_is_accepted_or_refused():
    account = volley(FileFormat.JSON)
    assert account.files["read whole"] > INPUTS / 20
    assert account.files["read in part"] > INPUTS / 20
    assert account.files["cut off"] > INPUTS / 50
    assert account.counted > INPUTS / 20
    assert account.promoted_rows > INPUTS / 5
    assert INPUTS < MANY or not set(MET) - account.reasons.keys()


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
