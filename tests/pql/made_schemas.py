"""Random schemas, and the few values that rules and rows are made of.

Rules ask for the texts, numbers and instants that rows have, so that they are true now and then.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from catalog.schemas import CLASS_FIELDS, EVENT_CLASS, PROFILE_CLASS, Field, Kind

Fields = tuple[Field, ...]
Draw = Callable[[st.SearchStrategy], object]

#: The instant at which rules are best evaluated: the other instants lie around it.
NOW = datetime(2026, 3, 18, 15, 9, 26, 535897, tzinfo=UTC)
TEXTS = ["", "a", "A", "ab", "Ab.com", "b%_", "ähnlich", "İ", "x\ny", "gold"]
WHOLES = [-3, -1, 0, 1, 2, 3, 7, 2**31, 2**53 + 1]
DOUBLES = [-2.5, -0.5, 0.0, 0.25, 1.0, 1.5, 3.0, 1e6]
INSTANTS = [
    NOW,
    NOW - timedelta(hours=3),
    NOW - timedelta(days=1),
    NOW - timedelta(days=3, microseconds=1),
    NOW + timedelta(days=8),
    datetime(2026, 3, 16, tzinfo=UTC),
    datetime(2026, 3, 1, tzinfo=UTC),
    datetime(2026, 1, 31, 23, 59, tzinfo=UTC),
    datetime(2024, 2, 29, 12, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
]
DATES = [each.date() for each in INSTANTS]
PATTERNS = ["%", "a%", "%b", "_", "%.com", "b%_", "%ä%"]
EXPRESSIONS = ["a", "^a", "b$", "[a-z]+", "(?i)A", "a|b", r"\.com", "(a)(b)?"]
NAMESPACES = ["email", "crm", "ECID"]
SEGMENTS = ["s1", "s2"]

SCALARS = [
    Kind.STRING,
    Kind.BOOLEAN,
    Kind.INTEGER,
    Kind.LONG,
    Kind.DOUBLE,
    Kind.DATE,
    Kind.TIMESTAMP,
]
NUMBERS = [Kind.INTEGER, Kind.LONG, Kind.DOUBLE]
TIMES = [Kind.DATE, Kind.TIMESTAMP]
_NAMES = ["name", "Name", "price", "count", "kind", "first name", "timestamp", "E1", "today", "and"]

IDENTITY = Field(
    "",
    Kind.OBJECT,
    fields=(
        Field("id", Kind.STRING),
        Field("authenticatedState", Kind.STRING),
        Field("primary", Kind.BOOLEAN),
    ),
)
MEMBERSHIP = Field(
    "",
    Kind.OBJECT,
    fields=(Field("lastQualificationTime", Kind.TIMESTAMP), Field("status", Kind.STRING)),
)


@st.composite
def _fields(draw: Draw, depth: int, fewest: int = 1) -> Fields:
    names = draw(st.lists(st.sampled_from(_NAMES), min_size=fewest, max_size=4, unique=True))
    return tuple([draw(_field(name, depth)) for name in names])


@st.composite
def _field(draw: Draw, name: str, depth: int) -> Field:
    kinds = SCALARS if depth == 0 else [*SCALARS, Kind.OBJECT, Kind.ARRAY, Kind.MAP, Kind.ARRAY]
    kind = draw(st.sampled_from(kinds))
    if kind is Kind.OBJECT:
        return Field(name, kind, fields=draw(_fields(depth - 1)))
    if kind is Kind.ARRAY:
        return Field(name, kind, element=draw(_field("", depth - 1)))
    if kind is Kind.MAP:
        return Field(name, kind, element=draw(_field("", 0)))
    return Field(name, kind)


@st.composite
def schemas(draw: Draw) -> tuple[Fields, Fields]:
    """The fields of a profile and those of an event, as a union has them."""
    profile = draw(_fields(2))
    items = Field("items", Kind.ARRAY, element=Field("", Kind.OBJECT, fields=draw(_fields(0, 2))))
    event = draw(_fields(1))
    known = {field.name for field in CLASS_FIELDS[EVENT_CLASS]}
    return (
        (*CLASS_FIELDS[PROFILE_CLASS], *profile, items),
        (*CLASS_FIELDS[EVENT_CLASS], *[each for each in event if each.name not in known], items),
    )
