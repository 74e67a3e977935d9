import pytest

from catalog.merge_policies import IdentityGraph, MergePolicyDraft, MergeRules
from catalog.schemas import EVENT_CLASS, PROFILE_CLASS
from catalog.store.merge_policies import MergePolicyStore
from catalog.store.namespaces import NamespaceStore
from catalog.store.schemas import SchemaStore
from catalog.store.secrets import IDENTITY_SECRET
from catalog.store.store_files import StoreFileStore
from catalog.store_files import NewStoreFile
from tests.builders import a_dataset, a_loaded_batch
from tests.engine.builders import SECRET, Store, a_batch, an_event_batch, day, named
from tests.surfaces.client import problem

ENTITIES = "/data/core/ups/access/entities"
PROFILES, EVENTS = "_xdm.context.profile", "_xdm.context.experienceevent"
STITCHED = "timestampOrdered-pdg-mp"


def a_schema(class_id, **properties):
    return {
        "title": f"A schema of {class_id}",
        "type": "object",
        "meta:immutableTags": ["union"],
        "allOf": [{"$ref": class_id}, {"type": "object", "properties": properties}],
    }


@pytest.fixture
def ingest(db, scope, settings):
    """Bring rows to the profile store as their promotion would."""
    store = Store(settings.data.files_dir)

    async def ingested(batch):
        try:
            dataset_id = await a_dataset(db, scope, id=batch.dataset_id)
        except Exception:  # noqa: BLE001 -- it is there
            dataset_id = batch.dataset_id
        loaded = await a_loaded_batch(db, scope, dataset_id=dataset_id)
        assert loaded.ingest_number == batch.ingest_number
        files = [
            NewStoreFile(
                kind=file.kind, key=file.key, size_bytes=file.size_bytes, row_count=file.row_count
            )
            for file in store.put(batch)
        ]
        await StoreFileStore(db).add(scope, loaded.id, is_upsert=batch.is_upsert, files=files)
        return loaded.id

    return ingested


@pytest.fixture(autouse=True)
async def schemas(db, scope):
    text = {"type": "string"}
    async with db.transaction():
        await SchemaStore(db).add(
            scope, a_schema(PROFILE_CLASS, first=text, last=text), actor="test"
        )
        await SchemaStore(db).add(scope, a_schema(EVENT_CLASS, kind=text), actor="test")
        await NamespaceStore(db).register_seen(scope, ["crm"])
        await db.execute(
            "INSERT INTO deployment_secrets (name, value) VALUES ($1, $2)", IDENTITY_SECRET, SECRET
        )


@pytest.fixture
async def ann(ingest):
    """One person in two data sets and six events, linked by an e-mail address."""
    crm = a_batch("crm", 1, {"identityMap": named("crm:1", "email:a"), "first": "Ann", "last": "A"})
    shop = a_batch("shop", 2, {"identityMap": named("email:a"), "last": "B"})
    clicks = [
        {"identityMap": named("crm:1"), "_id": f"e{n}", "timestamp": day(n), "kind": "click"}
        for n in range(1, 7)
    ]
    return [await ingest(one) for one in (crm, shop, an_event_batch("clicks", 3, *clicks))]


def asked(id="a", namespace="email", **more):
    return {"schema.name": PROFILES, "entityId": id, "entityIdNS": namespace, **more}


def events_asked(**more):
    return {
        "schema.name": EVENTS,
        "relatedSchema.name": PROFILES,
        "relatedEntityId": "1",
        "relatedEntityIdNS": "crm",
        **more,
    }


async def found(client, params):
    answer = await client.get(ENTITIES, params=params)
    assert answer.status == 200, await answer.text()
    return await answer.json()


