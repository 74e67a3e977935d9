"""Text into nodes: each operator with its tree, and what cannot be understood with its place."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime

import pytest

from catalog.errors import InvalidRule
from catalog.pql.nodes import (
    EVENTS,
    PROFILE,
    And,
    Arithmetic,
    Call,
    Comparison,
    Function,
    If,
    In,
    ListOf,
    Literal,
    Member,
    Node,
    Not,
    Now,
    Operator,
    Or,
    Shifted,
    Unit,
)
from catalog.pql.reading import read
from tests.pql.trees import FALSE, ONE, TODAY, TRUE, TWO, A, B, X, compared, equal, is_null


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
