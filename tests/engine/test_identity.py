import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.engine.identity import label
from service.engine.ranking import Keys
from tests.engine.oracle import Graph

nodes = st.integers(0, 15)


def keys(*numbers):
    """Keys that all share their high half with another."""
    return Keys(np.array(numbers, np.uint64) // 2, np.array(numbers, np.uint64))


def profiles(links, main=(), limit=50):
    labelling = label(
        keys(*(a for a, _ in links)), keys(*(b for _, b in links)), [keys(*main)], limit
    )
    return dict(zip(labelling.identity.lo.tolist(), labelling.profile.lo.tolist(), strict=True))


@given(st.lists(st.tuples(nodes, nodes), min_size=1), st.lists(nodes))
def test_a_component_is_represented_by_its_smallest_key_of_the_main_data_set(links, main):
    graph = Graph()
    for link in links:
        graph.link([("n", str(node)) for node in link])
    found = profiles(links, main)
    for node, representative in found.items():
        members = {int(value) for _, value in graph.of(("n", str(node)))}
        assert representative == min(members & set(main) or members)


@given(st.permutations([(1, 2), (2, 3), (4, 5), (5, 1), (8, 9)]))
def test_the_order_of_links_does_not_matter(links):
    assert profiles(links) == {1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 8: 8, 9: 8}


def test_components_over_the_limit_are_excluded_whole():
    links = [(1, 2), (2, 3), (4, 5)]
    labelling = label(keys(1, 2, 4), keys(2, 3, 5), [], 2)
    assert labelling.is_excluded.tolist() == [True, True, True, False, False]
    assert len(labelling.excluded_components()) == 1
    assert profiles(links, limit=3) == {1: 1, 2: 1, 3: 1, 4: 4, 5: 4}