async def test_a_profile_is_merged_by_the_policy_that_is_asked_for(adobe, ann):
    stitched = await found(adobe, asked(mergePolicyId=STITCHED))
    ((xid, one),) = stitched.items()
    assert one["entityId"] == xid
    assert (one["entity"]["first"], one["entity"]["last"]) == ("Ann", "B")
    assert set(one["entity"]["identityMap"]) == {"crm", "Email"}
    assert {each["id"] for each in one["entity"]["identities"]} == {"1", "a"}
    assert (one["sources"], one["tags"]) == (["clicks", "crm", "shop"], ann)
    assert len(one["identityGraph"]) == 2
    assert one["mergePolicy"] == {"id": STITCHED}
    ((_, alone),) = (await found(adobe, asked())).items()
    assert "first" not in alone["entity"]
    assert alone["sources"] == ["shop"]
    assert alone["mergePolicy"] == {"id": ""}


@pytest.mark.usefixtures("ann")
async def test_the_default_policy_is_taken_when_none_is_named(adobe, db, scope):
    rules = MergeRules(identity_graph=IdentityGraph.PRIVATE)
    policy = await MergePolicyStore(db).add(
        scope, MergePolicyDraft(name="ours", rules=rules, is_default=True)
    )
    ((_, one),) = (await found(adobe, asked())).items()
    assert one["mergePolicy"] == {"id": policy.id}
    assert one["entity"]["first"] == "Ann"


@pytest.mark.usefixtures("ann")
async def test_any_identity_of_a_profile_finds_it_and_so_does_its_xid(adobe):
    by_email = await found(adobe, asked(mergePolicyId=STITCHED))
    by_crm = await found(adobe, asked("1", "CRM", mergePolicyId=STITCHED))
    (xid,) = by_crm
    by_xid = await found(
        adobe, {"schema.name": PROFILES, "entityId": xid, "mergePolicyId": STITCHED}
    )
    entities = [next(iter(each.values()))["entity"] for each in (by_email, by_crm, by_xid)]
    assert entities[0] == entities[1] == entities[2]


@pytest.mark.usefixtures("ann")
async def test_fields_choose_what_is_shown(adobe):
    ((_, one),) = (await found(adobe, asked(fields="last, identities.id"))).items()
    assert one["entity"] == {"last": "B", "identities": [{"id": "a"}]}


async def test_an_explanation_names_for_each_leaf_the_fragment_that_won(adobe, ann):
    ((_, one),) = (await found(adobe, asked(mergePolicyId=STITCHED, explain="true"))).items()
    told = {leaf["path"]: leaf for leaf in one["explanation"]}
    assert told["first"]["rule"] == "onlyValue"
    assert told["identityMap"] == {"path": "identityMap", "rule": "union"}
    last = told["last"]
    assert (last["rule"], last["dataSetId"], last["batchId"]) == ("newestFragment", "shop", ann[1])
    assert (last["ingestNumber"], last["row"], last["otherRows"]) == (2, 0, 1)
    assert last["primaryIdentity"]["namespace"] == {"code": "Email"}
    assert last["primaryIdentity"]["id"] == "a"


@pytest.mark.usefixtures("ann")
async def test_whom_nobody_knows_is_not_found(adobe):
    answer = await adobe.get(ENTITIES, params=asked("nobody"))
    assert answer.status == 404
    assert problem(await answer.json()) == (404, "not_found")


@pytest.mark.usefixtures("ann")
async def test_several_are_asked_for_at_once_and_strangers_have_an_empty_entry(adobe):
    answer = await adobe.post(
        ENTITIES,
        json={
            "schema": {"name": PROFILES},
            "fields": ["first"],
            "identities": [
                {"entityId": "1", "entityIdNS": {"code": "crm"}},
                {"entityId": "nobody", "entityIdNS": {"code": "Email"}},
            ],
            "mergePolicyId": STITCHED,
        },
    )
    assert answer.status == 200, await answer.text()
    known, stranger = (await answer.json()).values()
    assert known["entity"] == {"first": "Ann"}
    assert known["requestedIdentity"] == {"entityId": "1", "entityIdNS": {"code": "crm"}}
    assert (stranger["entity"], stranger["sources"]) == ({}, [""])
    assert stranger["lastModifiedAt"] == "1970-01-01T00:00:00Z"


