"""What callers may ask about properties: define them, and resolve what exports ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from catalog.audit import Action, ObjectKind
from catalog.errors import (
    Conflict,
    InvalidField,
    NotFound,
    TooManyProperties,
    UnknownProperties,
)
from catalog.names import check_description, check_name
from catalog.properties import (
    MOST_COLUMNS,
    USER_PREFIX,
    Column,
    Property,
    PropertyDraft,
    PropertyKind,
    PropertyNumber,
    ValueType,
    kind_of,
    sought,
    value_type_of,
)
from catalog.schemas import field_at
from catalog.spaces import Place
from catalog.store.audit import AuditStore
from catalog.store.database import Connection, Database
from catalog.store.namespaces import NamespaceStore
from catalog.store.properties import PropertyStore
from catalog.store.schemas import SchemaStore
from service.operations.hash_ids import HashIdSource, Noun


class Properties:
    """The identities, user properties and tags of a project."""

    def __init__(self, database: Database, ids: HashIdSource) -> None:
        self._database = database
        self._ids = ids

    async def define(self, draft: PropertyDraft, place: Place) -> Property:
        """Make a property.

        Refuses a key or name that is taken, and a leaf or namespace the project does not have; and
        with Conflict to make in a space what the space may not use, since it was given some alone.
        """
        async with self._database.transaction() as db:
            _check_space(draft, place)
            checked, value_type, is_array = await _check(db, draft, place)
            made = await PropertyStore(db).add(
                place.by.scope,
                checked,
                value_type,
                is_array=is_array,
                actor=place.by.client_id,
            )
            await AuditStore(db).note(place.by, Action.CREATE, ObjectKind.PROPERTY, made.key)
            return made

    async def revise(self, draft: PropertyDraft, place: Place) -> Property:
        """Change all of a property but its key; refuses as :meth:`define` does.

        Exports that were submitted keep what it was.
        """
        async with self._database.transaction() as db:
            await _visible(db, place, draft.key, kind_of(draft.key))
            checked, value_type, is_array = await _check(db, draft, place)
            changed = await PropertyStore(db).revise(
                place.by.scope,
                checked,
                value_type,
                is_array=is_array,
                actor=place.by.client_id,
            )
            await AuditStore(db).note(place.by, Action.CHANGE, ObjectKind.PROPERTY, changed.key)
            return changed

    async def remove(self, key: str, place: Place) -> None:
        """Remove a property. Exports that wait and ask for it will fail and say so."""
        async with self._database.transaction() as db:
            await _visible(db, place, key, kind_of(key))
            await PropertyStore(db).remove(place.by.scope, key)
            await AuditStore(db).note(place.by, Action.REMOVE, ObjectKind.PROPERTY, key)

    async def all(self, place: Place, kind: PropertyKind) -> tuple[Property, ...]:
        """The properties of a kind that may be used, the first made first."""
        async with self._database.transaction() as db:
            found = await PropertyStore(db).all(place.by.scope, kind)
        return tuple(each for each in found if place.allows(each))

    async def find(self, key: str, place: Place, kind: PropertyKind) -> Property:
        """Find a property by its key; refuses with NotFound one of another kind."""
        async with self._database.transaction() as db:
            return await _visible(db, place, key, kind)

    async def find_by_id(self, id: str, place: Place, kind: PropertyKind) -> Property:
        """Find a property by its short id; refuses with NotFound."""
        number = (await self._ids.known()).number(Noun.PROPERTY, id)
        found = None
        if number is not None:
            async with self._database.transaction() as db:
                found = await PropertyStore(db).numbered(place.by.scope, PropertyNumber(number))
        if found is None or found.kind is not kind or not place.allows(found):
            raise NotFound(kind.noun, id)
        return found

    async def columns(
        self, keys: Sequence[str], place: Place, *, most: int = MOST_COLUMNS
    ) -> tuple[Column, ...]:
        """Resolve what an export or a listing of users asks for, in the order it was asked for.

        A key that comes twice counts once. Refuses more than ``most`` keys, those
        that are unknown, and those that the space may not use; a space cannot tell which.
        """
        asked = list(dict.fromkeys(keys))
        if len(asked) > most:
            raise TooManyProperties(len(asked), most=most)
        wanted = {key: sought(key) for key in asked}
        candidates = [own for own, _ in wanted.values()]
        candidates += [USER_PREFIX + own for own in candidates]
        async with self._database.transaction() as db:
            found = await PropertyStore(db).keyed(place.by.scope, candidates)
        known = {key: each for key, each in found.items() if place.allows(each)}
        columns = {
            key: _column(key, own, known, is_all=is_all) for key, (own, is_all) in wanted.items()
        }
        if unknown := [key for key, column in columns.items() if column is None]:
            raise UnknownProperties(unknown)
        return tuple(column for column in columns.values() if column is not None)


def _column(key: str, own: str, known: Mapping[str, Property], *, is_all: bool) -> Column | None:
    """The column that a key asks for, if it is known; ``own`` is the key of the property.

    An identity is asked for with ``id_`` or ``ids_`` before it, a user property also without
    ``usr_``.
    """
    found = known.get(own)
    if key == own and (found is None or found.kind is PropertyKind.IDENTITY):
        found = known.get(USER_PREFIX + own)
    return None if found is None else Column(key=key, property=found, has_all_values=is_all)


async def _visible(db: Connection, place: Place, key: str, kind: PropertyKind) -> Property:
    found = (await PropertyStore(db).keyed(place.by.scope, [key])).get(key)
    if found is None or found.kind is not kind or not place.allows(found):
        raise NotFound(kind.noun, key)
    return found


def _check_space(draft: PropertyDraft, place: Place) -> None:
    space, kind = place.space, kind_of(draft.key)
    if space is not None and kind in space.allowed and draft.key not in space.allowed[kind]:
        raise Conflict(
            f"{draft.key} would not be seen here: space {space.name} may use what it was given "
            f"alone; define the {kind.noun} in the project"
        )


async def _check(
    db: Connection, draft: PropertyDraft, place: Place
) -> tuple[PropertyDraft, ValueType, bool]:
    """What a property will hold; refuses what contradicts itself or the project's schemas."""
    kind = kind_of(draft.key)
    check_name(draft.name)
    check_description(draft.description)
    if kind is PropertyKind.IDENTITY:
        return await _check_identity(db, draft, place)
    if draft.namespace is not None or not draft.path:
        raise InvalidField("path", f"{draft.key} needs the path of a field, and no namespace")
    union = await SchemaStore(db).union(place.by.scope)
    value_type, is_array = value_type_of(field_at(union.profile_fields, draft.path), draft.path)
    if draft.value_type not in {None, value_type}:
        where = ".".join(draft.path)
        raise InvalidField("valueType", f"{where} holds {value_type}, not {draft.value_type}")
    if draft.is_array not in {None, is_array}:
        where = ".".join(draft.path)
        raise InvalidField("valueType", f"{where} is {'a list' if is_array else 'one value'}")
    return draft, value_type, is_array


async def _check_identity(
    db: Connection, draft: PropertyDraft, place: Place
) -> tuple[PropertyDraft, ValueType, bool]:
    if draft.path is not None or draft.namespace is None:
        raise InvalidField("namespace", f"{draft.key} needs the code of a namespace, and no path")
    if draft.value_type not in {None, ValueType.STRING} or draft.is_array:
        raise InvalidField("valueType", "identities are STRING, and no lists")
    try:
        namespace = await NamespaceStore(db).find(place.by.scope, draft.namespace)
    except NotFound as missing:
        raise InvalidField("namespace", str(missing)) from missing
    spelt = PropertyDraft(
        key=draft.key, name=draft.name, description=draft.description, namespace=namespace.code
    )
    return spelt, ValueType.STRING, False
