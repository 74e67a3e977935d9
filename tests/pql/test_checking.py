"""Rules against fields: what fits, what does not and where, and what is needed to evaluate it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import InvalidRule
from catalog.pql.checking import Checked, check
from catalog.pql.reading import read
from catalog.pql.writing import write
from catalog.schemas import CLASS_FIELDS, EVENT_CLASS, PROFILE_CLASS, Field, Kind
from tests.pql.made_schemas import schemas
from tests.pql.rules import rules


def an_object(name: str, *fields: Field) -> Field:
    return Field(name, Kind.OBJECT, fields=fields)


def a_list(name: str, element: Field) -> Field:
    return Field(name, Kind.ARRAY, element=element)


ITEM = an_object("", Field("SKU", Kind.STRING), Field("priceTotal", Kind.DOUBLE))
ORDER = an_object(
    "", Field("storeId", Kind.STRING), Field("price", Kind.DOUBLE), a_list("lines", ITEM)
)
PROFILE = (
    *CLASS_FIELDS[PROFILE_CLASS],
    an_object(
        "person",
        an_object("name", Field("firstName", Kind.STRING), Field("lastName", Kind.STRING)),
        Field("gender", Kind.STRING),
        Field("birthDate", Kind.DATE),
        Field("birthYear", Kind.INTEGER),
    ),
    Field("isVip", Kind.BOOLEAN),
    Field("points", Kind.LONG),
    Field("score", Kind.DOUBLE),
    Field("since", Kind.TIMESTAMP),
    a_list("colors", Field("", Kind.STRING)),
    a_list("orders", ORDER),
    Field("tags", Kind.MAP, element=Field("", Kind.STRING)),
)
EVENT = (
    *CLASS_FIELDS[EVENT_CLASS],
    an_object("commerce", an_object("order", Field("priceTotal", Kind.DOUBLE))),
    a_list("productListItems", ITEM),
)


def checked(text: str) -> Checked:
    return check(read(text), PROFILE, EVENT, text=text)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_rules_that_fit_are_checked_and_read_back_as_they_were_checked(data: st.DataObject):
    fields = data.draw(schemas())
    found = check(data.draw(rules(*fields)), *fields)
    assert read(write(found.node)) == found.node
    assert check(found.node, *fields) == found


@pytest.mark.parametrize(
    "text",
    [
        'person.gender = "female" and isVip',
        "points > 3 and score > points and points / 2 = 1.5",
        "since > person.birthDate and since occurs last week",
        "person.birthDate.getMonth() = currentMonth()",
        'colors.intersects(["red"]) or colors.includes("red") or "red" in colors',
        "orders.storeId.distinct().count() > 1",
        'identityMap.get("email").count() > 0 and identityMap.keys().includes("crm")',
        'exists I from identityMap.get("email") where I.primary and I.id.endsWith(".com")',
        'segmentMembership.get("ups").get("s").status = "realized"',
        'segmentMembership.get("ups").get("s").lastQualificationTime occurs before today',
        'tags.get("a") = tags.get("b")',
        "if(isVip, points, score) > 3",
        "let S = xEvent.sum(commerce.order.priceTotal) in S > 100",
        "xEvent.timestamp.max() > since",
        "orders.topN(price, 2).head().price > 1",
        "person.name.isNull()",
        'person.name.firstName.regexGroup("(a)(b)", 2) = "b"',
        "orders.groupBy(storeId).count() > 1",
        "true",
    ],
)
def test_a_rule_fits(text: str):
    assert read(write(checked(text).node)) == checked(text).node


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("person.gendr = 1", 8, "there is no field gendr in person: did you mean gender?"),
        ("persn.gender = 1", 1, "there is no field persn in profiles: did you mean person?"),
        ("gender = 1", 1, "there is no field gender in profiles: did you mean person.gender?"),
        (
            "eventType = 'a'",
            1,
            (
                "there is no field eventType in profiles: it is one of events, as in exists E from"
                " xEvent where E.eventType …"
            ),
        ),
        (
            "exists E from xEvent where E.eventTyp = 'a'",
            30,
            "there is no field eventTyp in events: did you mean eventType?",
        ),
        ("person.gender.x = 1", 15, "a text has no field x"),
        (
            "tags.color = 'red'",
            6,
            'expected a function, but found .color: a map has .get("color")',
        ),
        ("points", 1, "expected a condition, but this is a whole number"),
        ("isVip and person.name", 18, "expected a condition, but this is an object"),
        ("not colors", 5, "expected a condition, but this is a list of texts"),
        (
            'since > "2020-01-01"',
            9,
            (
                "an instant and a text do not compare: write date(2020, 3, 14) or"
                ' timestamp("2020-03-14T15:09:26Z")'
            ),
        ),
        (
            'points = "3"',
            10,
            "a whole number and a text do not compare: write a number without quotes",
        ),
        ("points = isVip", 10, "a whole number and true or false do not compare"),
        (
            "person.gender = null",
            17,
            "nothing is equal to null: say .isNull() or .isNotNull()",
        ),
        ("isVip < true", 1, "expected = or != of true or false: it is neither more nor less"),
        (
            "colors = 'red'",
            10,
            "a list of texts and a text do not compare: a list .includes() its elements",
        ),
        ("person = person", 10, "an object and an object do not compare"),
        ("points + isVip > 1", 10, "expected a number, but this is true or false"),
        ("points.contains('3')", 1, "expected a text, but this is a whole number"),
        ("points occurs last week", 1, "expected a date or an instant, but this is a whole number"),
        ("colors.sum() > 1", 8, "expected a number, but this is a text"),
        ("exists X from points where X > 1", 15, "expected a list, but this is a whole number"),
        (
            "orders.distinct().count() > 1",
            1,
            "an object is not equal to any other: name a field of it",
        ),
        (
            "points in [1, 'a']",
            15,
            "a whole number and a text do not compare: write a number without quotes",
        ),
        (
            "points in ['a']",
            1,
            "a text and a whole number do not compare: write a number without quotes",
        ),
        ("points.get('a') = 1", 1, "expected a map, but this is a whole number"),
        ("person.gender.matches('(a')", 23, "this is no regular expression: a ( has no )"),
        (
            "person.gender.matches('(?=a)')",
            23,
            "this is no regular expression: RE2 knows no (?=a: it does not look around",
        ),
        (
            "person.gender.regexGroup('a', 1) = 'a'",
            31,
            "the expression has 0 groups, and 0 is all of it",
        ),
        (
            "since.shiftedBy(1.5, 'day') > now",
            17,
            "expected a whole number of units, but this is a double",
        ),
    ],
)
def test_a_rule_that_does_not_fit_is_refused_where_it_does_not(
    text: str, column: int, problem: str
):
    with pytest.raises(InvalidRule) as refused:
        checked(text)
    assert (refused.value.line, refused.value.column) == (1, column)
    assert refused.value.problem == problem


def test_the_place_counts_lines():
    with pytest.raises(InvalidRule, match="line 2, column 13: there is no field gendr"):
        checked("isVip // a comment\n and person.gendr = 'a'")


def test_a_rule_needs_the_leaves_it_names_and_all_beneath_an_object():
    found = checked("person.name.isNull() or exists E from xEvent where E.commerce.isNull()")
    assert found.profile_paths == {
        ("person", "name", "firstName"),
        ("person", "name", "lastName"),
    }
    assert found.event_paths == {("commerce", "order", "priceTotal")}
    assert found.needs_events


def test_lists_and_maps_are_needed_whole():
    found = checked('orders.topN(price, 1).head().price > 1 and tags.get("a") = "b"')
    assert found.profile_paths == {("orders",), ("tags",)}
    assert not found.needs_events


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("xEvent.count() > 1", set()),
        ("xEvent.topN(timestamp, 1).head().eventType = 'a'", {("timestamp",), ("eventType",)}),
        ("xEvent.commerce.order.priceTotal.sum() > 1", {("commerce", "order", "priceTotal")}),
        ("xEvent.groupBy(eventType).map((G) => G.count()).max() > 1", {("eventType",)}),
    ],
)
def test_events_are_followed_however_they_are_come_by(text: str, paths: set):
    found = checked(text)
    assert found.event_paths == paths
    assert found.needs_events


@pytest.mark.parametrize(
    ("text", "is_chained"),
    [
        ("exists A from xEvent, B from xEvent where B.timestamp > A.timestamp", True),
        ("exists A from xEvent where xEvent[timestamp > A.timestamp].count() > 1", True),
        ("exists A from xEvent, I from A.productListItems where I.SKU = 'a'", False),
        ("xEvent.count() > 1 and exists A from xEvent where A.eventType = 'a'", False),
    ],
)
def test_a_rule_that_looks_from_event_to_event_is_chained(text: str, is_chained: bool):  # noqa: FBT001
    assert checked(text).is_chained is is_chained
