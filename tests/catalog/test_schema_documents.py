"""Schema documents: what they say of a row, and what they may not say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import InvalidField
from catalog.field_documents import described
from catalog.schema_documents import (
    all_references,
    class_of,
    fields_of,
    fields_of_part,
    is_of_events,
    is_union,
    title_of,
)
from catalog.schemas import (
    CLASS_FIELDS,
    EVENT_CLASS,
    IDENTITY_MAP,
    PROFILE_CLASS,
    SEGMENT_MEMBERSHIP,
    Field,
    Kind,
    field_at,
    leaves,
)
from catalog.standard_schemas import ADHOC, RECORD, STANDARD, TIME_SERIES

STRING = {"type": "string"}


def a_document(*parts: dict[str, Any], of: str = PROFILE_CLASS, **more: Any) -> dict[str, Any]:
    return {"title": "A schema", "allOf": [{"$ref": of}, *parts], **more}


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def own_fields(document: dict[str, Any]) -> tuple[Field, ...]:
    """The fields a document adds to those of its class."""
    of_class = {field.name for field in CLASS_FIELDS[class_of(document)]}
    return tuple(field for field in fields_of(document) if field.name not in of_class)


def kind_of(schema: dict[str, Any]) -> Kind:
    (field,) = own_fields(a_document(an_object(a=schema)))
    return field.kind


def refusal_of(document: dict[str, Any]) -> InvalidField:
    with pytest.raises(InvalidField) as refused:
        fields_of(document)
    return refused.value


def test_a_profile_schema_begins_with_the_fields_of_its_class():
    assert fields_of(a_document()) == (
        Field("_id", Kind.STRING),
        IDENTITY_MAP,
        SEGMENT_MEMBERSHIP,
    )


def test_an_event_schema_requires_a_timestamp():
    fields = fields_of(a_document(of=EVENT_CLASS))
    assert field_at(fields, ("timestamp",)) == Field("timestamp", Kind.TIMESTAMP, is_required=True)
    assert {field.name for field in fields} == {
        "_id",
        "timestamp",
        "eventType",
        "producedBy",
        "identityMap",
    }


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string"}, Kind.STRING),
        ({"type": "string", "format": "email"}, Kind.STRING),
        ({"type": "string", "format": "date"}, Kind.DATE),
        ({"type": "string", "format": "date-time"}, Kind.TIMESTAMP),
        ({"type": "string", "meta:xdmType": "date"}, Kind.DATE),
        ({"type": "string", "meta:xdmType": "date-time"}, Kind.TIMESTAMP),
        ({"type": "number"}, Kind.DOUBLE),
        ({"type": "boolean"}, Kind.BOOLEAN),
        ({"type": "integer"}, Kind.LONG),
        ({"type": "integer", "minimum": 0, "maximum": 9}, Kind.LONG),
        ({"type": "integer", "meta:xdmType": "long"}, Kind.LONG),
        ({"type": "integer", "meta:xdmType": "int"}, Kind.INTEGER),
        ({"type": "integer", "meta:xdmType": "short"}, Kind.INTEGER),
        ({"type": "integer", "xdm:type": "byte"}, Kind.INTEGER),
        ({"meta:xdmType": "int"}, Kind.INTEGER),
        ({"type": ["string", "null"]}, Kind.STRING),
        ({"properties": {"b": STRING}}, Kind.OBJECT),
        ({"type": "array", "items": STRING}, Kind.ARRAY),
        ({"type": "object", "additionalProperties": STRING}, Kind.MAP),
        ({"meta:xdmType": "map", "additionalProperties": {"type": "integer"}}, Kind.MAP),
    ],
)
def test_types_and_hints_give_a_field_its_kind(schema: dict[str, Any], kind: Kind):
    assert kind_of(schema) == kind


def test_objects_nest_to_any_depth_and_keep_their_order():
    document = a_document(
        an_object(_luma=an_object(ids=an_object(crm=STRING, loyalty=STRING)), person=STRING)
    )
    assert [".".join(path) for path, _ in leaves(own_fields(document))] == [
        "_luma.ids.crm",
        "_luma.ids.loyalty",
        "person",
    ]


def test_several_parts_describe_one_object_together():
    document = a_document(
        an_object(person=an_object(name=STRING)),
        {"properties": {"person": an_object(age={"type": "integer"})}},
        properties={"person": an_object(born={"type": "string", "format": "date"})},
    )
    (person,) = own_fields(document)
    assert {field.name for field in person.fields} == {"name", "age", "born"}


def test_a_schema_refers_to_its_own_definitions():
    document = a_document(
        {"$ref": "#/definitions/own/part"},
        definitions={
            "own": {"part": an_object(a={"$ref": "#/definitions/leaf~1x"})},
            "leaf/x": {"type": "integer"},
        },
    )
    assert own_fields(document) == (Field("a", Kind.LONG),)


def test_what_is_required_is_required_wherever_it_is_said():
    document = a_document(
        an_object(a=STRING, b={**an_object(c=STRING), "required": ["c"]}),
        required=["a", "identityMap"],
    )
    fields = fields_of(document)
    required = {path: field.is_required for path, field in leaves(fields)}
    assert required[("a",)]
    assert required[("b", "c")]
    assert required[("identityMap",)]
    assert not required[("_id",)]


def test_the_maps_the_service_understands_keep_their_kind_when_described_inline():
    (_, identities, memberships) = fields_of(
        a_document(an_object(identityMap={"type": "object"}, segmentMembership={}))
    )
    assert identities == IDENTITY_MAP
    assert memberships == SEGMENT_MEMBERSHIP


def test_arrays_hold_objects_and_maps_hold_arrays():
    document = a_document(
        an_object(
            items={"type": "array", "items": an_object(sku=STRING)},
            lists={
                "type": "object",
                "additionalProperties": {"type": "array", "items": {"type": "number"}},
            },
        )
    )
    items, lists = own_fields(document)
    assert items.element
    assert items.element.fields == (Field("sku", Kind.STRING),)
    assert lists.element
    assert lists.element.element
    assert lists.element.element.kind is Kind.DOUBLE


@pytest.mark.parametrize(
    ("parts", "named", "said"),
    [
        ([an_object(a={})], "a", "needs a type"),
        ([an_object(a=5)], "a", "not a number"),
        ([an_object(a={"type": "text"})], "a", "'text' is unknown"),
        ([an_object(a={"type": ["string", "integer"]})], "a", "an array is unknown"),
        ([an_object(a={"type": "string", "meta:xdmType": "int"})], "a", "does not go with"),
        ([an_object(a={"type": "string", "meta:xdmType": ["int"]})], "a", "is unknown"),
        ([an_object(a={"type": "string", "meta:xdmType": "uuid"})], "a", "is unknown"),
        ([an_object(a={"type": "object"})], "a", "needs properties"),
        ([an_object(a={"type": "array"})], "a", "needs items"),
        ([an_object(a={"meta:xdmType": "map"})], "a", "needs additionalProperties"),
        ([an_object(a=STRING), an_object(a={"type": "number"})], "a", "string and double"),
        ([an_object(**{"a.b": STRING})], "a.b", "neither a dot"),
        ([an_object(a=an_object(**{"b/c": STRING}))], "a.b/c", "nor a slash"),
        ([an_object(**{" ": STRING})], " ", "needs a name"),
        ([an_object(_key_hi=STRING)], "_key_hi", "the service's own"),
        ([an_object(timeSeriesEvents=STRING)], "timeSeriesEvents", "the service's own"),
        ([{"required": ["a"]}], "schema", "requires a, which no property describes"),
        ([{"required": "a"}], "schema", "required must be an array"),
        ([{"properties": []}], "schema", "properties must be an object"),
        ([{"allOf": {}}], "schema", "allOf must be an array"),
        ([{"allOf": [1]}], "schema", "allOf holds objects"),
        ([{"$ref": "#/definitions/x"}], "schema", "leads nowhere"),
        ([{"$ref": 5}], "schema", "nothing is known"),
        (
            [{"$ref": "https://ns.adobe.com/xdm/context/profile-of-nobody"}],
            "schema",
            "profile-of-nobody",
        ),
        ([an_object(a={"$ref": PROFILE_CLASS})], "a", "nothing is known"),
    ],
)
def test_a_refusal_names_the_place_and_the_reason(parts: list[Any], named: str, said: str):
    refused = refusal_of(a_document(*parts))
    assert refused.field == named
    assert said in str(refused)


def test_an_unknown_reference_is_refused_with_what_to_do():
    message = str(refusal_of(a_document({"$ref": "https://ns.adobe.com/xdm/x"})))
    assert "https://ns.adobe.com/xdm/x" in message
    assert "register the field group or data type first" in message


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"allOf": []},
        {"allOf": "x"},
        {"allOf": [{"$ref": "https://ns.adobe.com/xdm/context/account"}]},
        {"allOf": [{"$ref": PROFILE_CLASS}, {"$ref": EVENT_CLASS}]},
    ],
)
def test_a_schema_is_of_exactly_one_class(document: dict[str, Any]):
    with pytest.raises(InvalidField, match="allOf"):
        class_of(document)


@pytest.mark.parametrize(
    "definitions",
    [
        {"a": an_object(b={"$ref": "#/definitions/a"})},
        {"a": {"$ref": "#/definitions/a"}},
        {"a": {"allOf": [{"$ref": "#/definitions/a"}, {"$ref": "#/definitions/a"}]}},
        {"a": {"allOf": [{"$ref": "#/definitions/a"}] * 5000}},
    ],
)
def test_a_schema_that_contains_itself_is_refused_soon(definitions: dict[str, Any]):
    refused = refusal_of(a_document({"$ref": "#/definitions/a"}, definitions=definitions))
    assert "itself" in str(refused)


def test_definitions_that_multiply_are_refused_before_they_fill_the_memory():
    definitions: dict[str, Any] = {"d0": STRING}
    for level in range(1, 20):
        ref = {"$ref": f"#/definitions/d{level - 1}"}
        definitions[f"d{level}"] = an_object(**{f"f{n}": ref for n in range(10)})
    refused = refusal_of(
        a_document(an_object(a={"$ref": "#/definitions/d19"}), definitions=definitions)
    )
    assert "at most 10,000 fields" in str(refused)


@pytest.mark.parametrize("tags", [["delete"], "union", [["union"]], [1]])
def test_the_only_immutable_tag_is_union(tags: Any):
    assert is_union({"meta:immutableTags": ["union"]})
    assert not is_union({})
    with pytest.raises(InvalidField, match="immutableTags"):
        is_union({"meta:immutableTags": tags})


@pytest.mark.parametrize("title", [None, "", "  ", 5])
def test_a_schema_needs_a_title(title: Any):
    with pytest.raises(InvalidField, match="title"):
        title_of({"title": title})


names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
scalars = st.sampled_from(
    [
        Kind.STRING,
        Kind.BOOLEAN,
        Kind.INTEGER,
        Kind.LONG,
        Kind.DOUBLE,
        Kind.DATE,
        Kind.TIMESTAMP,
    ]
)


def fields_beneath(deeper: st.SearchStrategy[Field]) -> st.SearchStrategy[Field]:
    objects = st.builds(
        lambda name, fields: Field(name, Kind.OBJECT, fields=tuple(fields)),
        names,
        st.lists(deeper, min_size=1, max_size=4, unique_by=lambda field: field.name),
    )
    holders = st.builds(
        lambda name, kind, held: Field(
            name,
            kind,
            element=Field("element", held.kind, fields=held.fields, element=held.element),
        ),
        names,
        st.sampled_from([Kind.ARRAY, Kind.MAP]),
        deeper,
    )
    return objects | holders


any_field = st.recursive(
    st.builds(Field, names, scalars, is_required=st.booleans()), fields_beneath, max_leaves=12
)


@given(st.lists(any_field, max_size=6, unique_by=lambda field: field.name))
def test_fields_are_read_back_from_their_description(fields: list[Field]):
    assert own_fields(a_document(described(fields))) == tuple(fields)


def a_part(id: str, kind: str, **said: Any) -> dict[str, dict[str, Any]]:
    return {id: {"$id": id, "meta:resourceType": kind, **said}}


def test_references_lead_into_other_documents_and_there_into_their_own_places():
    text = {"type": "string"}
    known = {
        **a_part("https://t/types/price", "datatypes", **an_object(amount={"type": "number"})),
        **a_part(
            "https://t/groups/shop",
            "fieldgroups",
            definitions={"own": an_object(price={"$ref": "https://t/types/price"}, code=text)},
            allOf=[{"$ref": "#/definitions/own"}],
        ),
    }
    document = {
        "title": "A schema",
        "allOf": [
            {"$ref": PROFILE_CLASS},
            {"$ref": "https://t/groups/shop"},
            an_object(last={"$ref": "https://t/groups/shop#/definitions/own/properties/code"}),
        ],
    }
    own = {field.name: field for field in fields_of(document, known)}
    assert own["price"].fields == (Field("amount", Kind.DOUBLE),)
    assert own["code"].kind is own["last"].kind is Kind.STRING
    assert all_references(document, known) == {PROFILE_CLASS, *known}


def test_parts_that_refer_to_each_other_end():
    known = {
        **a_part("https://t/a", "fieldgroups", allOf=[{"$ref": "https://t/b"}]),
        **a_part("https://t/b", "fieldgroups", allOf=[{"$ref": "https://t/a"}]),
    }
    with pytest.raises(InvalidField, match="refers to itself"):
        fields_of(a_document({"$ref": "https://t/a"}), known)
    assert all_references({"$ref": "https://t/a"}, known) == {"https://t/a", "https://t/b"}


def test_a_class_of_ones_own_is_built_on_a_behaviour():
    for behaviour, is_event in ((RECORD, False), (TIME_SERIES, True), (ADHOC, False)):
        known = {
            **STANDARD,
            **a_part(
                "https://t/classes/c",
                "classes",
                allOf=[{"$ref": behaviour}, an_object(sku={"type": "string"})],
            ),
        }
        document = a_document(an_object(price={"type": "number"}), of="https://t/classes/c")
        assert class_of(document, known) == "https://t/classes/c"
        assert is_of_events("https://t/classes/c", known) is is_event
        names = {field.name: field.is_required for field in fields_of(document, known)}
        assert names.items() >= {"sku": False, "price": False}.items()
        assert names.get("timestamp", False) is is_event
    assert is_of_events(EVENT_CLASS)
    assert not is_of_events(PROFILE_CLASS)


@pytest.mark.parametrize("id", STANDARD)
def test_every_standard_document_can_be_read(id: str):
    fields = fields_of_part(STANDARD[id])
    assert fields or id == ADHOC
    if STANDARD[id]["meta:resourceType"] == "fieldgroups":
        assert set(fields_of(a_document({"$ref": id}))) >= set(fields)
