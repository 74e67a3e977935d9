"""Namespaces in PostgreSQL: the custom ones; the standard ones are added in reading."""

from __future__ import annotations

from collections.abc import Iterable

from catalog.errors import AlreadyExists, NotFound
from catalog.identities import STANDARD, IdType, Namespace, NamespaceDraft
from catalog.organisations import Scope
from catalog.store import queries
from catalog.store.database import Connection, Record

SQL = queries.beside(__file__)

_STANDARD_CODES = frozenset(one.code.lower() for one in STANDARD)


class NamespaceStore:
    """The namespaces of a sandbox, read and registered inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def registered(self, scope: Scope) -> tuple[Namespace, ...]:
        """Every namespace of a sandbox: the standard ones, then its own."""
        rows = await SQL["registered"].rows(
            self._db, sandbox_id=scope.sandbox_id, organisation_id=scope.organisation_id
        )
        return (*STANDARD, *map(_namespace, rows))

    async def find(self, scope: Scope, code_or_id: str | int) -> Namespace:
        """Find a namespace by its code in any spelling, or by its number."""
        sought = str(code_or_id).lower()
        namespaces = await self.registered(scope)
        for namespace in namespaces:
            if namespace.code.lower() == sought:
                return namespace
        for namespace in namespaces:
            if str(namespace.id) == sought:
                return namespace
        raise NotFound("namespace", code_or_id)

    async def register(self, scope: Scope, draft: NamespaceDraft) -> Namespace:
        """Register a custom namespace; refuses a code that is taken in any spelling."""
        row = None
        if draft.code.lower() not in _STANDARD_CODES:
            row = await SQL["register"].row(
                self._db,
                sandbox_id=scope.sandbox_id,
                organisation_id=scope.organisation_id,
                code=draft.code,
                lower_code=draft.code.lower(),
                name=draft.name,
                description=draft.description,
                id_type=draft.id_type,
            )
        if row is None:
            raise AlreadyExists(f"namespace {draft.code} is already registered")
        return _namespace(row)

    async def register_seen(self, scope: Scope, codes: Iterable[str]) -> None:
        """Register the codes that nobody registered before data used them; others stay.

        They are taken for ids of people across devices, which link. Of several spellings the
        first is kept.
        """
        seen: dict[str, str] = {}
        for code in codes:
            if code.lower() not in _STANDARD_CODES:
                seen.setdefault(code.lower(), code)
        if seen:
            await SQL["register_seen"].rows(
                self._db,
                sandbox_id=scope.sandbox_id,
                organisation_id=scope.organisation_id,
                codes=list(seen.values()),
                lower_codes=list(seen),
                id_type=IdType.CROSS_DEVICE,
            )


def _namespace(row: Record) -> Namespace:
    return Namespace(
        code=row["code"],
        id=row["id"],
        name=row["name"],
        description=row["description"],
        id_type=IdType(row["id_type"]),
        is_custom=True,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
