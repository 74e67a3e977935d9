"""What every operator of the language says of profiles, null among what it is asked of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from catalog.pql.reading import read
from catalog.schemas import CLASS_FIELDS, EVENT_CLASS, PROFILE_CLASS, Field, Kind
from catalog.unions import Union
from service.engine.segments import chunks
from service.engine.segments.evaluation import qualifying
from tests.engine.segments.oracle.evaluation import meets
from tests.engine.segments.oracle.values import Object
from tests.engine.segments.slices import Slice

NOW = datetime(2026, 3, 18, 15, 9, 26, tzinfo=UTC)
ITEM = Field(
    "",
    Kind.OBJECT,
    fields=(Field("SKU", Kind.STRING), Field("price", Kind.DOUBLE), Field("many", Kind.LONG)),
)
PROFILE = (
    *CLASS_FIELDS[PROFILE_CLASS],
    Field("name", Kind.STRING),
    Field("other", Kind.STRING),
    Field("isVip", Kind.BOOLEAN),
    Field("points", Kind.LONG),
    Field("ratio", Kind.DOUBLE),
    Field("born", Kind.DATE),
    Field("seen", Kind.TIMESTAMP),
    Field("tags", Kind.ARRAY, element=Field("", Kind.STRING)),
    Field("owned", Kind.ARRAY, element=ITEM),
    Field("notes", Kind.MAP, element=Field("", Kind.STRING)),
    Field("home", Kind.OBJECT, fields=(Field("city", Kind.STRING),)),
)
EVENT = (
    *CLASS_FIELDS[EVENT_CLASS],
    Field("kind", Kind.STRING),
    Field("amount", Kind.DOUBLE),
    Field("productListItems", Kind.ARRAY, element=ITEM),
)
UNION = Union(profile_fields=PROFILE, event_fields=EVENT)


def a_person(*events, **values):
    """A profile with some values, and events oldest first."""
    return Object({field.name: values.get(field.name) for field in PROFILE}), list(events)


def an_event(days_ago=1, **values):
    values["timestamp"] = None if days_ago is None else NOW - timedelta(days=days_ago)
    return Object({field.name: values.get(field.name) for field in EVENT})


def an_item(sku=None, price=None, many=None):
    return Object(SKU=sku, price=price, many=many)


def found(rule, *people, has_words=False):
    """Tell which of some people meet a rule, having asked them one by one as well."""
    node = read(rule)
    rows = Slice(list(people), PROFILE, EVENT, has_words)
    (marks,) = qualifying([node], rows, UNION, NOW)
    assert marks.tolist() == [meets(node, *each, (PROFILE, EVENT), NOW) for each in people]
    return marks.tolist()


#: Somebody of whom much is known, and somebody of whom nothing is.
ANN = a_person(
    an_event(40, kind="view", amount=5.0, productListItems=[an_item("PS", 9.5, 1)]),
    an_event(3, kind="cart", amount=20.0, productListItems=[an_item("XB", 7.0, 2), None]),
    an_event(1, kind="order", amount=60.0, productListItems=[]),
    an_event(0.5, kind=None, amount=None),
    name="Ann",
    other="nn",
    isVip=True,
    points=7,
    ratio=2.5,
    born=datetime(1990, 2, 28, tzinfo=UTC).date(),
    seen=datetime(2026, 3, 10, 12, tzinfo=UTC),
    tags=["a", "b", None, "a"],
    owned=[an_item("PS", 3.0, 1), an_item("XB", None, 2), an_item("PS", 8.0, None)],
    notes={"size": "M", "colour": "red"},
    home=Object(city="Bern"),
    identityMap={"email": [Object(id="a@x.org", authenticatedState="ambiguous", primary=True)]},
    segmentMembership={"ups": {"s1": Object(lastQualificationTime=NOW, status="realized")}},
)
NOBODY = a_person()

#: Rules of which Ann meets the first of each two, and not the second; of nobody each is unknown
#: or false.
PAIRS = [
    ('name = "Ann"', 'name = "ann"'),
    ("points != 8", "points != 7"),
    ("points > 6.5", "points > 7"),
    ("points >= 7", "points >= 7.5"),
    ("ratio < 3", "ratio < 2.5"),
    ("ratio <= 2.5", "ratio <= 2"),
    ('$1.name = "Ann"', '$1.name = "Bob"'),
    ('(P) => P.name = "Ann" and P.points = 7', '(P) => P.name = "Ann" and P.points = 8'),
    ("isVip = true", "isVip = false"),
    ("points = 7 and ratio = 2.5", "points = 7 and ratio = 3"),
    ("points = 8 or ratio = 2.5", "points = 8 or ratio = 3"),
    ("!(points = 8)", "!(points = 7)"),
    ("if(isVip, points > 5, points > 50)", "if(points > 50, isVip, ratio > 5)"),
    ("points + 1 = 8", "points - 1 = 8"),
    ("points * 2 = 14", "points / 2 = 3"),
    ("points % 4 = 3", "points % 4 = 2"),
    ('name in ["Ann", "Bob"]', 'name in ["Bob"]'),
    ('name notIn ["Bob"]', 'name notIn ["Ann", "Bob"]'),
    ('tags.intersects(["b", "z"])', 'tags.intersects(["z"])'),
    ('tags.intersection(["b", "z"]) = ["b"]', 'tags.intersection(["b", "z"]) = ["z"]'),
    ('tags.subsetOf(["a", "b", "c"])', 'tags.subsetOf(["a"])'),
    ('tags.supersetOf(["a", "b"])', 'tags.supersetOf(["a", "z"])'),
    ('tags.includes("a")', 'tags.includes("z")'),
    ("tags.distinct().count() = 3", "tags.distinct().count() = 4"),
    ("owned.groupBy(SKU).count() = 2", "owned.groupBy(SKU).count() = 3"),
    ("owned.filter(price > 5).count() = 1", "owned.filter(price > 5).count() = 2"),
    ("owned[price > 5].count() = 1", "owned[price > 50].count() = 1"),
    ('owned.map(SKU) = ["PS", "XB", "PS"]', 'owned.map(SKU) = ["PS"]'),
    ("owned.topN(price, 1).head().price = 8", "owned.topN(price, 1).head().price = 3"),
    ("owned.bottomN(price, 2).sum(price) = 11", "owned.bottomN(price, 1).sum(price) = 11"),
    ('owned.head().SKU = "PS"', 'owned.head().SKU = "XB"'),
    ('exists E from xEvent where E.kind = "cart"', 'exists E from xEvent where E.kind = "gone"'),
    ('exists E from xEvent : E.kind = "cart"', 'exists E from xEvent : E.kind = "gone"'),
    (
        'exists E from xEvent where (E.amount > 4), I from E.productListItems where I.SKU = "PS"',
        'exists E from xEvent where (E.amount > 9), I from E.productListItems where I.SKU = "PS"',
    ),
    (
        (
            'exists A from xEvent where (A.kind = "cart"), B from xEvent where'
            ' (B.kind = "order" and B.timestamp occurs < 3 days after A.timestamp)'
        ),
        (
            'exists A from xEvent where (A.kind = "cart"), B from xEvent where'
            ' (B.kind = "order" and B.timestamp occurs < 1 days after A.timestamp)'
        ),
    ),
    (
        "(forall I from owned where I.price > 2) and isVip",
        "(forall I from owned where I.price > 3) and isVip",
    ),
    (
        "(select I from owned where I.price > 2).count() = 2",
        "(select I from owned where I.price > 5).count() = 2",
    ),
    ("xEvent.count() = 4", "xEvent.count() = 3"),
    ("xEvent.sum(amount) = 85", "xEvent.sum(amount) = 86"),
    ("xEvent.average(amount) > 28", "xEvent.average(amount) > 29"),
    ("xEvent.min(amount) = 5", "xEvent.min(amount) = 4"),
    ("xEvent.max(amount) = 60", "xEvent.max(amount) = 61"),
    ("(sum I.many over I from owned where I.many > 0) = 3", "owned.sum(many) = 4"),
    ("let S = points + 1 in (S = 8)", "let S = points + 1 in (S = 7)"),
    ('name like "A_%"', 'name like "_A%"'),
    ('name.startsWith("an", false)', 'name.startsWith("an")'),
    ('name.doesNotStartWith("an")', 'name.doesNotStartWith("an", false)'),
    ("name.endsWith(other)", 'name.endsWith("N")'),
    ('name.doesNotEndWith("x")', 'name.doesNotEndWith("nn")'),
    ("name.contains(other)", "other.contains(name)"),
    ('name.doesNotContain("z")', 'name.doesNotContain("nn")'),
    ('name.equals("ANN", false)', 'name.equals("ANN")'),
    ('name.notEqualTo("ANN")', 'name.notEqualTo("ANN", false)'),
    ('name.matches("^A.n$")', 'name.matches("^n")'),
    ('name.regexGroup("(A)(n+)", 2) = "nn"', 'name.regexGroup("(A)(x)?", 2) = ""'),
    ('notes.get("size") = "M"', 'notes.get("shape") = "M"'),
    ('notes.keys() = ["colour", "size"]', 'notes.keys() = ["size", "colour"]'),
    ('notes.values() = ["red", "M"]', 'notes.values() = ["M", "red"]'),
    ('identityMap.get("email").head().id = "a@x.org"', 'identityMap.get("email").count() = 2'),
    (
        'segmentMembership.get("ups").get("s1").status = "realized"',
        'segmentMembership.get("ups").get("s2").status = "realized"',
    ),
    ("home.isNotNull()", "home.isNull() and isVip"),
    ("seen.getMonth() = 3 and seen.getYear() = 2026", "born.getDayOfMonth() = 29"),
    ("seen.getMonth() = currentMonth()", "born.getMonth() = currentMonth()"),
    ("seen occurs < 9 days before now", "seen occurs < 8 days before now"),
    ("seen occurs > 8 days before now", "seen occurs > 9 days before now"),
    ("seen occurs <= 1 months before now", "seen occurs >= 1 months before now"),
    ("seen occurs > 1 weeks from now", "seen occurs < 1 weeks from now"),
    ("seen occurs before now", "seen occurs before last month"),
    ("born occurs on date(1990, 2, 28)", "seen occurs on date(2026, 3, 11)"),
    ("seen occurs last week", "seen occurs this week"),
    (
        "seen occurs between date(2026, 3, 1) and today",
        "seen occurs between yesterday and tomorrow",
    ),
]


@pytest.mark.parametrize("has_words", [False, True])
@pytest.mark.parametrize(("met", "missed"), PAIRS)
def test_an_operator_holds_of_who_meets_it_and_of_nobody_else(met, missed, has_words):
    assert found(met, ANN, NOBODY, has_words=has_words) == [True, False]
    assert found(missed, ANN, NOBODY, has_words=has_words) == [False, False]


@pytest.mark.parametrize(
    "rule",
    [
        "name.isNull()",
        "home.isNull()",
        "xEvent.count() = 0",
        "owned.count() = 0",
        "forall E from xEvent where E.amount > 100",
        "!(exists E from xEvent where E.amount > 1)",
    ],
)
def test_of_nobody_what_asks_for_absence_is_true(rule):
    assert found(rule, ANN, NOBODY) == [False, True]


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ("points + 9223372036854775807 > 0", False),
        ("points + 9223372036854775807 < 0", False),
        ("points * 4611686018427387904 = 0", False),
        ("points / 0 > 0 or points / 0 <= 0", False),
        ("points % 0 = 0", False),
        ("(0 - points) % 4 = -3", True),
        ("points * 1e308 * 100 > 0", False),
    ],
)
def test_arithmetic_that_its_type_cannot_hold_is_null(rule, holds):
    assert found(rule, ANN) == [holds]


def test_large_whole_numbers_add_up_exactly_or_to_null():
    half = 2**62
    person = a_person(owned=[an_item(many=half), an_item(many=half - 1), an_item(many=0)])
    over = a_person(owned=[an_item(many=half), an_item(many=half)])
    under = a_person(owned=[an_item(many=-half), an_item(many=-half)])
    assert found(f"owned.sum(many) = {2**63 - 1}", person, over) == [True, False]
    assert found("owned.sum(many) < 0", over, under) == [False, True]
    assert found("owned.average(many) > 0", over, under) == [True, False]


def test_an_expression_that_re2_refuses_is_named():
    with pytest.raises(ValueError, match=r"'\(' is no regular expression of RE2"):
        found('name.matches("(")', ANN)


@pytest.mark.parametrize("pairs", [1 << 20, 7, 1])
@pytest.mark.parametrize(
    "rule",
    [
        # The order of two, in both directions, and of three.
        (
            'exists A from xEvent where (A.kind = "view"), B from xEvent where'
            ' (B.kind = "order" and B.timestamp > A.timestamp)'
        ),
        (
            'exists A from xEvent where (A.kind = "order"), B from xEvent where'
            ' (B.kind = "view" and B.timestamp <= A.timestamp)'
        ),
        (
            'exists A from xEvent, B from xEvent, C from xEvent where (A.kind = "view" and'
            ' B.kind = "cart" and C.kind = "order" and A.timestamp < B.timestamp and'
            " B.timestamp < C.timestamp)"
        ),
        # A window, and one whose ends are shifted by the calendar.
        (
            'exists A from xEvent, B from xEvent where (A.kind = "cart" and B.amount > 10 and'
            " B.timestamp occurs <= 2 days after A.timestamp)"
        ),
        (
            'exists A from xEvent, B from xEvent where (A.kind = "view" and B.kind = "order" and'
            " B.timestamp occurs <= 1 months after A.timestamp)"
        ),
        # More than times, so pairs.
        (
            'exists A from xEvent, B from xEvent where (A.kind = "cart" and B.amount > A.amount and'
            " B.timestamp > A.timestamp)"
        ),
        (
            "exists A from xEvent, I from A.productListItems, B from xEvent where"
            ' (B.amount > I.price and B.kind = "order")'
        ),
        # One within the other, and what is counted there.
        (
            "exists A from xEvent where (exists B from xEvent where (B.timestamp > A.timestamp and"
            " B.kind = A.kind))"
        ),
        "exists A from xEvent where xEvent.filter((B) => B.timestamp > A.timestamp).count() = 2",
        (
            "xEvent.filter((A) => xEvent.filter((B) => B.amount < A.amount).sum(B.amount) > 5)"
            ".count() = 1"
        ),
        "forall A from xEvent, B from xEvent where (A.timestamp <= B.timestamp or A.amount > 1)",
        "exists A from xEvent, I from owned where (I.price > A.amount)",
    ],
)
def test_elements_are_coupled_alike_in_pieces_of_any_size(rule, pairs, monkeypatch):
    monkeypatch.setattr(chunks, "PAIRS", pairs)
    backwards = a_person(
        an_event(30, kind="order", amount=3.0),
        an_event(20, kind="cart", amount=2.0),
        an_event(None, kind="cart", amount=90.0),
        an_event(10, kind="view", amount=1.0),
        owned=[an_item("PS", 2.5)],
    )
    found(rule, ANN, NOBODY, backwards, NOBODY, ANN)


def test_rules_that_say_the_same_of_other_names_share_their_work():
    asked = []

    class Counting(Slice):
        def event(self, path):
            asked.append(path)
            return super().event(path)

    rules = [
        read('exists E from xEvent where E.kind = "cart"'),
        read('exists X from xEvent where X.kind = "cart" and X.amount > 1'),
        read('xEvent.filter((Y) => Y.kind = "cart").count() > 0'),
    ]
    rows = Counting([ANN, NOBODY], PROFILE, EVENT)
    marks = qualifying(rules, rows, UNION, NOW)
    assert [each.tolist() for each in marks] == [[True, False]] * 3
    assert sorted(asked) == ["amount", "kind"]


@pytest.mark.parametrize("has_words", [False, True])
def test_a_slice_without_profiles_has_nobody(has_words):
    rule = 'xEvent.count() = 0 or name.isNull() or name = "Ann" or name.contains("n")'
    assert found(rule, has_words=has_words) == []
