"""What a place in a rule can speak of: fields of the profile, of events, and what has a name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from catalog.pql import making
from catalog.pql.nodes import EVENTS, Call, Function, Literal, Node, Variable
from catalog.pql.scopes import element_name
from catalog.schemas import Field, Kind
from tests.pql.made_schemas import IDENTITY, MEMBERSHIP, NAMESPACES, SEGMENTS


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
            yield from beneath(node, field)
        yield EVENTS, Field("", Kind.ARRAY, element=self.event)

    def of(self, *kinds: Kind) -> list[Node]:
        return [node for node, field in self.all() if field.kind in kinds]

    def lists(self) -> list[tuple[Node, Field]]:
        return [
            (node, field.element)
            for node, field in self.all()
            if field.kind is Kind.ARRAY and field.element
        ]


def beneath(node: Node, field: Field) -> Iterator[tuple[Node, Field]]:
    yield node, field
    if field.kind is Kind.OBJECT:
        for each in field.fields:
            yield from beneath(making.member(node, each.name), each)
    if field.kind is Kind.IDENTITY_MAP:
        for namespace in NAMESPACES:
            got = Call(Function.GET, (node, Literal(namespace)))
            yield got, Field("", Kind.ARRAY, element=IDENTITY)
    if field.kind is Kind.SEGMENT_MEMBERSHIP:
        for segment in SEGMENTS:
            own = Call(Function.GET, (node, Literal("ups")))
            yield from beneath(Call(Function.GET, (own, Literal(segment))), MEMBERSHIP)
    if field.kind is Kind.MAP and field.element:
        yield from beneath(Call(Function.GET, (node, Literal("a"))), field.element)
