import pytest

from tests.engine.builders import a_batch, an_event_batch, named
from tests.surfaces.client import problem
from tests.surfaces.test_entities import ingest, schemas

__all__ = ["ingest", "schemas"]

IDENTITY = "/data/core/identity/identity"
GRAPH = "/data/core/identity/v2/graph"
NAMESPACES = "/data/core/idnamespace/identities"


@pytest.fixture
async def linked(ingest):
    """An e-mail address that two batches link with a CRM number, and an event with a third."""
    batches = (
        a_batch("crm", 1, {"identityMap": named("crm:1", "email:a")}),
        a_batch("shop", 2, {"identityMap": named("email:a", "crm:1")}),
        an_event_batch("clicks", 3, {"identityMap": named("ecid:x", "email:a")}),
    )
    return [await ingest(batch) for batch in batches]


async def xid_of(client, id, **namespace):
    answer = await client.get(IDENTITY, params={"id": id, **namespace})
    assert answer.status == 200, await answer.text()
    return await answer.json()


async def graphs(client, **asked):
    answer = await client.post(GRAPH, json=asked)
    assert answer.status == 200, await answer.text()
    return (await answer.json())["graphs"]


async def test_an_xid_is_the_same_however_its_namespace_is_named(adobe):
    by_code = await xid_of(adobe, "a", namespace="EMAIL")
    assert by_code["compositeXid"] == {"nsid": 6, "id": "a"}
    assert await xid_of(adobe, "a", nsid="6") == by_code
    assert (await xid_of(adobe, "a", namespace="crm", nsid="6"))["xid"] != by_code["xid"]
    assert (await xid_of(adobe, "A", namespace="Email"))["xid"] != by_code["xid"]


@pytest.mark.usefixtures("linked")
async def test_all_that_is_linked_is_in_the_set_in_the_spelling_that_was_asked_for(adobe):
    (by_code,) = await graphs(adobe, composite_xid=[{"ns": "Email", "id": "a"}])
    assert by_code["composite_xid"] == {"ns": "Email", "id": "a"}
    everybody = {("Email", "a"), ("crm", "1"), ("ECID", "x")}
    assert {(one["ns"], one["id"]) for one in by_code["members"]} == everybody
    (by_number,) = await graphs(adobe, composite_xids={"nsid": 4, "id": "x"})
    assert {one["nsid"] for one in by_number["members"]} >= {4, 6}
    xid = (await xid_of(adobe, "1", namespace="crm"))["xid"]
    (by_xid,) = await graphs(adobe, xids=[xid])
    assert by_xid["xid"] == xid
    assert len(by_xid["members"]) == 3


async def test_edges_name_the_batches_that_link(adobe, linked):
    (graph,) = await graphs(
        adobe,
        composite_xid=[{"ns": "crm", "id": "1"}],
        projection_type="graph",
        require_edge_meta_data=True,
    )
    assert len(graph["vertices"]) == 3
    by_ends = {
        frozenset(end["id"] for end in edge["composite_xid_pair"]): edge for edge in graph["edges"]
    }
    assert by_ends[frozenset("1a")]["batch_ids"] == linked[:2]
    assert by_ends[frozenset("1a")]["dataset_ids"] == ["crm", "shop"]
    assert by_ends[frozenset("xa")]["batch_ids"] == linked[2:]


@pytest.mark.usefixtures("linked")
async def test_without_a_graph_everybody_is_alone(adobe):
    (alone,) = await graphs(adobe, composite_xid=[{"ns": "Email", "id": "a"}], graph_type="none")
    assert len(alone["members"]) == 1


@pytest.mark.usefixtures("linked")
async def test_another_organisation_sees_no_links(adobe, foreign):
    mine = await xid_of(adobe, "a", namespace="Email")
    (theirs,) = await graphs(foreign, xids=[mine["xid"]])
    assert theirs["members"] == [mine["xid"]]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "composite_xid"),
        ({"composite_xid": [{"id": "a"}]}, "composite_xid"),
        ({"composite_xid": [{"ns": "Email", "id": "a"}], "xids": ["x"]}, "composite_xid"),
        ({"xids": ["no xid"]}, "entityIdNS"),
        ({"xids": ["x"], "projection_type": "tree"}, "projection_type"),
        ({"xids": ["x"], "graph_type": "coop"}, "graph_type"),
        ({"composite_xid": [{"ns": "unheard-of", "id": "a"}]}, "entityIdNS"),
    ],
)
async def test_what_cannot_be_asked_of_the_graph_is_refused_and_named(adobe, body, field):
    answer = await adobe.post(GRAPH, json=body)
    assert problem(await answer.json()) == (400, "invalid_field")
    assert (await answer.json())["detail"].startswith(field)


async def test_an_identity_without_a_namespace_has_no_xid(adobe):
    answer = await adobe.get(IDENTITY, params={"id": "a"})
    assert problem(await answer.json()) == (400, "invalid_field")


async def test_the_number_of_a_namespace_finds_it(adobe):
    answer = await adobe.get(f"{NAMESPACES}/6")
    assert (await answer.json())["code"] == "Email"


async def test_an_identity_that_no_row_names_is_alone_in_its_graph(adobe):
    (graph,) = await graphs(adobe, composite_xid=[{"nsid": 6, "id": "nobody"}])
    assert graph["members"] == [{"nsid": 6, "id": "nobody"}]
