"""Filters of listings: whatever may be asked is answered, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog import listings
from catalog.errors import Invalid, InvalidField
from catalog.filters import ALLOWED, SORTABLE, Condition, Kind, Operator, Sort, Wanted, condition
from catalog.store import batches, dataset_files, datasets, filters
from catalog.store.datasets import DatasetStore
from catalog.store.filters import _pattern, compiled, kinds, page
from catalog.store.listing_columns import (
    BATCH_COLUMNS,
    DATASET_COLUMNS,
    FILE_COLUMNS,
)
from catalog.store.queries import Query
from tests.builders import a_batch, a_dataset

LISTINGS = [
    pytest.param(
        listings.DATASET_FIELDS,
        DATASET_COLUMNS,
        datasets.SQL["in_use"],
        {"id": None, "event_union": ""},
        id="data sets",
    ),
    pytest.param(listings.BATCH_FIELDS, BATCH_COLUMNS, batches.SQL["listing"], {}, id="batches"),
    pytest.param(listings.FILE_FIELDS, FILE_COLUMNS, dataset_files.SQL["listing"], {}, id="files"),
]
#: A value a caller may name, by what it is compared with.
VALUES = {Kind.NUMBER: "17", Kind.VERSION: "1.0.3"}


@pytest.mark.parametrize(("fields", "columns", "query", "values"), LISTINGS)
async def test_every_field_can_be_asked_whatever_its_kind_allows(
    db, scope, fields, columns, query: Query, values
):
    assert kinds(columns) == fields
    await a_batch(db, scope)
    of_scope = {"sandbox_id": scope.sandbox_id, "organisation_id": scope.organisation_id}
    for name, kind in fields.items():
        for operator in ALLOWED[kind]:
            texts = ["a", "*b"] if operator is Operator.HAS_TAG else [VALUES.get(kind, "a")]
            texts = [] if operator in {Operator.EXISTS, Operator.IS_MISSING} else texts
            asked = condition(fields, name, operator, texts, called=name)
            await page(
                db,
                query,
                columns,
                Wanted(conditions=(asked,)),
                limit=1,
                skip=0,
                **of_scope,
                **values,
            )
        if kind in SORTABLE:
            for is_descending in (True, False):
                order = (Sort(field=name, is_descending=is_descending),)
                await page(
                    db, query, columns, Wanted(order=order), limit=1, skip=0, **of_scope, **values
                )


def test_what_a_kind_does_not_allow_is_refused_by_the_callers_word():
    for name, kind in listings.BATCH_FIELDS.items():
        for operator in set(Operator) - ALLOWED[kind]:
            with pytest.raises(
                InvalidField, match=rf"^called: cannot be asked whether it {operator}"
            ):
                condition(listings.BATCH_FIELDS, name, operator, ["1"], called="called")
            asked = Condition(field=name, operator=operator, values=("1",))
            with pytest.raises(ValueError, match="cannot be asked of"):
                compiled(
                    Query("any", "SELECT", ()),
                    BATCH_COLUMNS,
                    Wanted(conditions=(asked,)),
                    limit=1,
                    skip=0,
                )


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("created_at", "yesterday"),
        ("created_at", "-1"),
        ("created_at", "9223372036854775808"),
        ("created_at", "\u0661"),
        ("version", "1.0.x"),
        ("version", "1.0.0.0"),
        ("version", "9999999999"),
    ],
)
def test_a_value_that_a_field_cannot_have_is_refused(field, text):
    with pytest.raises(InvalidField, match=r"^called: "):
        condition(listings.DATASET_FIELDS, field, Operator.IS_ANY_OF, [text], called="called")


def named(operator: Operator, *values: str) -> Wanted:
    return Wanted(conditions=(Condition(field="name", operator=operator, values=values),))


async def test_a_hostile_pattern_is_stopped(db, scope, database, monkeypatch):
    monkeypatch.setattr(filters, "MOST_SECONDS", 1)
    await a_dataset(db, scope)
    await db.execute("UPDATE datasets SET name = repeat('a', 2001) || 'b'")
    pattern = r"^(a*)(a*)(a*)(a*)\1\2\3\4b$"
    with pytest.raises(Invalid, match="took longer than 1 seconds"):
        async with database.transaction() as other:
            await DatasetStore(other).page(scope, named(Operator.MATCHES, pattern), limit=1)
    async with database.transaction() as other:
        assert len(await DatasetStore(other).page(scope, Wanted(), limit=1)) == 1


async def test_a_regular_expression_that_is_none_is_refused(database, scope):
    for pattern in ("(", "[a", "a{9999}", "*"):
        with pytest.raises(InvalidField, match=r"^property: "):
            async with database.transaction() as db:
                await DatasetStore(db).page(scope, named(Operator.MATCHES, pattern), limit=1)


@given(st.text(alphabet="ab*%_\\", max_size=8), st.text(alphabet="ab*%_\\", max_size=8))
def test_a_pattern_means_what_it_means_to_callers(pattern, text):
    assert like(_pattern(pattern), text) is fits(pattern, text)


def fits(pattern: str, text: str) -> bool:
    """What the documents say: ``**`` is a star, ``*`` anything, all else itself."""
    if not pattern:
        return not text
    if pattern.startswith("**"):
        return text.startswith("*") and fits(pattern[2:], text[1:])
    if pattern.startswith("*"):
        return any(fits(pattern[1:], text[at:]) for at in range(len(text) + 1))
    return text[:1] == pattern[0] and fits(pattern[1:], text[1:])


def like(pattern: str, text: str) -> bool:
    """LIKE as PostgreSQL documents it."""
    if not pattern:
        return not text
    if pattern.startswith("\\"):
        return text[:1] == pattern[1] and like(pattern[2:], text[1:])
    if pattern.startswith("%"):
        return any(like(pattern[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and pattern[0] in {"_", text[0]} and like(pattern[1:], text[1:])
