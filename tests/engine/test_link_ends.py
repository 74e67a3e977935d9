"""Ends of links are numbered by their keys, whatever says them and however they are divided."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from service.engine.link_ends import LinkEnds
from tests.engine.key_pairs import halves, keys_of, pairs_in

keys = st.tuples(halves, halves)
sources = st.lists(st.lists(st.tuples(keys, keys), max_size=12), min_size=1, max_size=4)


class Told:
    """Links in memory, sorted as those of a file are."""

    def __init__(self, links):
        self._links = sorted(links)

    def under(self, prefix, depth):
        own = [(near, far) for near, far in self._links if near[0] >> (64 - depth) == prefix]
        return tuple(keys_of([link[end] for link in own]) for end in (0, 1))


def numbered(told, depth, threads):
    """Number links; give the keys of all numbers, and the links as keys again."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(threads) as pool:
        ends = LinkEnds(Path(folder), depth, pool, threads)
        ends.take(lambda: [Told(links) for links in told])
        made = ends.numbered()
        known = [key for bucket in range(1 << depth) for key in pairs_in(made.keys(bucket))]
        assert made.identity_count == len(known)
        links = []
        for here, there in made.portions():
            both = [pairs_in(made.keys_at(end)) for end in (here, there)]
            links += zip(*both, strict=True)
            assert [known[n] for n in here] == both[0]
    return known, links


@given(sources, st.sampled_from([0, 1, 3]), st.sampled_from([1, 2]))
@settings(max_examples=60, deadline=None)
def test_numbers_ascend_with_keys_and_every_link_is_told(told, depth, threads):
    known, links = numbered(told, depth, threads)
    said = [link for links in told for link in links]
    assert known == sorted(
        {end for link in said for end in link if link[0] != link[1]}.union(near for near, _ in said)
    )
    assert set(links) == {(near, far) for near, far in said if near != far}


@pytest.mark.parametrize("depth", [0, 3])
def test_what_many_files_say_is_kept_once(depth):
    draw = np.random.default_rng(depth)
    nears = [tuple(near) for near in draw.integers(0, 2**63, (500, 2)).tolist()]
    fars = [tuple(far) for far in draw.integers(0, 2**63, (500, 2)).tolist()]
    links = [(near, fars[n]) for near in nears for n in draw.choice(500, 8, replace=False)]
    _, kept = numbered([links] * 10, depth, 2)
    assert sorted(kept) == sorted(links)