@pytest.mark.usefixtures("ann")
async def test_events_come_in_pages_that_a_client_follows_by_offsets(adobe):
    seen, offsets = [], None
    while offsets != "":
        more = {"offsets": offsets} if offsets else {}
        page = await found(adobe, events_asked(limit="4", **more))
        seen += [child["entityId"] for child in page["children"]]
        href = page["_links"]["next"]["href"]
        offsets = href.partition("offsets=")[2].partition("&")[0]
        assert page["_page"]["next"] == offsets
    assert seen == [f"e{n}" for n in range(1, 7)]


@pytest.mark.usefixtures("ann")
async def test_events_are_chosen_by_time_and_turned_round(adobe):
    since, until = (int(day(n).timestamp() * 1000) for n in (2, 5))
    page = await found(
        adobe,
        events_asked(startTime=str(since), endTime=str(until), orderby="-timestamp", fields="kind"),
    )
    assert [child["timestamp"] for child in page["children"]] == [
        int(day(n).timestamp() * 1000) for n in (4, 3, 2)
    ]
    assert [child["entity"] for child in page["children"]] == [{"kind": "click"}] * 3
    assert page["_page"] == {"orderby": "-timestamp", "start": "0", "count": 3, "next": ""}


@pytest.mark.usefixtures("ann")
async def test_events_of_several_profiles_are_asked_for_at_once(adobe):
    body = {
        "schema": {"name": EVENTS},
        "relatedSchema": {"name": PROFILES},
        "identities": [
            {"entityId": "1", "entityIdNS": {"code": "crm"}},
            {"entityId": "x", "entityIdNS": {"code": "crm"}},
        ],
        "limit": 2,
        "orderby": "-timestamp",
    }
    answer = await adobe.post(f"{ENTITIES}?explain=true", json=body)
    assert answer.status == 200, await answer.text()
    known, stranger = (await answer.json()).values()
    assert [child["entityId"] for child in known["children"]] == ["e6", "e5"]
    assert known["children"][0]["explanation"]["dataSetId"] == "clicks"
    assert known["_page"]["next"] == "2"
    assert stranger["children"] == []


async def test_more_identities_than_one_person_has_are_refused(adobe, ingest):
    await ingest(
        a_batch("crm", 1, *({"identityMap": named(f"crm:{n}", "email:a")} for n in range(50)))
    )
    answer = await adobe.get(ENTITIES, params=asked("7", "crm", mergePolicyId=STITCHED))
    assert answer.status == 422
    told = await answer.json()
    assert problem(told) == (422, "too_many_identities")
    assert "Too many related identities" in told["detail"]
    assert (await found(adobe, asked("7", "crm"))) != {}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"schema.name": "_xdm.other"}, "schema.name"),
        ({"entityIdNS": "unheard-of"}, "entityIdNS"),
        ({"entityIdNS": ""}, "entityIdNS"),
        ({"entityId": ""}, "entityId"),
        ({"entityId": "x" * 1025}, "entityId"),
        ({"mergePolicyId": "none-such"}, "mergePolicyId"),
        ({"fields": "frist"}, "fields"),
        ({"limit": "0"}, "limit"),
        ({"orderby": "name"}, "orderby"),
        ({"property": "kind=click"}, "property"),
        ({"startTime": "yesterday"}, "startTime"),
    ],
)
async def test_what_cannot_be_asked_is_refused_and_named(adobe, changes, field):
    answer = await adobe.get(ENTITIES, params=asked() | changes)
    assert answer.status == 400
    assert (await answer.json())["detail"].startswith(field)


@pytest.mark.usefixtures("ann")
async def test_another_organisation_finds_nobody(adobe, foreign):
    (xid,) = await found(adobe, asked("1", "crm"))
    for params in (asked("1", "crm"), {"schema.name": PROFILES, "entityId": xid}):
        answer = await foreign.get(ENTITIES, params=params)
        assert answer.status in (400, 404)
        assert "Ann" not in await answer.text()


@pytest.mark.usefixtures("ann")
async def test_who_looked_at_whom_is_noted(adobe, db):
    (xid,) = await found(adobe, asked("1", "crm"))
    noted = await db.fetch("SELECT action, object_kind, object_id FROM audit_entries")
    assert ("read", "profile", xid) in {tuple(row) for row in noted}
