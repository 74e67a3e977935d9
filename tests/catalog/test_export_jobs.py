from pathlib import Path

from catalog.export_jobs import BUILT_IN_POLICIES
from catalog.jobs import LIFECYCLE
from catalog.merge_policies import IdentityGraph

MANUAL = (Path(__file__).parents[2] / "docs" / "export-jobs.md").read_text(encoding="utf-8")


def test_the_manual_draws_the_lifecycle_as_it_is():
    assert LIFECYCLE.diagram() in MANUAL


def test_the_policies_of_the_published_samples_always_exist():
    assert BUILT_IN_POLICIES["timestampOrdered-none-mp"].identity_graph is IdentityGraph.NONE
    assert BUILT_IN_POLICIES["timestampOrdered-pdg-mp"].identity_graph is IdentityGraph.PRIVATE
    assert all(id in MANUAL for id in BUILT_IN_POLICIES)
