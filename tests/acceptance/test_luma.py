"""Four files of a real shop, exactly as they are, become the profiles a person would work out."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog.merge_policies import AttributeMerge, IdentityGraph
from catalog.schema_documents import fields_of
from catalog.schemas import CLASS_FIELDS, EVENT_CLASS, PROFILE_CLASS, PROFILE_UNION
from catalog.unions import combined
from service.engine.orders import EventChoice, ExportOrder
from tests.acceptance.service import running
from tests.engine.oracle import Batch, Descriptor, export, in_any_order, typed_row
from tests.samples import sample

STRING, INTEGER, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


NAME = an_object(name=an_object(firstName=STRING, lastName=STRING))
ITEMS = {"type": "array", "items": an_object(SKU=STRING, quantity=INTEGER)}


@dataclass(frozen=True)
class Source:
    """One file, the schema its rows have, and the fields that are identities."""

    name: str
    class_id: str
    properties: dict[str, Any]
    descriptors: tuple[Descriptor, ...]

    @property
    def fields(self):
        inline = {"type": "object", "properties": self.properties}
        return fields_of({"title": self.name, "allOf": [{"$ref": self.class_id}, inline]})

    @property
    def content(self) -> bytes:
        return sample(f"luma/luma-{self.name}.json").read_bytes()


def identifiers(*names: str) -> dict[str, Any]:
    return an_object(systemIdentifier=an_object(**dict.fromkeys(names, STRING)))


CRM_ID = ("_yourTenantId", "systemIdentifier", "crmId")
LOYALTY_ID = ("_yourTenantId", "systemIdentifier", "loyaltyId")

SOURCES = [
    Source(
        "crm",
        PROFILE_CLASS,
        {
            "_yourTenantId": identifiers("crmId"),
            "person": an_object(
                name=an_object(firstName=STRING, lastName=STRING), gender=STRING, birthYear=INTEGER
            ),
            "personalEmail": an_object(address=STRING),
            "mobilePhone": an_object(number=STRING),
            "homeAddress": an_object(street1=STRING, city=STRING, state=STRING, postalCode=STRING),
        },
        (Descriptor(path=CRM_ID, namespace="lumaCrmId", is_primary=True),),
    ),
    Source(
        "loyalty",
        PROFILE_CLASS,
        {
            "_yourTenantId": identifiers("loyaltyId", "crmId"),
            "person": NAME,
            "loyalty": an_object(
                points=INTEGER, tier=STRING, joinDate={"type": "string", "format": "date"}
            ),
        },
        (
            Descriptor(path=LOYALTY_ID, namespace="lumaLoyaltyId", is_primary=True),
            Descriptor(path=CRM_ID, namespace="lumaCrmId"),
        ),
    ),
    Source(
        "web-events",
        EVENT_CLASS,
        {
            "commerce": an_object(saveForLaters=an_object(value=NUMBER)),
            "productListItems": ITEMS,
        },
        (),
    ),
    Source(
        "offline-purchases",
        EVENT_CLASS,
        {
            "_yourTenantId": identifiers("loyaltyId"),
            "commerce": an_object(order=an_object(purchaseID=STRING, priceTotal=NUMBER)),
            "productListItems": ITEMS,
        },
        (Descriptor(path=LOYALTY_ID, namespace="lumaLoyaltyId", is_primary=True),),
    ),
]


def union_of(class_id):
    fields = [source.fields for source in SOURCES if source.class_id == class_id]
    return reduce(combined, fields, CLASS_FIELDS[class_id])


def expected(graph: IdentityGraph):
    """What the oracle makes of the same four files."""
    batches = [
        Batch(
            dataset_id=source.name,
            rows=[typed_row(row, source.fields) for row in json.loads(source.content)],
            fields=source.fields,
            ingest_number=number,
            ingested_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number),
            is_event=source.class_id == EVENT_CLASS,
            descriptors=source.descriptors,
        )
        for number, source in enumerate(SOURCES, start=1)
    ]
    order = ExportOrder(
        folder="",
        files=(),
        profile_fields=tuple(field.to_json() for field in union_of(PROFILE_CLASS)),
        event_fields=tuple(field.to_json() for field in union_of(EVENT_CLASS)),
        identity_graph=graph,
        attribute_merge=AttributeMerge.TIMESTAMP_ORDERED,
        events=EventChoice(),
        namespaces={"lumacrmid": "lumaCrmId", "lumaloyaltyid": "lumaLoyaltyId", "ecid": "ECID"},
    )

    def never(identity):
        raise AssertionError(f"no profile here is without a record: {identity}")

    return export(batches, order, key_of=never)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The downloaded files of one export under each graph, and the job that made them."""
    folder = tmp_path_factory.mktemp("luma")
    with running(folder / "data") as service:
        for source in SOURCES:
            schema_id = service.a_schema(source.name, source.class_id, source.properties)
            for one in source.descriptors:
                service.an_identity(
                    schema_id,
                    "/" + "/".join(one.path),
                    one.namespace,
                    is_primary=one.is_primary,
                )
            dataset_id = service.a_dataset(source.name, schema_id)
            service.ingest(dataset_id, {f"{source.name}.json": source.content})
        destination = service.a_dataset("exported", PROFILE_UNION, for_profile=False)
        results = {}
        for graph in IdentityGraph:
            policy = {
                "name": f"luma {graph}",
                "identityGraph": {"type": graph},
                "attributeMerge": {"type": "timestampOrdered"},
                "schema": {"name": "_xdm.context.profile"},
            }
            made = service.call("POST", "/data/core/ups/config/mergePolicies", policy)
            job = service.submit(
                destination,
                mergePolicy={"id": made["id"]},
                additionalFields={"eventList": {}},
            )
            done = service.finish(job)
            files = service.download(done["destination"]["batchId"], folder / graph)
            results[graph] = (done, files)
        yield results


