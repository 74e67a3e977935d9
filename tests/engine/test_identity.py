import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.identity import Components
from tests.engine.oracle import Graph

NODES = 16
nodes = st.integers(0, NODES - 1)
links = st.lists(st.tuples(nodes, nodes), max_size=30)


def components(*portions):
    joined = Components(NODES)
    for portion in portions:
        ends = np.array(portion, np.int32).reshape(-1, 2)
        joined.join(ends[:, 0], ends[:, 1])
    return joined


def members(links):
    """For each node the nodes it is linked with, itself included."""
    graph = Graph()
    for link in links:
        graph.link([("n", str(node)) for node in link])
    return [sorted(int(value) for _, value in graph.of(("n", str(n)))) for n in range(NODES)]


@given(links, st.sets(nodes))
def test_a_component_is_represented_by_its_smallest_main_identity_else_its_smallest(links, main):
    is_main = np.isin(np.arange(NODES), list(main))
    chosen, _ = components(links).profiles(is_main).of(slice(0, NODES))
    for node, group in enumerate(members(links)):
        assert chosen[node] == min(main & set(group) or group)


@given(links)
def test_each_identity_knows_how_many_its_component_has(links):
    _, sizes = components(links).profiles(np.zeros(NODES, np.bool_)).of(slice(0, NODES))
    assert sizes.tolist() == [len(group) for group in members(links)]


@given(st.lists(links, max_size=5), st.randoms())
def test_neither_the_order_of_links_nor_their_portions_matter(portions, random):
    together = [link for portion in portions for link in portion]
    random.shuffle(together)
    assert components(*portions).smallest.tolist() == components(together).smallest.tolist()


def test_a_long_chain_is_one_component_in_whatever_portions_it_comes():
    chain = [(n, n + 1) for n in range(NODES - 1)]
    portions = [chain[::2], chain[1::2][::-1]]
    assert components(*portions).smallest.tolist() == [0] * NODES


@given(links)
def test_what_no_round_has_joined_is_joined_all_the_same(links):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.engine.identity.ROUNDS", 1)
        joined = components(links).smallest.tolist()
    assert joined == [group[0] for group in members(links)]
