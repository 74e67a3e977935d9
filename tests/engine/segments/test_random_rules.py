"""Whatever rule is asked of whatever profiles, the engine says what the manual says."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from catalog.unions import Union
from service.engine.segments import chunks
from service.engine.segments.evaluation import qualifying
from tests.engine.segments.oracle.evaluation import meets
from tests.engine.segments.slices import slices
from tests.pql.made_schemas import NOW, schemas
from tests.pql.rules import rules

#: How many slices each property is tried on.
EXAMPLES = int(os.environ.get("RULE_EXAMPLES", "60"))


@st.composite
def situations(draw):
    """Rules and a slice that they can be asked of."""
    profile, event = draw(schemas())
    asked = draw(st.lists(rules(profile, event, draw(st.integers(1, 3))), min_size=1, max_size=3))
    return asked, draw(slices(profile, event))


@pytest.mark.parametrize("pairs", [1 << 20, 3])
def test_a_rule_says_of_every_profile_what_it_says_of_it_alone(pairs, monkeypatch):
    monkeypatch.setattr(chunks, "PAIRS", pairs)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        # To make a rule smaller takes minutes, and rarely makes it easier to read.
        phases=set(Phase) - {Phase.shrink},
        suppress_health_check=list(HealthCheck),
    )
    @given(situations())
    def holds(situation):
        asked, rows = situation
        fields = (rows.profile_fields, rows.event_fields)
        union = Union(profile_fields=fields[0], event_fields=fields[1])
        found = qualifying(asked, rows, union, NOW)
        for rule, marks in zip(asked, found, strict=True):
            expected = [meets(rule, *person, fields, NOW) for person in rows.people]
            assert marks.tolist() == expected, rule

    holds()
