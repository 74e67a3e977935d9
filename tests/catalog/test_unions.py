"""Unions: what can be one profile, and which changes keep old rows fitting."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from catalog.errors import Conflict
from catalog.schemas import (
    CLASS_FIELDS,
    EVENT_CLASS,
    PROFILE_CLASS,
    Field,
    Kind,
    Schema,
    SchemaId,
    field_at,
    leaves,
    tenant_id,
)
from catalog.unions import Union, breaking_changes, union


def an_object(name: str, *fields: Field) -> Field:
    return Field(name, Kind.OBJECT, fields=fields)


def a_list(name: str, element: Field) -> Field:
    return Field(name, Kind.ARRAY, element=element)


def a_schema(title: str, *fields: Field, class_id: str = PROFILE_CLASS) -> Schema:
    now = datetime(2024, 1, 1, tzinfo=UTC)
    return Schema(
        id=SchemaId(f"https://ns.adobe.com/t/schemas/{title}"),
        alt_id=f"_t.schemas.{title}",
        class_id=class_id,
        title=title,
        document={},
        fields=(*CLASS_FIELDS[class_id], *fields),
        is_union=True,
        version=1,
        created_by="amy",
        created_at=now,
        updated_at=now,
        is_event=class_id == EVENT_CLASS,
    )


def kinds(*fields: Kind) -> Kind:
    """The kind one field has in the union of schemas that give it these kinds."""
    schemas = [a_schema(str(n), Field("a", kind)) for n, kind in enumerate(fields)]
    found = field_at(union(PROFILE_CLASS, schemas), ("a",))
    assert found
    return found.kind


def test_without_schemas_a_union_has_the_fields_of_its_class():
    assert union(PROFILE_CLASS, []) == CLASS_FIELDS[PROFILE_CLASS]
    assert union(EVENT_CLASS, []) == CLASS_FIELDS[EVENT_CLASS]


def test_a_union_has_the_leaves_of_every_schema():
    crm = a_schema("crm", an_object("person", Field("name", Kind.STRING)))
    web = a_schema("web", an_object("person", Field("age", Kind.LONG)), Field("x", Kind.DATE))
    paths = [".".join(path) for path, _ in leaves(union(PROFILE_CLASS, [crm, web]))]
    assert paths == ["_id", "identityMap", "segmentMembership", "person.name", "person.age", "x"]


def test_integers_widen_without_losing_a_digit():
    assert kinds(Kind.INTEGER, Kind.LONG) is Kind.LONG
    assert kinds(Kind.LONG, Kind.INTEGER) is Kind.LONG
    assert kinds(Kind.INTEGER, Kind.DOUBLE) is Kind.DOUBLE
    assert kinds(Kind.DOUBLE, Kind.INTEGER, Kind.DOUBLE) is Kind.DOUBLE


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Kind.LONG, Kind.DOUBLE),
        (Kind.STRING, Kind.LONG),
        (Kind.DATE, Kind.TIMESTAMP),
        (Kind.BOOLEAN, Kind.STRING),
    ],
)
def test_kinds_that_one_column_cannot_hold_are_refused(one: Kind, other: Kind):
    with pytest.raises(Conflict, match=f"field a .*{other}.*{one}"):
        kinds(one, other)


def test_a_refusal_names_the_path_and_both_schemas():
    first = a_schema("first", an_object("a", Field("b", Kind.INTEGER)))
    second = a_schema("second", an_object("a", Field("b", Kind.LONG)))
    third = a_schema("third", an_object("a", Field("b", Kind.DOUBLE)))
    with pytest.raises(Conflict) as refused:
        union(PROFILE_CLASS, [first, second, third])
    assert "field a.b" in str(refused.value)
    assert "'third'" in str(refused.value)
    assert "'second'" in str(refused.value)
    assert "'first'" not in str(refused.value)


def test_a_schema_that_contradicts_its_class_is_refused():
    schema = a_schema("odd", Field("eventType", Kind.LONG), class_id=EVENT_CLASS)
    with pytest.raises(Conflict, match="the class itself says it is string"):
        union(EVENT_CLASS, [schema])


def test_what_arrays_hold_is_combined_too():
    short = a_schema("web", a_list("items", an_object("element", Field("sku", Kind.STRING))))
    long = a_schema(
        "shop",
        a_list(
            "items",
            an_object("element", Field("sku", Kind.STRING), Field("quantity", Kind.LONG)),
        ),
    )
    found = field_at(union(PROFILE_CLASS, [short, long]), ("items",))
    assert found
    assert found.element
    assert [field.name for field in found.element.fields] == ["sku", "quantity"]


def test_only_what_the_class_requires_is_required_of_a_union():
    schema = a_schema("shop", Field("total", Kind.DOUBLE, is_required=True), class_id=EVENT_CLASS)
    fields = union(EVENT_CLASS, [schema])
    assert [field.name for field in fields if field.is_required] == ["timestamp"]


def test_a_profile_ends_with_its_events():
    both = Union(profile_fields=union(PROFILE_CLASS, []), event_fields=union(EVENT_CLASS, []))
    *attributes, events = both.of_class(PROFILE_CLASS)
    assert tuple(attributes) == both.profile_fields
    assert events.name == "timeSeriesEvents"
    assert events.element
    assert events.element.fields == both.event_fields
    assert both.of_class(EVENT_CLASS) == both.event_fields


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (Field("a", Kind.STRING), None, "field a is gone"),
        (Field("a", Kind.STRING), Field("a", Kind.LONG), "was string and is long"),
        (Field("a", Kind.LONG), Field("a", Kind.INTEGER), "was long and is integer"),
        (Field("a", Kind.STRING), Field("a", Kind.STRING, is_required=True), "was not required"),
        (None, Field("a", Kind.STRING, is_required=True), "was not required"),
        (
            an_object("a", Field("b", Kind.STRING)),
            an_object("a", Field("c", Kind.STRING)),
            "field a.b is gone",
        ),
        (
            a_list("a", Field("element", Kind.STRING)),
            a_list("a", Field("element", Kind.DATE)),
            "field a.element was string",
        ),
    ],
)
def test_changes_that_break_rows_are_told(old: Field | None, new: Field | None, said: str):
    (problem, *_) = breaking_changes((old,) if old else (), (new,) if new else ())
    assert said in problem


def test_new_fields_wider_fields_and_dropped_requirements_break_nothing():
    old = (Field("a", Kind.INTEGER, is_required=True), an_object("b", Field("c", Kind.STRING)))
    new = (
        an_object("b", Field("d", Kind.DATE), Field("c", Kind.STRING)),
        Field("a", Kind.LONG),
        Field("e", Kind.STRING),
    )
    assert list(breaking_changes(old, new)) == []


def test_a_tenant_is_named_after_its_organisation_for_good():
    assert tenant_id("A@AdobeOrg") == tenant_id("A@AdobeOrg")
    assert tenant_id("A@AdobeOrg") != tenant_id("B@AdobeOrg")
    assert tenant_id("A@AdobeOrg").isalnum()
