"""CSV of every kind: mutations of real files, odd dialects, and bytes that are anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.batches import FileFormat
from service.engine.orders import Reading
from tests.engine.fuzzing import Edit, Thrower, edited, edits, fuzzed
from tests.engine.made_csv import CSV, FILES, MARKS
from tests.engine.volleys import INPUTS, MANY, volley

marks = st.sampled_from(MARKS)
dialects = st.builds(
    Reading,
    format=st.just(FileFormat.CSV),
    delimiter=marks,
    quote=st.one_of(st.just(""), marks),
    escape=st.one_of(st.none(), marks),
)


@fuzzed
@given(base=st.sampled_from(FILES), changes=edits)
def test_mutated_csv_is_accepted_or_refused(parser: Thrower, base: bytes, changes: list[Edit]):
    parser.check(edited(base, changes), CSV)


@fuzzed
@given(
    files=st.lists(st.builds(edited, st.sampled_from(FILES), edits), min_size=1, max_size=4),
    dialect=dialects,
)
def test_csv_of_any_dialect_is_accepted_or_refused(
    parser: Thrower, files: list[bytes], dialect: Reading
):
    for content in files:
        parser.check(content, dialect)


@fuzzed
@given(content=st.binary(max_size=300))
def test_any_bytes_are_accepted_or_refused_as_csv(parser: Thrower, content: bytes):
    parser.check(b"crm,count\n" + content, CSV)
    parser.check(content, CSV)


#: What a long volley must have met: each is a way through the reader.
MET = [
    "the file is empty",
    "the header names no field",
    "the header names crm twice",
    "tags holds a list or a map: CSV cannot",
    "a quote is opened and never closed",
    "0 cells where the header has 0",
    "the row is not UTF-0",
    "flag: a text where true or false is expected",
    "count: a text where a whole number of 00 bits is expected",
    "day: a text where a day such as 0000-00-00 is expected",
]


def test_a_volley_of_csv_is_accepted_or_refused():
    account = volley(FileFormat.CSV)
    assert account.files["read whole"] > INPUTS / 20
    assert account.files["read in part"] > INPUTS / 20
    assert account.files["refused"] > INPUTS / 50
    assert account.counted > INPUTS / 20
    assert account.promoted_rows > INPUTS / 5
    assert INPUTS < MANY or not set(MET) - account.reasons.keys()


HOSTILE = {
    "NULs in cells": b"crm,count\n1\0,\0\n\0\0\0,1\n",
    "NULs in the header": b"crm\0,count\n1,2\n",
    "a quote that is never closed": b'crm,count\n1,2\n"3,4\n' + b"5,6\n" * 1000,
    "a quote never closed in ten megabytes": b'crm,count\n"' + b"x" * 10_000_000,
    "a header of a million names": b",".join(b"c%d" % n for n in range(1_000_000)) + b"\n1\n",
    "a header of commas": b"," * 8_000_000 + b"\n",
    "a header that is never closed": b'"crm,count\n1,2\n',
    "a header of quotes": b'"' * 100_000,
    "rows of another width": b"crm,count\n" + b"1\n" * 300_000,
    "one cell in each row": b"crm\n" + b"1,2,3\n" * 50_000,
    "only line ends": b"\n" * 1_000_000,
    "only returns": b"crm\r1\r2\r",
    "names given twice": b"crm,crm\n1,2\n",
    "a list in a cell": b"crm,tags\n1,a\n",
    "a name beneath another": b"person,person.name.first\n1,2\n",
    "bytes that are no UTF-8": b"crm,count\n\xff\xfe,1\n\xed\xa0\x80,2\n",
    "UTF-16": "crm,count\n1,2\n".encode("utf-16"),
    "a cell of thirty megabytes": b"crm\n" + b"x" * 30_000_000 + b"\n",
    "the mark of the end": b"crm\n\x1eend of rows\x1e\n1\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_csv_is_accepted_or_refused(parser: Thrower, name: str):
    parser.check(HOSTILE[name], CSV)
