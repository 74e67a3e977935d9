"""What every resolver is handed: who asks, where, and how much more may be answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from graphql import GraphQLResolveInfo

from catalog.access import Access
from catalog.errors import InsufficientScope, Invalid
from catalog.organisations import Caller
from catalog.spaces import Place
from service.operations.hash_ids import HashIds
from service.surfaces.growingio.languages import Language
from service.surfaces.http import Operations

#: Objects of lists in one answer. Members have projects, which have members: a document that is
#: small can ask for more than fits anywhere.
MOST_OBJECTS = 50_000

Info: TypeAlias = "GraphQLResolveInfo"
Told: TypeAlias = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Asking:
    """One document that is being answered."""

    operations: Operations
    caller: Caller
    ids: HashIds
    #: Where fields look that name no project.
    home: Place
    #: What it is told why something failed in.
    language: Language
    objects_left: int = MOST_OBJECTS

    def need(self, access: Access) -> None:
        """Refuse with InsufficientScope what the caller's token does not carry."""
        if access not in self.caller.may:
            raise InsufficientScope(access)

    def list_up(self, objects: list[Told]) -> list[Told]:
        """Count what is about to be answered; refuses with Invalid when it is too much."""
        self.objects_left -= len(objects)
        if self.objects_left < 0:
            raise Invalid(f"the answer would have more than {MOST_OBJECTS} objects: ask for less")
        return objects

    async def place(self, project_id: str) -> Place:
        """The place that an argument names: a project, or a space. Refuses with NotFound."""
        return await self.operations.projects.enter(project_id, by=self.caller)


def asking(info: Info) -> Asking:
    context: Asking = info.context
    return context
