"""Text into nodes: lists, maps, what is said of their elements, and what is counted of them."""

from __future__ import annotations

import pytest

from catalog.pql.making import ELEMENT
from catalog.pql.nodes import (
    EVENTS,
    Aggregate,
    And,
    Arithmetic,
    Best,
    Binding,
    Call,
    Exists,
    Filter,
    ForAll,
    Function,
    GroupBy,
    If,
    In,
    Let,
    ListOf,
    Map,
    Member,
    Node,
    Not,
    Now,
    Operator,
    Or,
    Quantity,
    Variable,
)
from catalog.pql.reading import read
from tests.pql.trees import (
    ITEM,
    ONE,
    TRUE,
    TWO,
    A,
    B,
    E,
    X,
    compared,
    count,
    equal,
    is_null,
    of_item,
)


@pytest.mark.parametrize(
    ("text", "node"),
    [
        # Lists and maps.
        ("a in [1, 2]", In(A, ListOf((ONE, TWO)))),
        ("a in b", In(A, B)),
        ("a notIn [1]", And((Not(is_null(A)), Not(In(A, ListOf((ONE,))))))),
        ("a notIn b", And((Not(is_null(A)), Not(is_null(B)), Not(In(A, B))))),
        *[
            (f"a.{function}(b)", Call(function, (A, B)))
            for function in (
                Function.INTERSECTS,
                Function.INTERSECTION,
                Function.SUBSET_OF,
                Function.SUPERSET_OF,
                Function.INCLUDES,
                Function.GET,
            )
        ],
        *[
            (f"a.{function}()", Call(function, (A,)))
            for function in (
                Function.DISTINCT,
                Function.HEAD,
                Function.KEYS,
                Function.VALUES,
                Function.YEAR_OF,
                Function.MONTH_OF,
                Function.DAY_OF_MONTH_OF,
            )
        ],
        ("getMonth(a)", Call(Function.MONTH_OF, (A,))),
        ("currentYear()", Call(Function.YEAR_OF, (Now(),))),
        ("currentMonth()", Call(Function.MONTH_OF, (Now(),))),
        ("currentDayOfMonth()", Call(Function.DAY_OF_MONTH_OF, (Now(),))),
        ("a.map(b)", Map(Binding("$item1", A), of_item("b"))),
        (
            "a.map((E) => E.b + x)",
            Map(Binding("E", A), Arithmetic(Operator.ADD, Member(E, "b"), X)),
        ),
        ("a.groupBy(b)", GroupBy(Binding("$item1", A), of_item("b"))),
        ("a.topN(b, 3)", Best(Binding("$item1", A), of_item("b"), 3, is_largest=True)),
        ("a.bottomN(b, 3)", Best(Binding("$item1", A), of_item("b"), 3, is_largest=False)),
        (
            "a.filter(b > 1).count()",
            count(Filter(Binding("$item1", A), compared(">", of_item("b"), ONE))),
        ),
        (
            "a[b > ^x].count()",
            count(Filter(Binding("$item1", A), compared(">", of_item("b"), X))),
        ),
        (
            "a[b[x = ^.x and x = ^^.x].count() > 1].count()",
            count(
                Filter(
                    Binding("$item1", A),
                    compared(
                        ">",
                        count(
                            Filter(
                                Binding("$item2", of_item("b")),
                                And(
                                    (
                                        equal(Member(Variable("$item2"), "x"), of_item("x")),
                                        equal(Member(Variable("$item2"), "x"), X),
                                    )
                                ),
                            )
                        ),
                        ONE,
                    ),
                )
            ),
        ),
        ("a[$0 > 1].count()", count(Filter(Binding("$item1", A), compared(">", ITEM, ONE)))),
        # Of elements.
        ("exists E from xEvent", Exists((Binding("E", EVENTS),), TRUE)),
        (
            "exists E from xEvent where E.a = 1",
            Exists((Binding("E", EVENTS),), equal(Member(E, "a"), ONE)),
        ),
        (
            "EXISTS E FROM xEvent : E.a = 1",
            Exists((Binding("E", EVENTS),), equal(Member(E, "a"), ONE)),
        ),
        (
            "exists E from xEvent where (E.a > 1), I from E.items where I.b = 2",
            Exists(
                (Binding("E", EVENTS), Binding("I", Member(E, "items"))),
                And((compared(">", Member(E, "a"), ONE), equal(Member(Variable("I"), "b"), TWO))),
            ),
        ),
        ("forall E from a where E.b", ForAll((Binding("E", A),), Member(E, "b"))),
        (
            "a and exists E from xEvent where E.a or b",
            And((A, Exists((Binding("E", EVENTS),), Or((Member(E, "a"), B))))),
        ),
        (
            "if(exists E from xEvent where E.a, b, x)",
            If(Exists((Binding("E", EVENTS),), Member(E, "a")), B, X),
        ),
        (
            "(select E from xEvent where E.a).count()",
            count(Filter(Binding("E", EVENTS), Member(E, "a"))),
        ),
        ("select E from xEvent where E.a", Exists((Binding("E", EVENTS),), Member(E, "a"))),
        (
            "select E from xEvent, I from E.items where I.b",
            Exists(
                (Binding("E", EVENTS), Binding("I", Member(E, "items"))),
                Member(Variable("I"), "b"),
            ),
        ),
        ("not a[b]", Not(Exists((Binding("$item1", A),), of_item("b")))),
        # Aggregates.
        ("xEvent.count()", count(EVENTS)),
        *[
            (f"a.{quantity}(b)", Aggregate(quantity, Binding("$item1", A), of_item("b")))
            for quantity in Quantity
            if quantity is not Quantity.COUNT
        ],
        ("a.sum()", Aggregate(Quantity.SUM, Binding(ELEMENT, A), Variable(ELEMENT))),
        (
            "a.count(b)",
            count(Filter(Binding("$item1", A), Not(is_null(of_item("b"))))),
        ),
        (
            "(sum E.b over E from xEvent where E.a = 1) > 1",
            compared(
                ">",
                Aggregate(
                    Quantity.SUM,
                    Binding("E", Filter(Binding("E", EVENTS), equal(Member(E, "a"), ONE))),
                    Member(E, "b"),
                ),
                ONE,
            ),
        ),
        (
            "(max E.b over E from xEvent)",
            Aggregate(Quantity.MAX, Binding("E", EVENTS), Member(E, "b")),
        ),
        ("count E over E from xEvent", count(EVENTS)),
        ("count > 1 and sum in b", None),
        (
            "let S = (a + b) in (S > 1 and S < 2)",
            Let(
                "S",
                Arithmetic(Operator.ADD, A, B),
                And((compared(">", Variable("S"), ONE), compared("<", Variable("S"), TWO))),
            ),
        ),
    ],
)
def test_what_is_asked_of_a_list_is_read_as_its_tree(text: str, node: Node | None):
    assert read(text) == (node or read(text))
