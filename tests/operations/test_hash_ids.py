"""Short ids: what is written can be read, by who knows the salt, as what it was written."""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.store.database import Database
from service.operations.hash_ids import HashIds, HashIdSource, Noun

IDS = HashIds(b"a salt")
NOUNS = st.sampled_from(Noun)
NUMBERS = st.integers(min_value=0, max_value=1 << 48)


@given(noun=NOUNS, number=NUMBERS)
def test_an_id_reads_back_as_its_number(noun: Noun, number: int):
    assert IDS.number(noun, IDS.of(noun, number)) == number


@given(noun=NOUNS, other=NOUNS, number=NUMBERS)
def test_an_id_says_what_it_is_of(noun: Noun, other: Noun, number: int):
    assert (IDS.number(other, IDS.of(noun, number)) is None) == (noun is not other)


@given(noun=NOUNS, number=st.integers(min_value=1, max_value=1 << 30))
def test_an_id_looks_like_the_documented_ones(noun: Noun, number: int):
    """None of those has a letter that the scheme separates several numbers by."""
    assert re.fullmatch(r"[a-zA-Z0-9]{8}", IDS.of(noun, number))
    assert not set("cfhistuCFHISTU") & set(IDS.of(noun, number))


def test_the_largest_numbers_have_short_ids():
    for noun in Noun:
        assert IDS.number(noun, IDS.of(noun, (1 << 63) - 1)) == (1 << 63) - 1


def test_a_long_text_is_not_read_to_see_that_it_is_no_id(monkeypatch: pytest.MonkeyPatch):
    """Reading takes the square of its length: of 60,000 characters five seconds."""
    monkeypatch.setattr("hashids.Hashids.decode", lambda *_: pytest.fail("it was read"))
    assert IDS.number(Noun.JOB, "a" * 17) is None


@given(text=st.text(max_size=12))
def test_what_is_no_id_is_none(text: str):
    for noun in Noun:
        number = IDS.number(noun, text)
        assert number is None or IDS.of(noun, number) == text


def test_another_salt_makes_other_ids():
    theirs = HashIds(b"another salt")
    assert all(IDS.of(Noun.JOB, n) != theirs.of(Noun.JOB, n) for n in range(1, 100))


def test_names_have_ids_of_eight_characters():
    ids = {IDS.of_text(Noun.MEMBER, f"client-{number}") for number in range(200)}
    assert len(ids) == 200
    assert all(len(id) == 8 for id in ids)
    assert all(one != next for one, next in pairwise(sorted(ids)))


async def test_the_salt_is_made_once_and_kept(database: Database):
    first = await HashIdSource(database).known()
    second = await HashIdSource(database).known()
    assert first.of(Noun.JOB, 1) == second.of(Noun.JOB, 1)


async def test_the_salt_outlives_a_transaction_that_is_undone(database: Database):
    source = HashIdSource(database)
    with suppress(ZeroDivisionError):
        async with database.together():
            await source.known()
            _ = 1 / 0
    later = await HashIdSource(database).known()
    assert (await source.known()).of(Noun.JOB, 1) == later.of(Noun.JOB, 1)
