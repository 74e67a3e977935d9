"""Rules in plain words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.pql.reading import read
from catalog.pql.words import say
from tests.pql.made_schemas import schemas
from tests.pql.rules import rules


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('person.gender = "female"', "Profiles of which person.gender is “female”."),
        (
            "points > 3 and not (isVip or since.isNull())",
            (
                "Profiles of which points is more than 3 and it is not so that (isVip or since has"
                " no value)."
            ),
        ),
        (
            "exists E from xEvent where E.price > 50 and E.timestamp occurs <= 3 days before now",
            (
                "Profiles of which there is one E of the events, where price of E is more than 50"
                " and timestamp of E occurs <= 3 days before now."
            ),
        ),
        (
            'city.doesNotContain("a", false)',
            "Profiles of which city does not contain “a”, in any case.",
        ),
        ("xEvent.count() >= 2", "Profiles of which the number of the events is at least 2."),
    ],
)
def test_a_rule_is_said_in_words(text: str, words: str):
    assert say(read(text)) == words


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_every_rule_can_be_said(data: st.DataObject):
    said = say(data.draw(schemas().flatmap(lambda fields: rules(*fields))))
    assert said.startswith("Profiles of which ")
    assert "$item" not in said
    assert "$element" not in said
