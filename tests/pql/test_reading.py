"""Text into nodes: each operator with its tree, and what cannot be understood with its place."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime

import pytest

from catalog.errors import InvalidRule
from catalog.pql.making import ELEMENT
from catalog.pql.nodes import (
    EVENTS,
    PROFILE,
    Aggregate,
    And,
    Arithmetic,
    Best,
    Between,
    Binding,
    Call,
    Compare,
    Comparison,
    Distance,
    Exists,
    Filter,
    ForAll,
    Function,
    GroupBy,
    If,
    In,
    Let,
    ListOf,
    Literal,
    Map,
    Member,
    Node,
    Not,
    Now,
    Operator,
    Or,
    Quantity,
    Shifted,
    StartOf,
    Unit,
    Variable,
)
from catalog.pql.reading import read

A, B, X = (Member(PROFILE, name) for name in "abx")
ONE, TWO, THREE = Literal(1), Literal(2), Literal(3)
TODAY = StartOf(Unit.DAY, Now())
THIS_WEEK = StartOf(Unit.WEEK, Now())
ITEM = Variable("$item1")
E = Variable("E")
TRUE, FALSE = Literal(value=True), Literal(value=False)


def equal(left: Node, right: Node) -> Compare:
    return Compare(Comparison.EQUAL, left, right)


def of_item(name: str) -> Member:
    return Member(ITEM, name)


def count(of: Node) -> Aggregate:
    return Aggregate(Quantity.COUNT, Binding(ELEMENT, of), None)


def days_to(end: Node) -> Distance:
    return Distance(Unit.DAY, A, end)


def compared(by: str, left: Node, right: Node) -> Compare:
    return Compare(Comparison(by), left, right)


def is_null(node: Node) -> Call:
    return Call(Function.IS_NULL, (node,))


@pytest.mark.parametrize(
    ("text", "node"),
    [
        # What a name is a field of.
        ("a", A),
        ("$1.a", A),
        ("(P) => P.a = P.b", equal(A, B)),
        ("(P) => a", A),
        ("a.b", Member(A, "b")),
        ("`first name`", Member(PROFILE, "first name")),
        ("a.`b c`.\"d\".'e'", Member(Member(Member(A, "b c"), "d"), "e")),
        ("a.today.and.count", Member(Member(Member(A, "today"), "and"), "count")),
        ("Not_a_keyword", Member(PROFILE, "Not_a_keyword")),
        ("xEvent", EVENTS),
        ("$1.xEvent", EVENTS),
        # Literals.
        ('a = "b"', equal(A, Literal("b"))),
        ("a = 'it''s'".replace("''", "\\'"), equal(A, Literal("it's"))),
        (r'a = "\\ \" \n \t \w \u00e4"', equal(A, Literal('\\ " \n \t \\w ä'))),
        ("a = true or b = FALSE", Or((equal(A, TRUE), equal(B, FALSE)))),
        ("a = 42", equal(A, Literal(42))),
        ("a = -7", equal(A, Literal(-7))),
        ("a = 3.5", equal(A, Literal(3.5))),
        ("a = -1e3", equal(A, Literal(-1000.0))),
        ("a = date(2020, 3, 14)", equal(A, Literal(date(2020, 3, 14)))),
        (
            'a = timestamp("2020-03-14T15:09:26+01:00")',
            equal(A, Literal(datetime(2020, 3, 14, 14, 9, 26, tzinfo=UTC))),
        ),
        ("a in []", In(A, ListOf(()))),
        ("a = null", equal(A, Literal(None))),
        ("a > now", compared(">", A, Now())),
        ("a > today", compared(">", A, TODAY)),
        ("a > yesterday", compared(">", A, Shifted(TODAY, Literal(-1), Unit.DAY))),
        ("a > tomorrow", compared(">", A, Shifted(TODAY, ONE, Unit.DAY))),
        # Comparison, arithmetic, truth.
        *[(f"a {by} b", compared(by, A, B)) for by in Comparison],
        ("a == b", equal(A, B)),
        ("a <> b", compared("!=", A, B)),
        *[(f"a {by} b", Arithmetic(by, A, B)) for by in Operator],
        (
            "a + b * x - 1",
            Arithmetic(
                Operator.SUBTRACT,
                Arithmetic(Operator.ADD, A, Arithmetic(Operator.MULTIPLY, B, X)),
                ONE,
            ),
        ),
        ("(a + b) * x", Arithmetic(Operator.MULTIPLY, Arithmetic(Operator.ADD, A, B), X)),
        ("-a", Arithmetic(Operator.SUBTRACT, Literal(0), A)),
        ("a -1", Arithmetic(Operator.SUBTRACT, A, ONE)),
        ("a and b and x", And((A, B, X))),
        ("a and (b and x)", And((A, B, X))),
        ("a or b AND x", Or((A, And((B, X))))),
        ("not a and b", And((Not(A), B))),
        ("!(a or b)", Not(Or((A, B)))),
        ("not a = b", Not(equal(A, B))),
        ("if(a, 1, 2) = 1", equal(If(A, ONE, TWO), ONE)),
        # Texts.
        ('a like "%b_"', Call(Function.LIKE, (A, Literal("%b_")))),
        *[
            (f'a.{function}("b")', Call(function, (A, Literal("b"), TRUE)))
            for function in (
                Function.EQUALS,
                Function.STARTS_WITH,
                Function.ENDS_WITH,
                Function.CONTAINS,
            )
        ],
        ('a.contains("b", false)', Call(Function.CONTAINS, (A, Literal("b"), FALSE))),
        ('a.notEqualTo("b")', Not(Call(Function.EQUALS, (A, Literal("b"), TRUE)))),
        (
            'a.doesNotStartWith("b", false)',
            Not(Call(Function.STARTS_WITH, (A, Literal("b"), FALSE))),
        ),
        ('a.doesNotEndWith("b")', Not(Call(Function.ENDS_WITH, (A, Literal("b"), TRUE)))),
        ('a.doesNotContain("b")', Not(Call(Function.CONTAINS, (A, Literal("b"), TRUE)))),
        ('a.matches("(?i)^b")', Call(Function.MATCHES, (A, Literal("(?i)^b")))),
        (
            r'a.regexGroup("@(\w+)", 1) = b',
            equal(Call(Function.REGEX_GROUP, (A, Literal(r"@(\w+)"), ONE)), B),
        ),
        # Null.
        ("a.isNull()", is_null(A)),
        ("a.isNotNull()", Not(is_null(A))),
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
        # Time.
        ("a occurs last week", Between(A, Shifted(THIS_WEEK, Literal(-1), Unit.WEEK), THIS_WEEK)),
        ("a occurs this week", Between(A, THIS_WEEK, Shifted(THIS_WEEK, ONE, Unit.WEEK))),
        (
            "a occurs next week",
            Between(A, Shifted(THIS_WEEK, ONE, Unit.WEEK), Shifted(THIS_WEEK, TWO, Unit.WEEK)),
        ),
        ("a occurs today", Between(A, TODAY, Shifted(TODAY, ONE, Unit.DAY))),
        ("a occurs on yesterday", Between(A, Shifted(TODAY, Literal(-1), Unit.DAY), TODAY)),
        (
            "a occurs on date(2019, 12, 31)",
            Between(A, Literal(date(2019, 12, 31)), Literal(date(2020, 1, 1))),
        ),
        (
            "a occurs on b",
            Between(A, StartOf(Unit.DAY, B), Shifted(StartOf(Unit.DAY, B), ONE, Unit.DAY)),
        ),
        (
            "a occurs between date(2015, 1, 8) and date(2017, 7, 1)",
            Between(A, Literal(date(2015, 1, 8)), Literal(date(2017, 7, 2))),
        ),
        ("a occurs between b and now", Between(A, B, Now())),
        ("a occurs before now", compared("<", A, Now())),
        ("a occurs before last week", compared("<", A, Shifted(THIS_WEEK, Literal(-1), Unit.WEEK))),
        ("a occurs after last week", compared(">=", A, THIS_WEEK)),
        ("a occurs after today", compared(">=", A, Shifted(TODAY, ONE, Unit.DAY))),
        ("a occurs after b", compared(">", A, B)),
        ("a occurs > 3 days before now", compared(">", days_to(Now()), THREE)),
        ("a occurs >= 3 days before now", compared(">=", days_to(Now()), THREE)),
        (
            "a occurs < 3 days before now",
            And((compared(">=", days_to(Now()), Literal(0)), compared("<", days_to(Now()), THREE))),
        ),
        (
            "a occurs = 3 days before today",
            And((compared(">=", days_to(TODAY), THREE), compared("<", days_to(TODAY), Literal(4)))),
        ),
        (
            "a occurs != 3 days before today",
            And(
                (
                    compared(">=", days_to(TODAY), Literal(0)),
                    Or(
                        (
                            compared("<", days_to(TODAY), THREE),
                            compared(">=", days_to(TODAY), Literal(4)),
                        )
                    ),
                )
            ),
        ),
        ("a occurs > 3 days after b", compared(">", Distance(Unit.DAY, B, A), THREE)),
        (
            "a occurs <= 3 days from b",
            And((compared("<=", days_to(B), THREE), compared(">=", days_to(B), Literal(-3)))),
        ),
        (
            "a occurs > 3 days from b",
            Or((compared(">", days_to(B), THREE), compared("<", days_to(B), Literal(-3)))),
        ),
        ("a occurs > 2 decades before b", compared(">", Distance(Unit.YEAR, A, B), Literal(20))),
        ("a occurs > 1 century before b", compared(">", Distance(Unit.YEAR, A, B), Literal(100))),
        (
            "a occurs > 500 milliseconds before b",
            compared(">", Distance(Unit.SECOND, A, B), Literal(0.5)),
        ),
        ("a occurs > 1 Day before last week and b", None),
        ('a.startOf("month") = b', equal(StartOf(Unit.MONTH, A), B)),
        ('a.shiftedBy(2, "months") = b', equal(Shifted(A, TWO, Unit.MONTH), B)),
        ('a.distanceTo(b, "day") > 3', compared(">", days_to(B), THREE)),
        ("a.isBetween(b, x)", Between(A, B, X)),
        # Layout.
        ("a // the rest\n and /* not\n this */ b", And((A, B))),
        ("\n\ta\r\n", A),
    ],
)
def test_a_text_is_read_as_its_tree(text: str, node: Node | None):
    assert read(text) == (node or read(text))


@pytest.mark.parametrize(
    ("text", "line", "column", "problem"),
    [
        ("", 1, 1, "the rule ends where expected (, + or -, [, a field, a value"),
        ("a =", 1, 4, "the rule ends where expected (, + or -, [, a field or a value"),
        ("a = 1 b", 1, 7, "found b where expected "),
        ("a and\n  or b", 2, 6, "found b where expected"),
        ("a..b", 1, 3, "found . where expected a field or a value"),
        ('a = "b', 1, 5, 'the text that begins with " here does not end'),
        ("a = #", 1, 5, "found # where expected"),
        ("(a", 1, 3, "the rule ends where expected"),
        ("a.strtsWith('b')", 1, 3, "there is no function strtsWith: did you mean startsWith?"),
        ("if(a, b)", 1, 1, "if needs 3"),
        ("a.topN(b)", 1, 3, "topN needs 2 in ( ), but has 1"),
        ("a.topN(b, x).count() > 1", 1, 11, "expected how many, written out as a whole number"),
        ("a like b", 1, 8, "expected a pattern, written out as a text"),
        ("a.contains('b', b)", 1, 17, "expected true or false: whether case matters"),
        ("date(2020, 2, 30) = a", 1, 1, "there is no such date: day is out of range for month"),
        ("timestamp('soon') = a", 1, 11, "'soon' is no instant"),
        ("^a", 1, 1, "^ leads out of the profile"),
        ("$2.a", 1, 1, "expected $1, the profile, or $0, the element, but found $2"),
        ("(P, Q) => P.a", 1, 1, "expected one name in ( ) =>"),
        ("exists now from xEvent", 1, 17, "no variable can be called now"),
        ("a occurs last decade", 1, 10, "expected a unit of time, one of second, minute"),
        ("a occurs 3 days before", 1, 12, "found days where expected"),
        ("a = 9223372036854775808", 1, 5, "whole numbers go up to 9223372036854775807"),
        ("a = 1e999", 1, 5, "no double is that large"),
        (r"a = '\ud800'", 1, 5, "the text holds half a character"),
    ],
)
def test_what_cannot_be_read_is_refused_where_it_cannot(
    text: str, line: int, column: int, problem: str
):
    with pytest.raises(InvalidRule) as refused:
        read(text)
    assert (refused.value.line, refused.value.column) == (line, column)
    assert problem in refused.value.problem


@pytest.mark.parametrize(
    "text",
    [
        "(" * 20_000 + "a" + ")" * 20_000,
        "not " * 10_000 + "a",
        "-" * 40_000 + "1",
        "a" + ".b" * 20_000,
        "a" + "[b" * 10_000,
        "if(" * 10_000,
        "a" + " + 1" * 10_000,
        "a or " * 20_000 + "a",
        "exists E from xEvent where " * 1_500 + "a",
        "if(" * 30 + "a" + " occurs = 1 day from b, a, b)" * 30 + " = a",
    ],
    ids=range(10),
)
def test_a_hostile_rule_is_refused_soon(text: str):
    begun = time.process_time()
    with pytest.raises(InvalidRule):
        read(text)
    assert time.process_time() - begun < 5
