"""What identities files say is said once, in the strongest state that anybody saw."""

from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
from hypothesis import example, given

from service.engine.ranking import Keys
from service.engine.united_mentions import told_once

#: Keys are hashes; these crowd, and agree in one half or both.
halves = st.sampled_from([0, 1, 2, 1 << 56, (1 << 56) + 1, 1 << 63, (1 << 64) - 1])
keys = st.tuples(halves, halves)
rows = st.lists(st.tuples(keys, keys, st.integers(0, 2)), max_size=40)


def as_keys(pairs):
    return Keys(*(np.array([pair[half] for pair in pairs], np.uint64) for half in (0, 1)))


def told(drawn):
    owners, identities, states = zip(*drawn, strict=True) if drawn else ((), (), ())
    places, strongest = told_once(as_keys(owners), as_keys(identities), np.array(states, np.int8))
    return places.tolist(), strongest.tolist()


@given(rows)
@example([])
def test_each_pair_is_told_in_the_strongest_state_that_any_row_has(drawn):
    found = {}
    for place, state in zip(*told(drawn), strict=True):
        pair = drawn[place][:2]
        found[pair] = max(state, found.get(pair, 0))
    expected = {}
    for owner, identity, state in drawn:
        expected[owner, identity] = max(state, expected.get((owner, identity), 0))
    assert found == expected


@given(rows)
def test_owners_ascend_by_the_bits_that_hashes_differ_in(drawn):
    places, _ = told(drawn)
    leading = [drawn[place][0][0] >> 40 for place in places]
    assert leading == sorted(leading)


def test_of_hashes_next_to_no_pair_is_told_twice():
    random = np.random.default_rng(7)
    owners = [tuple(key) for key in random.integers(0, 1 << 64, (1_000, 2), np.uint64).tolist()]
    pairs = sorted([*zip(owners, owners, strict=True), *pairwise(owners)])
    places, _ = told([(*pair, n) for n in range(3) for pair in pairs])
    assert len(pairs) <= len(places) <= 1.02 * len(pairs)
