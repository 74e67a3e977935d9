"""Decides who enters, stays in and leaves segments, from what they were in and what they meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from catalog.memberships import EXITED_FOR
from service.engine.own_memberships import Own
from service.engine.ranking import Bools, Ints, ordered
from service.engine.snapshot import micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an evaluation found out about some profiles."""

    #: Their memberships from now on: of segments that were not evaluated, as before.
    own: Own
    #: By rule, then profile: who qualifies.
    qualifies: Sequence[Bools]
    #: By rule, how many profiles entered, stayed and left.
    entered: Ints
    stayed: Ints
    left: Ints


def outcome_of(
    qualifies: Sequence[Bools], before: Own, numbers: Sequence[int], evaluated_at: datetime
) -> Outcome:
    """Say what becomes of memberships when some profiles qualify for segments, by their numbers.

    Who qualifies and did before keeps its time. Who left so long ago that nobody is to be told
    is forgotten.
    """
    order = ordered(before.segment)
    starts = np.searchsorted(before.segment[order], numbers, "left")
    stops = np.searchsorted(before.segment[order], numbers, "right")
    counts = np.zeros((3, len(numbers)), np.int64)
    others = np.ones(len(before), np.bool_)
    found = []
    for rule, number in enumerate(numbers):
        known = order[starts[rule] : stops[rule]]
        others[known] = False
        moved = _moved(qualifies[rule], before.at(known), number, evaluated_at)
        found.append(moved)
        was_in = before.profile[known[~before.has_left[known]]]
        stayed = int(qualifies[rule][was_in].sum())
        counts[:, rule] = int(qualifies[rule].sum()) - stayed, stayed, len(was_in) - stayed
    own = Own.joined([before.at(others), *found]).combined()
    entered, stayed_in, left = counts
    return Outcome(own=own, qualifies=qualifies, entered=entered, stayed=stayed_in, left=left)


def _moved(qualifies: Bools, before: Own, number: int, evaluated_at: datetime) -> Own:
    """Give the memberships in one segment from now on."""
    now = micros(evaluated_at)
    since = np.full(len(qualifies), now)
    was_in = ~before.has_left
    since[before.profile[was_in]] = before.time[was_in]
    members = np.flatnonzero(qualifies)
    is_out = ~qualifies[before.profile]
    is_recent = before.time >= micros(evaluated_at - EXITED_FOR)
    leaving, gone = is_out & was_in, is_out & before.has_left & is_recent
    count = len(members) + int(leaving.sum()) + int(gone.sum())
    return Own(
        profile=np.concatenate([members, before.profile[leaving], before.profile[gone]]),
        segment=np.full(count, number),
        has_left=np.arange(count) >= len(members),
        time=np.concatenate([since[members], np.full(leaving.sum(), now), before.time[gone]]),
    )
