"""What is written is read again as it was."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.pql.nodes import (
    EVENTS,
    PROFILE,
    Binding,
    Compare,
    Comparison,
    Exists,
    Member,
    Variable,
)
from catalog.pql.reading import read
from catalog.pql.writing import write
from tests.pql.made_schemas import schemas
from tests.pql.rules import rules


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_what_is_written_is_read_again_equal(data: st.DataObject):
    rule = data.draw(schemas().flatmap(lambda fields: rules(*fields)))
    assert read(write(rule)) == rule


@pytest.mark.parametrize(
    "text",
    [
        'person.gender = "female"',
        "a = 1 and (b = 2 or c = 3)",
        "not (a = 1)",
        "a.isNull() or b.isNotNull()",
        "x notIn [1, 2] and y notIn names",
        'name.doesNotContain("a", false)',
        'city like "%es%"',
        "exists E from xEvent where E.price > 50",
        "exists E from xEvent, I from E.items where E.price > 50 and I.SKU = 1",
        "forall E from xEvent where E.price > 50",
        "timestamp occurs last week",
        "timestamp occurs today",
        "timestamp occurs on date(2020, 2, 29)",
        "timestamp occurs on other.time",
        "timestamp occurs between last month and today",
        "timestamp occurs between date(2015, 1, 8) and date(2017, 7, 1)",
        "timestamp occurs <= 3 days before now",
        "timestamp occurs = 1 hour after today",
        "timestamp occurs < 2 weeks from yesterday",
        "timestamp occurs >= 1 year before date(2020, 1, 1)",
        "(select E from xEvent where E.price > 1).count() >= 3",
        "orders[price > $1.limit].sum(price) / 2 > -1.5",
        "orders[lines[price > ^.limit].count() > 1].count() > 1",
        "orders.topN(price, 5).head().price > 3",
        "orders.map((O) => O.price * O.count).max() >= 10",
        "let S = xEvent.sum((X) => X.price) in S > 100 and S < 1000",
        'if(a, 1, 2) = 1 and identityMap.get("email").count() > 0',
        "(a + b) * c - (d - 1) = 0",
        "`today` = today and `first name` = 1",
        "currentMonth() = person.birthMonth",
        r'name.matches("^\\w+$")',
        'seen.shiftedBy(3, "day") > timestamp("2026-03-18T15:09:26.535897Z")',
    ],
)
def test_a_rule_is_written_as_people_write_it(text: str):
    assert write(read(text)) == text


def test_a_name_that_means_something_else_is_written_so_that_it_means_a_field():
    rule = Exists(
        (Binding("E", EVENTS),),
        Compare(Comparison.EQUAL, Member(PROFILE, "E"), Member(Variable("E"), "select")),
    )
    assert write(rule) == "exists E from xEvent where `E` = E.select"
    assert read(write(rule)) == rule
