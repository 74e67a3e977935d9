"""What is known while a rule is checked: its values' types, and what it turned out to need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal as OneOf

from catalog.pql.nodes import Node
from catalog.pql.problems import Problem, nearest
from catalog.pql.types import Type, described, held, list_of
from catalog.schemas import Field, Kind, Path, leaves

#: A place in profiles or in events.
Origin = tuple[OneOf["profile", "event"], Path]


@dataclass(frozen=True, slots=True)
class Typed:
    node: Node
    type: Type
    #: Of a part of a profile or an event: where it is.
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What variables are, where something stands."""

    variables: Mapping[str, Typed] = field(default_factory=dict)
    #: Contexts that have been entered, the profile among them.
    levels: int = 1

    def knowing(self, name: str, typed: Typed) -> Surroundings:
        return replace(self, variables={**self.variables, name: typed})

    def entered(self) -> Surroundings:
        return replace(self, levels=self.levels + 1)


class Needs:
    """The fields there are, and those of them that a rule needs."""

    def __init__(self, profile_fields: tuple[Field, ...], event_fields: tuple[Field, ...]) -> None:
        self.profile = Field("", Kind.OBJECT, fields=profile_fields)
        self.event = Field("", Kind.OBJECT, fields=event_fields)
        self.events = list_of(self.event)
        self.origins: set[Origin] = set()
        self.needs_events = False
        self.is_chained = False

    def whole(self, typed: Typed) -> None:
        """Note that a value is needed, with all beneath it."""
        if typed.origin is None or typed.type is None:
            return
        of, path = typed.origin
        if typed.type.kind is Kind.OBJECT:
            self.origins |= {(of, below) for below, _ in leaves(typed.type.fields, path)}
        else:
            self.origins.add(typed.origin)

    def origin_of(self, type: Type) -> Origin | None:
        """Where a value is that is an event, however it was come by."""
        return ("event", ()) if type is self.event else None

    def field_of(self, of: Typed, name: str, at: int) -> tuple[Field, Origin | None]:
        """A field of an object. Raises Problem, which names the nearest, when there is none."""
        type = of.type
        if type is None or type.kind is not Kind.OBJECT:
            raise Problem(self._no_object(type, name), at)
        found = next((each for each in type.fields if each.name == name), None)
        if found is None:
            raise Problem(self._no_field(of, type, name), at)
        return found, (of.origin[0], (*of.origin[1], name)) if of.origin else None

    def _no_object(self, type: Type, name: str) -> str:
        if type is not None and held(type):
            return f'expected a function, but found .{name}: a map has .get("{name}")'
        return f"{described(type)} has no field {name}"

    def _no_field(self, of: Typed, type: Field, name: str) -> str:
        where = _named(of, type is self.event)
        guess = nearest(name, [each.name for each in type.fields]) or self._elsewhere(type, name)
        return f"there is no field {name} in {where}{guess}"

    def _elsewhere(self, type: Field, name: str) -> str:
        """Words for where a field of the name is, if not where it was looked for."""
        if type is self.profile and any(each.name == name for each in self.event.fields):
            return f": it is one of events, as in exists E from xEvent where E.{name} …"
        ends = [path for path, _ in leaves(type.fields) if path[-1] == name]
        return f": did you mean {'.'.join(ends[0])}?" if ends else ""


def _named(of: Typed, is_event: bool) -> str:  # noqa: FBT001 (tells two words apart)
    if of.origin and of.origin[1]:
        return ".".join(of.origin[1])
    if is_event:
        return "events"
    return "profiles" if of.origin else "this object"