def rows_of(files):
    """Rows as plain values: maps as dictionaries."""
    table = pa.concat_tables(pq.read_table(file) for file in files)
    return [plain(row) for row in table.to_pylist(maps_as_pydicts="strict")]


def plain(row):
    return {name: value for name, value in row.items() if value is not None}


@pytest.mark.parametrize("graph", IdentityGraph)
def test_profiles_agree_with_the_oracle_field_for_field_and_event_for_event(exported, graph):
    job, files = exported[graph]
    wanted = expected(graph)
    found = in_any_order(rows_of(files))
    assert len(found) == len(wanted.rows)
    assert found == in_any_order(wanted.rows)
    metrics = job["metrics"]
    assert metrics["totalExportedProfileCounter"] == wanted.counters["profiles"]
    assert metrics["totalExportedEventCounter"] == wanted.counters["events"]
    assert metrics["exportedProfileByNamespaceCounter"] == {
        name.removeprefix("namespace:"): count
        for name, count in wanted.counters.items()
        if name.startswith("namespace:")
    }


def test_stitching_joins_what_the_files_have_in_common(exported):
    """The sheet of the samples: 660 of 999 loyalty ids are customers of the CRM."""
    _, files = exported[IdentityGraph.PRIVATE]
    assert len(rows_of(files)) == 1000 + 999 - 660
    _, files = exported[IdentityGraph.NONE]
    assert len(rows_of(files)) == 1000 + 999


def test_maps_and_nested_fields_are_what_the_union_schema_says(exported):
    _, files = exported[IdentityGraph.PRIVATE]
    schema = pq.read_schema(files[0])
    assert pa.types.is_map(schema.field("identityMap").type)
    assert pa.types.is_map(schema.field("segmentMembership").type)
    assert pa.types.is_map(schema.field("segmentMembership").type.item_type)
    union = [field.name for field in union_of(PROFILE_CLASS)]
    assert schema.names == [*union, "timeSeriesEvents"]
    event = schema.field("timeSeriesEvents").type.value_type
    assert [field.name for field in event] == [field.name for field in union_of(EVENT_CLASS)]


def test_every_reader_of_the_field_opens_the_batch(exported):
    _, files = exported[IdentityGraph.PRIVATE]
    names = [str(file) for file in files]
    wanted = len(expected(IdentityGraph.PRIVATE).rows)
    assert pl.read_parquet(names).height == wanted
    assert len(pd.concat(pd.read_parquet(name) for name in names)) == wanted
    (counted,) = (
        duckdb.read_parquet(names)
        .aggregate(
            "count(*), count(DISTINCT person.name.lastName), sum(len(timeSeriesEvents)),"
            " sum(len(identityMap['lumaCrmId']))"
        )
        .fetchall()
    )
    assert counted[0] == wanted
    assert counted[1] > 100
    events = expected(IdentityGraph.PRIVATE).counters["events"]
    assert counted[2] == events
