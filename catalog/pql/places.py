"""Where something is written: what its names would mean there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from catalog.pql.nodes import PROFILE, Member, Variable
from catalog.pql.scopes import KEYWORDS, element_name, reserved
from catalog.pql.spelling import escaped, is_plain, quoted


@dataclass(frozen=True, slots=True)
class Place:
    variables: frozenset[str] = frozenset()
    #: Contexts that have been entered, the profile among them.
    levels: int = 1

    def knowing(self, *names: str) -> Place:
        return replace(self, variables=self.variables | set(names))

    def entered(self) -> Place:
        return replace(self, levels=self.levels + 1)

    def enters(self, variable: str) -> bool:
        """Whether an element of this name is a context, rather than named by the caller."""
        return variable == element_name(self.levels)

    def spelling(self, node: Variable) -> str:
        if node == PROFILE:
            return "$1"
        up = self._up(node)
        if up is None:
            return node.name
        return "^" * up or "$0"

    def head(self, node: Member) -> str | None:
        """A field of a context, as the head of a path; None of a field of anything else."""
        of = node.of
        up = self._up(of) if isinstance(of, Variable) else None
        if up is None:
            return None
        if up == 0:
            return self._first(node.name)
        return f"$1.{quoted(node.name)}" if of == PROFILE else f"{'^' * up}.{quoted(node.name)}"

    def _up(self, node: Variable) -> int | None:
        """How many contexts lie between here and a context; None of other variables."""
        if node == PROFILE:
            return self.levels - 1
        names = [element_name(level) for level in range(1, self.levels)]
        return self.levels - 2 - names.index(node.name) if node.name in names else None

    def _first(self, name: str) -> str:
        is_taken = name in self.variables or name.lower() in KEYWORDS or reserved(name) is not None
        return escaped(name) if is_taken or not is_plain(name) else name
