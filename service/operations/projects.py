"""Projects and spaces: sandboxes of an organisation, and the views that lie in them."""

from __future__ import annotations

import re
from dataclasses import replace

from catalog.audit import Action, ObjectKind
from catalog.errors import InvalidField, NotFound
from catalog.names import check_description, check_name
from catalog.organisations import Caller, Sandbox
from catalog.properties import PropertyKind
from catalog.spaces import Place, Space, SpaceDraft, SpaceNumber
from catalog.store.audit import AuditStore
from catalog.store.database import Connection, Database
from catalog.store.organisations import OrganisationStore
from catalog.store.properties import PropertyStore
from catalog.store.segments import SegmentStore
from catalog.store.spaces import SpaceStore
from service.operations.hash_ids import HashIdSource, Noun

#: It stands in headers of other dialects.
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")

#: What the lists of a space are called that say what it may use.
_LISTS = {
    PropertyKind.IDENTITY: "identities",
    PropertyKind.USER: "userProperties",
    PropertyKind.TAG: "tags",
}


class Projects:
    """The projects of a caller's organisation, and the spaces of each."""

    def __init__(self, database: Database, ids: HashIdSource) -> None:
        self._database = database
        self._ids = ids

    async def all(self, *, by: Caller) -> list[Sandbox]:
        """Every project, the default one first."""
        async with self._database.transaction() as db:
            return await OrganisationStore(db).sandboxes(by.scope.organisation_id)

    async def open(self, name: str, title: str, *, by: Caller) -> Sandbox:
        """Make a project, or return the one that has the name; refuses names that are none."""
        check_name(title)
        if not _KEY.fullmatch(name):
            raise InvalidField(
                "key", "must have 1 to 63 letters, digits, _ and -, the first no mark"
            )
        async with self._database.transaction() as db:
            made = await OrganisationStore(db).open_sandbox(
                by.scope.organisation_id, name, title=title
            )
            await AuditStore(db).note(by, Action.CREATE, ObjectKind.SANDBOX, name)
            return made

    async def retitle(self, place: Place, title: str) -> Sandbox:
        """Give a project another display name; refuses with NotFound what is a space."""
        check_name(title)
        if place.space is not None:
            raise NotFound("project", (await self._ids.known()).of(Noun.SPACE, place.space.number))
        async with self._database.transaction() as db:
            changed = await OrganisationStore(db).retitle(place.by.scope, title)
            name = place.by.scope.sandbox_name
            await AuditStore(db).note(place.by, Action.CHANGE, ObjectKind.SANDBOX, name)
            return changed

    async def home(self, *, by: Caller) -> Place:
        """The project of calls that name none: that of the caller's credentials."""
        async with self._database.transaction() as db:
            sandbox = await OrganisationStore(db).sandbox(
                by.scope.organisation_id, by.scope.sandbox_name
            )
        return Place(by=by, sandbox=sandbox, space=None)

    async def enter(self, id: str, *, by: Caller) -> Place:
        """The place that a path calls a project: a project, or a space; refuses with NotFound.

        What one generation of clients calls project the next calls space, in the same paths.
        """
        ids = await self._ids.known()
        number, space_number = ids.number(Noun.PROJECT, id), ids.number(Noun.SPACE, id)
        async with self._database.transaction() as db:
            organisations, sandbox, space = OrganisationStore(db), None, None
            if number is not None:
                sandbox = await organisations.sandbox_numbered(by.scope.organisation_id, number)
            elif space_number is not None:
                sandbox = await organisations.sandbox_of_space(
                    by.scope.organisation_id, space_number
                )
            if sandbox is not None and space_number is not None:
                space = await SpaceStore(db).numbered(sandbox.scope, SpaceNumber(space_number))
        if sandbox is None:
            raise NotFound("project", id)
        return Place(by=replace(by, scope=sandbox.scope), sandbox=sandbox, space=space)

    async def enter_space(self, project_id: str, space_id: str, *, by: Caller) -> Place:
        """The place of a space in a project; refuses with NotFound a space of another one."""
        place = await self.enter(project_id, by=by)
        space = await self._space(place, space_id)
        if place.space is not None and place.space.number != space.number:
            raise NotFound("space", space_id)
        return replace(place, space=space)

    async def spaces(self, place: Place) -> tuple[Space, ...]:
        """The spaces of a project, the first made first."""
        async with self._database.transaction() as db:
            return await SpaceStore(db).all(place.by.scope)

    async def add_space(self, place: Place, draft: SpaceDraft) -> Space:
        """Make a space; refuses a name that is taken and properties that are not there."""
        async with self._database.transaction() as db:
            await _check(db, place, draft)
            made = await SpaceStore(db).add(place.by.scope, draft, actor=place.by.client_id)
            await AuditStore(db).note(place.by, Action.CREATE, ObjectKind.SPACE, made.number)
            return made

    async def revise_space(self, place: Place, draft: SpaceDraft) -> Space:
        """Change all of the space of a place; refuses as :meth:`add_space` does."""
        space = _in_space(place)
        async with self._database.transaction() as db:
            await _check(db, place, draft)
            changed = await SpaceStore(db).revise(
                place.by.scope, space.number, draft, actor=place.by.client_id
            )
            await AuditStore(db).note(place.by, Action.CHANGE, ObjectKind.SPACE, space.number)
            return changed

    async def remove_space(self, place: Place) -> None:
        """Remove the space of a place; its segments become those of the project."""
        space = _in_space(place)
        async with self._database.transaction() as db:
            # None is given to it meanwhile.
            await SegmentStore(db).lock_changes(place.by.scope)
            await SpaceStore(db).remove(place.by.scope, space.number)
            await AuditStore(db).note(place.by, Action.REMOVE, ObjectKind.SPACE, space.number)

    async def _space(self, place: Place, id: str) -> Space:
        number = (await self._ids.known()).number(Noun.SPACE, id)
        found = None
        if number is not None:
            async with self._database.transaction() as db:
                found = await SpaceStore(db).numbered(place.by.scope, SpaceNumber(number))
        if found is None:
            raise NotFound("space", id)
        return found


def _in_space(place: Place) -> Space:
    if place.space is None:
        raise NotFound("space of project", place.sandbox.name)
    return place.space


async def _check(db: Connection, place: Place, draft: SpaceDraft) -> None:
    """Refuse a space without a name, and one that would be given what is not there."""
    check_name(draft.name)
    check_description(draft.description)
    wanted: dict[str, PropertyKind] = {
        key: kind for kind, keys in draft.allowed.items() for key in keys
    }
    known = await PropertyStore(db).keyed(place.by.scope, wanted)
    for key, kind in sorted(wanted.items()):
        if key not in known or known[key].kind is not kind:
            raise InvalidField(_LISTS[kind], f"the project has no {kind.noun} {key}")
