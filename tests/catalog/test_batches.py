"""Batches: which paths callers may use, and where a batch may go from where it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.batches import (
    ENDED,
    LIFECYCLE,
    LONGEST_PATH,
    BatchEvent,
    BatchState,
    upload_path,
)
from catalog.errors import IllegalTransition, InvalidField

PART = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/"), min_size=1)


@pytest.mark.parametrize(
    "path",
    [
        "a.json",
        "part1=a/part2=b/x.parquet",
        "..a/b..",
        "a/.hidden",
        "ü/日本.csv",
        "a b/c%2Fd",
        "é" * 9,
    ],
)
def test_a_path_of_named_parts_is_kept_as_it_is(path):
    assert upload_path(path) == path


@pytest.mark.parametrize(
    "path",
    ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a/.", "a\0b", "a\nb", "a\x7f", "a" * 1025],
)
def test_a_path_that_could_lead_elsewhere_is_refused(path):
    with pytest.raises(InvalidField, match="path: "):
        upload_path(path)


@given(st.lists(PART.filter(lambda part: part not in {".", ".."}), min_size=1, max_size=5))
def test_every_path_of_named_parts_is_taken(parts):
    path = "/".join(parts)[:LONGEST_PATH].rstrip("/")
    try:
        assert upload_path(path) == path
    except InvalidField:
        assert path.split("/")[-1] in {"", ".", ".."}  # cut off in the middle of a part


def test_only_loading_and_loaded_batches_can_be_given_up_by_their_caller():
    for state in ENDED:
        with pytest.raises(IllegalTransition, match=f"batch b1 is {state}: cannot abort"):
            LIFECYCLE.after(state, BatchEvent.ABORT, id="b1")


def test_only_active_batches_can_be_taken_back():
    for event in (BatchEvent.REVERT, BatchEvent.REPLACE):
        assert LIFECYCLE.sources(event) == (BatchState.ACTIVE,)


def test_every_state_can_be_reached_and_every_event_leads_to_one():
    reached = set(LIFECYCLE.initial)
    for event in BatchEvent:
        reached.add(LIFECYCLE.target(event))
    assert reached == set(BatchState) == set(LIFECYCLE.edges)


def test_the_manual_shows_the_lifecycle_as_it_is():
    manual = Path(__file__).parents[2] / "docs" / "batches.md"
    assert LIFECYCLE.diagram() in manual.read_text(encoding="utf-8")
