"""The lifecycles, asked as tables: all of them, whatever they are about."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

import pytest

from catalog import batches, jobs
from catalog.errors import IllegalTransition
from catalog.lifecycle import Lifecycle


class Table(NamedTuple):
    lifecycle: Lifecycle
    states: type[StrEnum]
    events: type[StrEnum]


TABLES = [
    Table(jobs.LIFECYCLE, jobs.JobState, jobs.JobEvent),
    Table(batches.LIFECYCLE, batches.BatchState, batches.BatchEvent),
]
every_lifecycle = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.lifecycle.noun)


@every_lifecycle
def test_every_state_is_in_the_table(table: Table):
    assert table.lifecycle.edges.keys() == set(table.states)
    assert {event for exits in table.lifecycle.edges.values() for event in exits} == set(
        table.events
    )


@every_lifecycle
def test_every_state_can_be_reached(table: Table):
    reached, frontier = set(table.lifecycle.initial), list(table.lifecycle.initial)
    while frontier:
        new = set(table.lifecycle.edges[frontier.pop()].values()) - reached
        reached |= new
        frontier += new
    assert reached == set(table.states)


@every_lifecycle
def test_an_event_always_leads_to_the_same_state(table: Table):
    for event in table.events:
        targets = {table.lifecycle.after(state, event) for state in table.lifecycle.sources(event)}
        assert targets == {table.lifecycle.target(event)}


@every_lifecycle
def test_what_the_table_does_not_list_is_refused(table: Table):
    for state in table.states:
        for event in set(table.events) - table.lifecycle.edges[state].keys():
            refusal = f"{table.lifecycle.noun} 7 is {state}: cannot {event}"
            with pytest.raises(IllegalTransition, match=re.escape(refusal)):
                table.lifecycle.after(state, event, id=7)


@every_lifecycle
def test_the_diagram_draws_the_table(table: Table):
    drawn = re.findall(r"^    (\w+) --> (\w+): (\w+)$", table.lifecycle.diagram(), re.MULTILINE)
    listed = [
        (state, target, event)
        for state, exits in table.lifecycle.edges.items()
        for event, target in exits.items()
    ]
    assert drawn == listed
    starts = re.findall(r"^    \[\*\] --> (\w+)$", table.lifecycle.diagram(), re.MULTILINE)
    assert set(starts) == table.lifecycle.initial


def test_ended_jobs_never_move_again():
    assert {state for state, exits in jobs.LIFECYCLE.edges.items() if not exits} == jobs.ENDED
