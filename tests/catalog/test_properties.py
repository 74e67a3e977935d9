"""Keys of properties: what they are of, and what asks for them."""

from __future__ import annotations

import pytest

from catalog.errors import InvalidField
from catalog.properties import PropertyKind, ValueType, kind_of, sought, value_type_of
from catalog.schemas import IDENTITY_MAP, Field, Kind


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("usr_gender", PropertyKind.USER),
        ("usr_$basic_name", PropertyKind.USER),
        ("tag_rfm", PropertyKind.TAG),
        ("$basic_userId", PropertyKind.IDENTITY),
        ("tag_" + "a" * 96, PropertyKind.TAG),
    ],
)
def test_a_key_says_what_it_is_of(key: str, kind: PropertyKind):
    assert kind_of(key) is kind


@pytest.mark.parametrize(
    "key",
    [
        *("", "gender", "usr_", "tag_", "$", "usr_1", "tag_a-b", "usr_性别", "$$a"),
        *("id_$basic_userId", "ids_$basic_userId", "seg_a", "usr_a b", "tag_" + "a" * 97),
    ],
)
def test_what_can_be_no_key_is_refused(key: str):
    with pytest.raises(InvalidField):
        kind_of(key)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("id_$basic_userId", ("$basic_userId", False)),
        ("ids_$basic_userId", ("$basic_userId", True)),
        ("usr_gender", ("usr_gender", False)),
        ("id_card", ("id_card", False)),
    ],
)
def test_an_identity_is_asked_for_in_two_ways(asked: str, found: tuple[str, bool]):
    assert sought(asked) == found


@pytest.mark.parametrize(
    ("field", "held"),
    [
        (Field("a", Kind.STRING), (ValueType.STRING, False)),
        (Field("a", Kind.BOOLEAN), (ValueType.STRING, False)),
        (Field("a", Kind.LONG), (ValueType.INT, False)),
        (Field("a", Kind.DOUBLE), (ValueType.DOUBLE, False)),
        (Field("a", Kind.TIMESTAMP), (ValueType.DATE, False)),
        (Field("a", Kind.ARRAY, element=Field("", Kind.INTEGER)), (ValueType.INT, True)),
    ],
)
def test_a_leaf_says_what_a_property_holds(field: Field, held: tuple[ValueType, bool]):
    assert value_type_of(field, ("a",)) == held


@pytest.mark.parametrize(
    "field",
    [
        None,
        IDENTITY_MAP,
        Field("a", Kind.OBJECT, fields=(Field("b", Kind.STRING),)),
        Field("a", Kind.MAP, element=Field("", Kind.STRING)),
        Field("a", Kind.ARRAY, element=Field("", Kind.OBJECT)),
        Field("a", Kind.ARRAY, element=Field("", Kind.ARRAY, element=Field("", Kind.STRING))),
    ],
)
def test_what_is_no_leaf_is_refused(field: Field | None):
    with pytest.raises(InvalidField):
        value_type_of(field, ("a",))
