"""Text into nodes: when something occurs, and how far instants lie apart."""

from __future__ import annotations

from datetime import date

import pytest

from catalog.pql.nodes import And, Between, Distance, Literal, Node, Now, Or, Shifted, StartOf, Unit
from catalog.pql.reading import read
from tests.pql.trees import ONE, THIS_WEEK, THREE, TODAY, TWO, A, B, X, compared, days_to, equal


@pytest.mark.parametrize(
    ("text", "node"),
    [
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
    ],
)
def test_what_is_asked_of_an_instant_is_read_as_its_tree(text: str, node: Node | None):
    assert read(text) == (node or read(text))
