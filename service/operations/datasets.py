"""What callers may ask about data sets."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace

from catalog.audit import Action, ObjectKind
from catalog.datasets import (
    PROFILE_TAG,
    TABLE_TAG,
    Dataset,
    DatasetDraft,
    DatasetId,
    DatasetInUse,
    ListedFile,
    says,
    table_name,
)
from catalog.errors import InvalidField, NotFound
from catalog.filters import Wanted
from catalog.jobs import JobError
from catalog.organisations import Caller, Scope
from catalog.schemas import UNION_OF, Schema, SchemaId
from catalog.store.audit import AuditStore
from catalog.store.database import Connection, Database, tried
from catalog.store.dataset_files import DatasetFileStore
from catalog.store.datasets import DatasetStore
from catalog.store.erasure import ErasureStore
from catalog.store.schemas import SchemaStore
from catalog.terms import UNCONDITIONALLY, Terms


class Datasets:
    """Make data sets, change what is said of them, and list them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, draft: DatasetDraft, *, terms: Terms = UNCONDITIONALLY, by: Caller
    ) -> Dataset:
        """Make a data set; refuses one whose schema is unknown or, if enabled, not in the union."""
        id = DatasetId(secrets.token_hex(12))
        async with self._database.transaction() as db, tried(db, is_trial=terms.is_trial):
            named = replace(
                draft,
                name=draft.name or id,
                feeds_profiles=await _may_feed_profiles(db, draft, by.scope),
            )
            tags = await _with_table(db, named, id, by.scope)
            made = await DatasetStore(db).add(
                by.scope, id, replace(named, tags=tags), actor=by.client_id
            )
            await AuditStore(db).note(by, Action.CREATE, ObjectKind.DATASET, id)
            return made

    async def find(self, id: DatasetId, *, by: Caller) -> DatasetInUse:
        async with self._database.transaction() as db:
            return await DatasetStore(db).in_use(by.scope, id)

    async def page(
        self, wanted: Wanted, *, limit: int, skip: int, by: Caller
    ) -> tuple[DatasetInUse, ...]:
        """One page of the data sets that pass a filter."""
        async with self._database.transaction() as db:
            return await DatasetStore(db).page(by.scope, wanted, limit=limit, skip=skip)

    async def files(
        self, wanted: Wanted, *, of: DatasetId | None = None, limit: int, skip: int, by: Caller
    ) -> tuple[ListedFile, ...]:
        """One page of the files readers find in a data set, or in all of them."""
        async with self._database.transaction() as db:
            if of is not None:
                await DatasetStore(db).find(by.scope, of)
            return await DatasetFileStore(db).page(by.scope, wanted, limit=limit, skip=skip)

    async def revise(
        self,
        id: DatasetId,
        change: Callable[[Dataset], DatasetDraft],
        *,
        terms: Terms = UNCONDITIONALLY,
        by: Caller,
    ) -> Dataset:
        """Change what is said of a data set, by a pure function from what it is.

        Refuses another schema, and enabling for profiles a data set whose schema is not in the
        union. What was ingested before is not touched.
        """
        async with self._database.transaction() as db, tried(db, is_trial=terms.is_trial):
            datasets = DatasetStore(db)
            old = await datasets.lock(by.scope, id)
            terms.admit("data set", id, old.version)
            draft = change(old)
            if draft.schema_id != old.schema_id:
                raise InvalidField(
                    "schemaRef.id", f"data set {id} has the schema {old.schema_id} for good"
                )
            named = replace(
                draft,
                name=draft.name or id,
                feeds_profiles=await _may_feed_profiles(db, draft, by.scope),
            )
            tags = await _with_table(db, named, id, by.scope)
            await AuditStore(db).note(by, Action.CHANGE, ObjectKind.DATASET, id)
            return await datasets.revise(
                by.scope, id, replace(named, tags=tags), actor=by.client_id
            )

    async def delete(self, id: DatasetId, *, terms: Terms = UNCONDITIONALLY, by: Caller) -> Dataset:
        """Erase a data set: it, its batches and their rows are gone for every reader.

        Whatever fills it, and every export that had pinned its rows, is cancelled and says why.
        Links between identities that only its rows knew are gone from exports to come.
        """
        async with self._database.transaction() as db, tried(db, is_trial=terms.is_trial):
            erasure, datasets = ErasureStore(db), DatasetStore(db)
            await erasure.begin(by.scope)
            old = await datasets.lock(by.scope, id)
            terms.admit("data set", id, old.version)
            why = JobError(code="dataset_deleted", message=f"data set {id} was deleted")
            batch_ids = await erasure.batches_of(by.scope, id)
            cancelled = await erasure.erase(by.scope, batch_ids, why=why, actor=by.client_id)
            await datasets.delete(by.scope, id, actor=by.client_id)
            await AuditStore(db).note(
                by, Action.REMOVE, ObjectKind.DATASET, id, cancelled_jobs=list(cancelled)
            )
            return old


async def _may_feed_profiles(db: Connection, draft: DatasetDraft, scope: Scope) -> bool:
    """Whether rows can be about people, by the class of the schema. Refuses a schema that is not
    there and, of a data set that is enabled, one that is not in the union.

    Data sets on the union itself, which exports fill, may say that they are enabled; it has no
    effect.
    """
    schema = await _schema(db, draft.schema_id, scope)
    if schema is None:
        return False
    if says(draft.tags, "enabled") and not schema.is_union:
        raise InvalidField(
            f"tags.{PROFILE_TAG}",
            "To enable profile datasets the schema should be valid: "
            f'schema {schema.title!r} does not have "union" among its meta:immutableTags',
        )
    return schema.is_about_people


async def _schema(db: Connection, id: SchemaId, scope: Scope) -> Schema | None:
    """The schema by its id, or None when it is one of the unions, which are no rows."""
    if id in UNION_OF.values():
        return None
    try:
        found = await SchemaStore(db).hold(scope, id)
    except NotFound as missing:
        raise InvalidField("schemaRef.id", str(missing)) from missing
    if found.id != id:
        raise InvalidField("schemaRef.id", f"must be the schema's $id: {found.id}")
    return found


async def _with_table(
    db: Connection, draft: DatasetDraft, id: DatasetId, scope: Scope
) -> Mapping[str, list[str]]:
    """The tags with a name for the data set as a table, made of its own name if none is given."""
    if draft.tags.get(TABLE_TAG):
        return draft.tags
    table = table_name(draft.name)
    if await DatasetStore(db).has_table(scope, table):
        table = f"{table}_{id[-6:]}"
    return {**draft.tags, TABLE_TAG: [table]}
