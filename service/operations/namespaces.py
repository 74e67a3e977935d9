"""What callers may ask about identity namespaces."""

from __future__ import annotations

from catalog.audit import Action, ObjectKind
from catalog.identities import Namespace, NamespaceDraft
from catalog.organisations import Caller
from catalog.store.audit import AuditStore
from catalog.store.database import Database
from catalog.store.namespaces import NamespaceStore


class Namespaces:
    """The namespaces of a caller's sandbox: the standard ones and its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, *, by: Caller) -> tuple[Namespace, ...]:
        async with self._database.transaction() as db:
            return await NamespaceStore(db).registered(by.scope)

    async def find(self, code_or_id: str, *, by: Caller) -> Namespace:
        """Find a namespace by its code in any spelling, or by its number."""
        async with self._database.transaction() as db:
            return await NamespaceStore(db).find(by.scope, code_or_id)

    async def register(self, draft: NamespaceDraft, *, by: Caller) -> Namespace:
        """Register a custom namespace; refuses with AlreadyExists a code that is taken."""
        async with self._database.transaction() as db:
            made = await NamespaceStore(db).register(by.scope, draft)
            await AuditStore(db).note(by, Action.CREATE, ObjectKind.NAMESPACE, made.code)
            return made
