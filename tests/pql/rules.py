"""Random schemas, and random rules that fit them: what reading makes, of every node there is.

``rules(profile_fields, event_fields)`` draws a condition. Its values come from few texts, numbers
and instants, :data:`TEXTS` and the like; rows drawn from the same ones make it true now and then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from catalog.pql import making, occasions
from catalog.pql.nodes import (
    EVENTS,
    PROFILE,
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
    Node,
    Now,
    Operator,
    Quantity,
    Shifted,
    StartOf,
    Unit,
    Variable,
)
from catalog.pql.scopes import element_name
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

_SCALARS = [
    Kind.STRING,
    Kind.BOOLEAN,
    Kind.INTEGER,
    Kind.LONG,
    Kind.DOUBLE,
    Kind.DATE,
    Kind.TIMESTAMP,
]
_NUMBERS = [Kind.INTEGER, Kind.LONG, Kind.DOUBLE]
_WHOLE = [Kind.INTEGER, Kind.LONG]
_TIMES = [Kind.DATE, Kind.TIMESTAMP]
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
    kinds = _SCALARS if depth == 0 else [*_SCALARS, Kind.OBJECT, Kind.ARRAY, Kind.MAP, Kind.ARRAY]
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


@dataclass(frozen=True)
class Sight:
    """What a place in a rule can speak of."""

    #: Each with what it is; the kind of a profile and of an event is an object.
    things: tuple[tuple[Node, Field], ...]
    event: Field
    #: How many contexts have been entered, the profile among them.
    levels: int = 1
    #: How many variables have been named.
    named: int = 0
    #: How much deeper the rule may become.
    depth: int = 3

    def below(self) -> Sight:
        return replace(self, depth=self.depth - 1)

    def named_one(self, thing: Field) -> tuple[str, Sight]:
        name = f"V{self.named}"
        things = (*self.things, (Variable(name), thing))
        return name, replace(self, things=things, named=self.named + 1, depth=self.depth - 1)

    def entered(self, thing: Field) -> tuple[str, Sight]:
        name = element_name(self.levels)
        # What has no fields cannot be spoken of without a name.
        seen = ((Variable(name), thing),) if thing.kind is Kind.OBJECT else ()
        things = (*self.things, *seen)
        return name, replace(self, things=things, levels=self.levels + 1, depth=self.depth - 1)

    def all(self) -> Iterator[tuple[Node, Field]]:
        """Everything that can be named, with what it is."""
        for node, field in self.things:
            yield from _beneath(node, field)
        yield EVENTS, Field("", Kind.ARRAY, element=self.event)

    def of(self, *kinds: Kind) -> list[Node]:
        return [node for node, field in self.all() if field.kind in kinds]

    def lists(self) -> list[tuple[Node, Field]]:
        return [
            (node, field.element)
            for node, field in self.all()
            if field.kind is Kind.ARRAY and field.element
        ]


def _beneath(node: Node, field: Field) -> Iterator[tuple[Node, Field]]:
    yield node, field
    if field.kind is Kind.OBJECT:
        for each in field.fields:
            yield from _beneath(making.member(node, each.name), each)
    if field.kind is Kind.IDENTITY_MAP:
        for namespace in NAMESPACES:
            got = Call(Function.GET, (node, Literal(namespace)))
            yield got, Field("", Kind.ARRAY, element=IDENTITY)
    if field.kind is Kind.SEGMENT_MEMBERSHIP:
        for segment in SEGMENTS:
            own = Call(Function.GET, (node, Literal("ups")))
            yield from _beneath(Call(Function.GET, (own, Literal(segment))), MEMBERSHIP)
    if field.kind is Kind.MAP and field.element:
        yield from _beneath(Call(Function.GET, (node, Literal("a"))), field.element)


def rules(profile: Fields, event: Fields, depth: int = 3) -> st.SearchStrategy[Node]:
    """Conditions on profiles and their events, some of them chained."""
    sight = Sight(
        ((PROFILE, Field("", Kind.OBJECT, fields=profile)),),
        Field("", Kind.OBJECT, fields=event),
        depth=depth,
    )
    return conditions(sight)


@st.composite
def conditions(draw: Draw, sight: Sight) -> Node:
    choices = [_compared_numbers, _compared_texts, _text_asked, _dated, _distant, _is_null, _found]
    if sight.depth > 0:
        choices += [_joined, _joined, _quantified, _quantified, _quantified, _counted, _overlapping]
        choices += [_chosen, _let, _negated]
    return draw(draw(st.sampled_from(choices))(sight))


@st.composite
def _compared_numbers(draw: Draw, sight: Sight) -> Node:
    by = draw(st.sampled_from(Comparison))
    return Compare(by, draw(numbers(sight)), draw(numbers(sight)))


@st.composite
def _compared_texts(draw: Draw, sight: Sight) -> Node:
    by = draw(st.sampled_from(Comparison))
    return Compare(by, draw(texts(sight)), draw(texts(sight)))


@st.composite
def _text_asked(draw: Draw, sight: Sight) -> Node:
    function = draw(
        st.sampled_from(
            [
                Function.EQUALS,
                Function.STARTS_WITH,
                Function.ENDS_WITH,
                Function.CONTAINS,
                Function.LIKE,
                Function.MATCHES,
            ]
        )
    )
    text = draw(texts(sight))
    if function is Function.LIKE:
        return Call(function, (text, Literal(draw(st.sampled_from(PATTERNS)))))
    if function is Function.MATCHES:
        return Call(function, (text, Literal(draw(st.sampled_from(EXPRESSIONS)))))
    return Call(function, (text, draw(texts(sight)), Literal(draw(st.booleans()))))


@st.composite
def _dated(draw: Draw, sight: Sight) -> Node:
    """Of instants: compared, or within a time."""
    instant = draw(instants(sight))
    kind = draw(st.sampled_from(["compare", "between", "during", "before", "after", "span"]))
    if kind == "compare":
        return Compare(draw(st.sampled_from(Comparison)), instant, draw(instants(sight)))
    if kind == "between":
        return Between(instant, draw(instants(sight)), draw(instants(sight)))
    time = draw(times(sight))
    if kind == "span":
        return occasions.between(instant, time, draw(times(sight)))
    makers = {"during": occasions.during, "before": occasions.before, "after": occasions.after}
    return makers[kind](instant, time)


@st.composite
def _distant(draw: Draw, sight: Sight) -> Node:
    if draw(st.booleans()):
        distance = Distance(
            draw(st.sampled_from(Unit)), draw(instants(sight)), draw(instants(sight))
        )
        return Compare(draw(st.sampled_from(Comparison)), distance, draw(numbers(sight)))
    asked = occasions.Distanced(
        draw(st.sampled_from(Comparison)),
        draw(st.integers(0, 5)),
        draw(st.sampled_from(["hours", "day", "weeks", "months", "years", "decade", "seconds"])),
        draw(st.sampled_from(["before", "after", "from"])),
    )
    return occasions.at_distance(draw(instants(sight)), asked, draw(times(sight)))


@st.composite
def times(draw: Draw, sight: Sight) -> occasions.Time:
    """What may follow occurs."""
    which = draw(st.sampled_from(["relative", "day", "date", "instant"]))
    if which == "relative":
        return occasions.relative(
            draw(st.sampled_from(["last", "this", "next"])), draw(st.sampled_from(Unit)).value
        )
    if which == "day":
        return occasions.day(draw(st.sampled_from(list(occasions.WORDS))))
    if which == "date":
        return Literal(draw(st.sampled_from(DATES)))
    return draw(instants(sight))


@st.composite
def _is_null(draw: Draw, sight: Sight) -> Node:
    return making.is_null(draw(st.sampled_from([node for node, _ in sight.all()])))


@st.composite
def _found(draw: Draw, sight: Sight) -> Node:
    """In a list, or not."""
    of = draw(st.sampled_from([numbers, texts]))
    element = draw(of(sight))
    listed = ListOf(tuple(draw(st.lists(of(sight), min_size=1, max_size=3))))
    if draw(st.booleans()):
        return making.not_in(element, listed)
    return In(element, listed)


@st.composite
def _joined(draw: Draw, sight: Sight) -> Node:
    join = draw(st.sampled_from([making.conjunction, making.disjunction]))
    return join(draw(st.lists(conditions(sight.below()), min_size=2, max_size=3)))


@st.composite
def _negated(draw: Draw, sight: Sight) -> Node:
    return making.negation(draw(conditions(sight.below())))


@st.composite
def _chosen(draw: Draw, sight: Sight) -> Node:
    below = conditions(sight.below())
    return If(draw(below), draw(below), draw(below))


@st.composite
def _let(draw: Draw, sight: Sight) -> Node:
    value = draw(numbers(sight.below()))
    name, inside = sight.named_one(Field("", Kind.DOUBLE))
    return Let(name, value, draw(conditions(inside)))


@st.composite
def _quantified(draw: Draw, sight: Sight) -> Node:
    """Of one list, of two, or of a list and one within its elements."""
    bindings = []
    for _ in range(draw(st.sampled_from([1, 1, 2]))):
        source, element = draw(lists(sight))
        name, sight = sight.named_one(element)
        bindings.append(Binding(name, source))
    node = draw(st.sampled_from([Exists, Exists, ForAll]))
    return node(tuple(bindings), draw(conditions(sight)))


@st.composite
def lists(draw: Draw, sight: Sight) -> tuple[Node, Field]:
    """A list, with what its elements are; events most of all."""
    kinds = ["any", "any", "events", "events", "event"]
    if sight.depth > 0:
        kinds += ["filter", "best", "distinct"]
    kind = draw(st.sampled_from(kinds))
    if kind.startswith("event"):
        return EVENTS, sight.event
    if kind == "any":
        return draw(st.sampled_from(sight.lists()))
    source, element = draw(lists(sight.below()))
    if kind == "distinct" and element.kind in _SCALARS:
        return Call(Function.DISTINCT, (source,)), element
    variable, inside = _element(draw, sight, element)
    binding = Binding(variable, source)
    if kind != "best":
        return Filter(binding, draw(conditions(inside))), element
    count = draw(st.integers(0, 3))
    return Best(binding, draw(numbers(inside)), count, draw(st.booleans())), element


def _element(draw: Draw, sight: Sight, element: Field) -> tuple[str, Sight]:
    """An element that has a name, or is the context."""
    return sight.named_one(element) if draw(st.booleans()) else sight.entered(element)


@st.composite
def _counted(draw: Draw, sight: Sight) -> Node:
    source, element = draw(lists(sight.below()))
    if draw(st.booleans()):
        variable, inside = _element(draw, sight, element)
        source = GroupBy(Binding(variable, source), draw(texts(inside)))
    count = making.aggregate(Quantity.COUNT, making.over(making.ELEMENT, source), None)
    return Compare(draw(st.sampled_from(Comparison)), count, Literal(draw(st.integers(0, 3))))


@st.composite
def _overlapping(draw: Draw, sight: Sight) -> Node:
    """Of lists of texts: one beside another, or what one includes."""
    mine, theirs = draw(_texts_of(sight)), draw(_texts_of(sight))
    which = draw(
        st.sampled_from(
            [
                Function.INTERSECTS,
                Function.SUBSET_OF,
                Function.SUPERSET_OF,
                Function.INCLUDES,
                Function.INTERSECTION,
                Function.KEYS,
            ]
        )
    )
    if which is Function.INCLUDES:
        return Call(which, (mine, draw(texts(sight))))
    if which is Function.KEYS:
        maps = sight.of(Kind.IDENTITY_MAP, Kind.SEGMENT_MEMBERSHIP, Kind.MAP)
        return Call(Function.INTERSECTS, (Call(which, (draw(st.sampled_from(maps)),)), theirs))
    if which is Function.INTERSECTION:
        by = draw(st.sampled_from([Comparison.EQUAL, Comparison.NOT_EQUAL]))
        return Compare(by, Call(which, (mine, theirs)), ListOf((Literal("a"),)))
    return Call(which, (mine, theirs))


@st.composite
def _texts_of(draw: Draw, sight: Sight) -> Node:
    if draw(st.booleans()):
        return ListOf(tuple(draw(st.lists(texts(sight), min_size=1, max_size=3))))
    source, element = draw(lists(sight.below()))
    variable, inside = _element(draw, sight, element)
    return Map(Binding(variable, source), draw(texts(inside)))


@st.composite
def numbers(draw: Draw, sight: Sight) -> Node:
    """Of whole numbers and doubles, at any rate mostly fields."""
    kinds = ["field", "field", "whole", "double"]
    if sight.depth > 0:
        kinds += ["arithmetic", "aggregate", "aggregate", "if", "part"]
    kind = draw(st.sampled_from(kinds))
    known = sight.of(*_NUMBERS)
    if kind == "field" and known:
        return draw(st.sampled_from(known))
    if kind == "arithmetic":
        by = draw(st.sampled_from(Operator))
        return Arithmetic(by, draw(numbers(sight.below())), draw(numbers(sight.below())))
    if kind == "aggregate":
        return draw(_aggregates(sight))
    if kind == "if":
        below = numbers(sight.below())
        return If(draw(conditions(sight.below())), draw(below), draw(below))
    if kind == "part":
        parts = [Function.YEAR_OF, Function.MONTH_OF, Function.DAY_OF_MONTH_OF]
        return Call(draw(st.sampled_from(parts)), (draw(instants(sight.below())),))
    return Literal(draw(st.sampled_from(DOUBLES if kind == "double" else WHOLES)))


@st.composite
def _aggregates(draw: Draw, sight: Sight) -> Node:
    quantity = draw(st.sampled_from([each for each in Quantity if each is not Quantity.COUNT]))
    source, element = draw(lists(sight.below()))
    variable, inside = _element(draw, sight, element)
    return making.aggregate(quantity, Binding(variable, source), draw(numbers(inside)))


@st.composite
def texts(draw: Draw, sight: Sight) -> Node:
    kinds = ["field", "field", "literal"]
    if sight.depth > 0:
        kinds += ["if", "group", "head"]
    kind = draw(st.sampled_from(kinds))
    known = sight.of(Kind.STRING)
    if kind == "field" and known:
        return draw(st.sampled_from(known))
    if kind == "if":
        below = texts(sight.below())
        return If(draw(conditions(sight.below())), draw(below), draw(below))
    if kind == "group":
        expression = Literal(draw(st.sampled_from(EXPRESSIONS)))
        return Call(Function.REGEX_GROUP, (draw(texts(sight.below())), expression, Literal(0)))
    if kind == "head":
        source, element = draw(lists(sight.below()))
        head = Call(Function.HEAD, (source,))
        within = [node for node, field in _beneath(head, element) if field.kind is Kind.STRING]
        if within:
            return draw(st.sampled_from(within))
    return Literal(draw(st.sampled_from(TEXTS)))


@st.composite
def instants(draw: Draw, sight: Sight) -> Node:
    kinds = ["field", "field", "field", "now", "literal", "date"]
    if sight.depth > 0:
        kinds += ["start", "shifted"]
    kind = draw(st.sampled_from(kinds))
    known = sight.of(*_TIMES)
    if kind == "field" and known:
        return draw(st.sampled_from(known))
    if kind == "start":
        return StartOf(draw(st.sampled_from(Unit)), draw(instants(sight.below())))
    if kind == "shifted":
        amount = Literal(draw(st.integers(-14, 14)))
        return Shifted(draw(instants(sight.below())), amount, draw(st.sampled_from(Unit)))
    if kind == "date":
        return Literal(draw(st.sampled_from(DATES)))
    if kind == "literal":
        return Literal(draw(st.sampled_from(INSTANTS)))
    return Now()
