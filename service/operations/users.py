"""Users one by one, by their numbers and identities; and numbers that became another's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from catalog.entities import AskedIdentity, Entity, EntityRequest, key_of, xid_of
from catalog.errors import Unavailable
from catalog.identities import IDENTITY_VALUE_LENGTH
from catalog.properties import Column, Property, PropertyKind
from catalog.schemas import Path
from catalog.spaces import Place
from catalog.store.database import Database
from catalog.store.numberings import NumberingStore
from service.engine.numbers import merged_numbers, open_numbers
from service.operations.entities import Entities
from service.operations.listed_users import ListedUsers
from service.operations.user_lists import project_policy
from service.storage.files import Files

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Of one page of merged numbers.
MOST_MERGED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """What there is of one user."""

    number: int
    #: Values by lower-case namespace, in byte order.
    identities: Mapping[str, Sequence[str]]
    #: By lower-case namespace: of several values the one that an export gives as the last.
    last_named: Mapping[str, str]
    #: The profile, nulls left out.
    profile: Mapping[str, Any]

    def value(self, column: Column) -> Any:
        """What a column has: of a leaf its value, of an identity one text or all of them."""
        asked = column.property
        if asked.kind is PropertyKind.IDENTITY:
            namespace = (asked.namespace or "").lower()
            if column.has_all_values:
                return list(self.identities.get(namespace, ())) or None
            return self.last_named.get(namespace)
        return self.leaf(asked)

    def leaf(self, asked: Property) -> Any:
        """The value of a user property or a tag."""
        return _at(self.profile, asked.path or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedNumber:
    """A number that stands for no user any more, but for another one's."""

    merged: int
    survivor: int
    merged_at: datetime


class Users:
    """The users of a project, merged as its exports merge them."""

    def __init__(
        self, database: Database, files: Files, entities: Entities, listed_users: ListedUsers
    ) -> None:
        self._database = database
        self._files = files
        self._entities = entities
        self._listed_users = listed_users

    async def numbered(self, number: int, place: Place) -> User | None:
        """Find the user that a number stands for; a number that was merged finds the survivor."""
        key = await self._numbering_key(place)
        if key is None:
            return None
        identity = await asyncio.to_thread(
            lambda: open_numbers(key, self._files).identity_of(number)
        )
        if identity is None:
            return None
        return await self._user(AskedIdentity(id=xid_of(f"{identity:032x}")), place)

    async def identified(self, identity: Property, value: str, place: Place) -> User | None:
        """Find the user of an identity; None when no row is about one, or could be.

        One that came after the last plan that numbered is waited for as for a page of users: see
        :meth:`ListedUsers.number` for what is refused.
        """
        if not 0 < len(value) <= IDENTITY_VALUE_LENGTH:
            return None
        return await self._user(AskedIdentity(id=value, namespace=identity.namespace), place)

    async def merged(
        self, place: Place, *, after: int = 0, most: int = MOST_MERGED
    ) -> tuple[MergedNumber, ...]:
        """Numbers that were given up so far, ascending, from behind one."""
        async with self._database.transaction() as db:
            newest = await NumberingStore(db).newest(place.by.scope, 0)
        if newest is None:
            return ()
        found = await asyncio.to_thread(
            merged_numbers, newest.merged_key, self._files, after=after, most=most
        )
        return tuple(
            MergedNumber(merged=old, survivor=new, merged_at=_EPOCH + timedelta(microseconds=at))
            for old, new, at in found
        )

    async def _user(self, asked: AskedIdentity, place: Place) -> User | None:
        async with self._database.transaction() as db:
            policy_id, _, _ = await project_policy(db, place.by.scope)
        (found,) = await self._entities.look_up(
            EntityRequest(identities=(asked,), merge_policy_id=policy_id), by=place.by
        )
        if found.attributes is None:
            return None
        number = await self._number(found, place)
        if number is None:
            await self._listed_users.number(by=place.by)
            number = await self._number(found, place)
        if number is None:
            raise Unavailable("the data changed while the user was numbered: ask again")
        return User(
            number=number,
            identities=_by_namespace(found),
            last_named=found.last_named,
            profile=found.attributes,
        )

    async def _number(self, found: Entity, place: Place) -> int | None:
        key = await self._numbering_key(place)
        if key is None:
            return None
        members = [int(key_of(one.xid) or "0", 16) for one in found.members]
        return await asyncio.to_thread(lambda: open_numbers(key, self._files).of_profile(members))

    async def _numbering_key(self, place: Place) -> str | None:
        async with self._database.transaction() as db:
            newest = await NumberingStore(db).newest(place.by.scope, 0)
        return newest.key if newest else None


def _by_namespace(found: Entity) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for one in found.members:
        if one.namespace is not None and one.value is not None:
            named.setdefault(one.namespace.lower(), []).append(one.value)
    return {namespace: sorted(values, key=str.encode) for namespace, values in named.items()}


def _at(profile: Mapping[str, Any], path: Path) -> Any:
    value: Any = profile
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
