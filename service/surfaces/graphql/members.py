"""Projects, and the clients of an organisation as their members. Each leads to the other."""

from __future__ import annotations

from collections.abc import Callable

from catalog.organisations import Sandbox
from service.operations.clients import Member
from service.operations.hash_ids import Noun
from service.surfaces.graphql.asking import Asking, Info, Told
from service.surfaces.growingio.wire import instant


async def projects(ask: Asking) -> list[Told]:
    """Every project; what lies below one is told as far as it is asked for."""
    found = await ask.operations.projects.all(by=ask.caller)
    members = await ask.operations.clients.members(by=ask.caller)
    return _Tree(ask, found, members).projects()


class _Tree:
    """What leads from projects to members and back, one level at a time."""

    def __init__(self, ask: Asking, projects: list[Sandbox], members: tuple[Member, ...]) -> None:
        self._ask = ask
        self._projects, self._members = projects, members
        organisation_id = ask.caller.scope.organisation_id
        #: Nobody in particular made a project.
        self._owner_id = ask.ids.of_text(Noun.ENTERPRISE, organisation_id)

    def projects(self, *_: Info) -> list[Told]:
        return self._ask.list_up([self._project(each) for each in self._projects])

    def _project(self, sandbox: Sandbox) -> Told:
        return {
            "id": self._ask.ids.of(Noun.PROJECT, sandbox.number),
            "name": sandbox.title,
            "description": sandbox.name,
            "creatorId": self._owner_id,
            "createdAt": instant(sandbox.created_at),
            "ownerId": self._owner_id,
            "projectMembers": self._memberships,
            "projectRoles": [],
            "projectMemberCount": len(self._members),
        }

    def _memberships(self, *_: Info) -> list[Told]:
        return self._ask.list_up(
            [
                {"member": self._lazily(each), "joinedAt": instant(each.joined_at)}
                for each in self._members
            ]
        )

    def _lazily(self, member: Member) -> Callable[..., Told]:
        return lambda *_: self._member(member)

    def _member(self, member: Member) -> Told:
        return {
            "id": self._ask.ids.of_text(Noun.MEMBER, member.id),
            "name": member.name,
            "source": "oauth2",
            "createdAt": instant(member.joined_at),
            "enterableProjects": self.projects,
            "dataCenterRole": {
                "permissions": [{"action": scope} for scope in sorted(member.scopes)]
            },
        }
