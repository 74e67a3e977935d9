"""Random rules that fit a schema: what reading makes, of every node there is.

``rules(profile_fields, event_fields)`` draws a condition on profiles and their events.
"""

from __future__ import annotations

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
)
from catalog.schemas import Field, Kind
from tests.pql.made_schemas import (
    DATES,
    DOUBLES,
    EXPRESSIONS,
    INSTANTS,
    NUMBERS,
    PATTERNS,
    SCALARS,
    TEXTS,
    TIMES,
    WHOLES,
    Draw,
    Fields,
)
from tests.pql.sights import Sight, beneath


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
    if kind == "distinct" and element.kind in SCALARS:
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
    known = sight.of(*NUMBERS)
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
        within = [node for node, field in beneath(head, element) if field.kind is Kind.STRING]
        if within:
            return draw(st.sampled_from(within))
    return Literal(draw(st.sampled_from(TEXTS)))


@st.composite
def instants(draw: Draw, sight: Sight) -> Node:
    kinds = ["field", "field", "field", "now", "literal", "date"]
    if sight.depth > 0:
        kinds += ["start", "shifted"]
    kind = draw(st.sampled_from(kinds))
    known = sight.of(*TIMES)
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
