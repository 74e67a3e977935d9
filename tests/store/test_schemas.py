"""Schemas as PostgreSQL keeps them, and what jobs pin of them."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.datasets import DatasetDraft, DatasetId
from catalog.errors import Conflict, NotFound
from catalog.identities import IdType, NamespaceDraft
from catalog.organisations import Scope
from catalog.schemas import (
    CLASS_FIELDS,
    EVENT_CLASS,
    PROFILE_CLASS,
    PROFILE_UNION,
    IdentityDescriptor,
    Kind,
    Schema,
    SchemaId,
    field_at,
)
from catalog.store.database import Connection
from catalog.store.datasets import DatasetStore
from catalog.store.descriptors import DescriptorStore
from catalog.store.namespaces import NamespaceStore
from catalog.store.schemas import SchemaStore

STRING = {"type": "string"}
NUMBER = {"type": "number"}


async def a_schema(
    db: Connection, scope: Scope, *, of: str = PROFILE_CLASS, is_union: bool = True, **own: Any
) -> Schema:
    document = {
        "title": f"A schema of {', '.join(own)}",
        "allOf": [{"$ref": of}, {"type": "object", "properties": own}],
        "meta:immutableTags": ["union"] if is_union else [],
    }
    return await SchemaStore(db).add(scope, document, actor="amy")


async def a_dataset(db: Connection, scope: Scope, schema_id: SchemaId) -> DatasetId:
    id = DatasetId("0123456789abcdef01234567")
    draft = DatasetDraft(name="x", schema_id=schema_id, schema_content_type="application/json")
    return (await DatasetStore(db).add(scope, id, draft, actor="amy")).id


async def test_a_schema_is_found_by_both_ids_and_reads_back_equal(db: Connection, scope: Scope):
    made = await a_schema(db, scope, a=STRING)
    assert await SchemaStore(db).find(scope, made.id) == made
    assert await SchemaStore(db).find(scope, made.alt_id) == made
    assert field_at(made.fields, ("a",))


async def test_a_schema_is_not_found_from_another_sandbox(
    db: Connection, scope: Scope, foreign_scope: Scope
):
    made = await a_schema(db, scope, a=STRING)
    for find in (SchemaStore(db).find, SchemaStore(db).lock):
        with pytest.raises(NotFound):
            await find(foreign_scope, made.id)
    with pytest.raises(NotFound):
        await SchemaStore(db).revise(foreign_scope, made.id, made.document)
    assert await SchemaStore(db).all(foreign_scope) == ()


async def test_the_union_is_of_the_sandbox_and_of_what_is_tagged(
    db: Connection, scope: Scope, foreign_scope: Scope
):
    await a_schema(db, scope, a={"type": "integer", "meta:xdmType": "int"})
    await a_schema(db, scope, a={"type": "integer"}, b=STRING)
    await a_schema(db, scope, is_union=False, hidden=STRING)
    await a_schema(db, scope, of=EVENT_CLASS, e=STRING)
    await a_schema(db, foreign_scope, theirs=STRING)
    union = await SchemaStore(db).union(scope)
    own = {field.name: field.kind for field in union.profile_fields[3:]}
    assert own == {"a": Kind.LONG, "b": Kind.STRING}
    assert [field.name for field in union.event_fields[5:]] == ["e"]


async def test_a_union_without_schemas_has_the_fields_of_the_classes(db: Connection, scope: Scope):
    union = await SchemaStore(db).union(scope)
    assert union.profile_fields == CLASS_FIELDS[PROFILE_CLASS]
    assert union.event_fields == CLASS_FIELDS[EVENT_CLASS]


async def test_of_two_schemas_that_disagree_the_later_is_refused_and_leaves_nothing(
    db: Connection, scope: Scope
):
    await a_schema(db, scope, a=STRING)
    with pytest.raises(Conflict, match="field a"):
        async with db.transaction():
            await a_schema(db, scope, a=NUMBER)
    assert len(await SchemaStore(db).all(scope)) == 1


async def test_the_shape_of_rows_is_all_a_promotion_needs(db: Connection, scope: Scope):
    schema = await a_schema(db, scope, of=EVENT_CLASS, crm=STRING, mail=STRING)
    descriptors = DescriptorStore(db)
    identities = [
        IdentityDescriptor(path=("mail",), namespace="Email", is_primary=False),
        IdentityDescriptor(path=("crm",), namespace="crmId", is_primary=True),
    ]
    for identity in identities:
        await descriptors.add(scope, schema.id, identity, document={})
    store = NamespaceDraft(code="Store", name="Store", id_type=IdType.NON_PEOPLE)
    await NamespaceStore(db).register(scope, store)
    shape = await SchemaStore(db).row_shape(scope, await a_dataset(db, scope, schema.id))
    assert shape.fields == schema.fields
    assert shape.is_event
    assert shape.identities == tuple(identities)
    assert shape.unlinked_namespaces == ("store",)


async def test_a_data_set_on_the_union_has_rows_of_the_union(db: Connection, scope: Scope):
    await a_schema(db, scope, a=STRING)
    dataset_id = await a_dataset(db, scope, PROFILE_UNION)
    shape = await SchemaStore(db).row_shape(scope, dataset_id)
    assert shape.fields == (await SchemaStore(db).union(scope)).profile_fields
    assert not shape.is_event


async def test_the_shape_of_foreign_rows_is_not_told(
    db: Connection, scope: Scope, foreign_scope: Scope
):
    schema = await a_schema(db, scope, a=STRING)
    dataset_id = await a_dataset(db, scope, schema.id)
    with pytest.raises(NotFound):
        await SchemaStore(db).row_shape(foreign_scope, dataset_id)
