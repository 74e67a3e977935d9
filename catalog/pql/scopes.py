"""What names mean at one place of a rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from catalog.pql.making import member
from catalog.pql.nodes import PROFILE, Events, Literal, Node, Now, Variable
from catalog.pql.occasions import WORDS, day
from catalog.pql.problems import Problem

#: Words that are values unless a variable has their name; those of any case stand in lower case.
_CONSTANTS: Mapping[str, bool | None] = MappingProxyType(
    {"true": True, "false": False, "null": None}
)


#: Operators, which begin no path; in any case.
KEYWORDS = frozenset(
    [
        *("and", "or", "not", "in", "notin", "like", "occurs"),
        *("exists", "forall", "select", "let", "where", "from", "over"),
    ]
)


@dataclass(frozen=True, slots=True)
class Scope:
    #: What variables stand for, by the names callers gave them.
    names: Mapping[str, Node] = field(default_factory=dict)
    #: What a name without a context is a field of, the innermost last.
    levels: tuple[Node, ...] = (PROFILE,)

    def bound(self, name: str, at: int, value: Node | None = None) -> Scope:
        """The same with a variable, which stands for itself or for a node.

        Raises Problem for a name that means something else already.
        """
        if name.lower() in KEYWORDS or reserved(name) is not None:
            raise Problem(f"no variable can be called {name}: the word has a meaning", at)
        return replace(self, names={**self.names, name: value or Variable(name)})

    def entered(self) -> tuple[str, Scope]:
        """The name of an element that has none, and the scope in which it is the context."""
        name = element_name(len(self.levels))
        return name, replace(self, levels=(*self.levels, Variable(name)))

    def level(self, up: int, at: int) -> Node:
        """The context so many levels up. Raises Problem when there is none."""
        if up >= len(self.levels):
            deep = len(self.levels) - 1
            raise Problem(f"{'^' * up} leads out of the profile: it is {deep} levels up", at)
        return self.levels[-1 - up]

    def word(self, name: str, at: int) -> Node:
        """What a name at the head of a path is."""
        if name in self.names:
            found = self.names[name]
            return Variable(found.name, at=at) if isinstance(found, Variable) else found
        meaning = reserved(name, at)
        return meaning if meaning is not None else member(self.levels[-1], name, at)


def element_name(depth: int) -> str:
    """The variable of an element that a caller did not name, so many contexts deep."""
    return f"$item{depth}"


def reserved(name: str, at: int = 0) -> Node | None:
    """What a word means where no variable has its name; None of a field's name."""
    if name.lower() in _CONSTANTS and name in (name.lower(), name.upper(), name.title()):
        return Literal(_CONSTANTS[name.lower()], at=at)
    if name == "xEvent":
        return Events(at=at)
    if name == "now":
        return Now(at=at)
    return day(name, at) if name in WORDS else None
