"""Strangers, who name what is another sandbox's: they find nothing, and change nothing."""

from __future__ import annotations

from contextlib import suppress

from catalog.batches import BatchEvent, BatchId
from catalog.errors import NotFound, Stale
from catalog.jobs import JobError
from catalog.organisations import Scope
from catalog.store.batches import BatchStore
from catalog.store.database import Connection, Database
from catalog.store.erasure import ErasureStore
from catalog.store.home_files import HomeFileStore
from catalog.store.labellings import LabellingStore
from catalog.store.numberings import NumberingStore
from catalog.store.rebuilds import RebuildStore
from catalog.store.store_files import Compacted, StoreFileStore
from catalog.store_files import NewStoreFile
from service.engine.orders import ENGINE_VERSION
from tests.store.history.sandboxes import Sandbox

WHY = JobError(code="batch_deleted", message="it was deleted")


async def trespass(
    database: Database, stranger: Sandbox, owner: Sandbox, batch_id: str, how: str
) -> None:
    """Let a stranger take a batch back, replace it, delete it, or name its sandbox as their own."""
    ids = [BatchId(batch_id)]
    match how:
        case "revert":
            async with database.transaction() as db:
                withdrawn = await BatchStore(db).withdraw(
                    stranger.scope, ids, BatchEvent.REVERT, actor="eve"
                )
                commit = await StoreFileStore(db).remove(stranger.scope, ids)
            assert not withdrawn, "a stranger took a batch back"
            stranger.truth.note(commit)
        case "delete":
            async with database.transaction() as db:
                await ErasureStore(db).begin(stranger.scope)
                cancelled = await ErasureStore(db).erase(stranger.scope, ids, why=WHY, actor="eve")
                commit = await StoreFileStore(db).snapshot(stranger.scope)
            assert not cancelled, "a stranger had jobs cancelled"
            stranger.truth.note(commit)
        case "compact":
            with suppress(Stale):
                await _compact(database, stranger.scope, owner.scope)
                raise AssertionError("a stranger took the place of files")
        case "pretend":
            scope = Scope(
                organisation_id=stranger.scope.organisation_id,
                sandbox_id=owner.scope.sandbox_id,
                sandbox_name=owner.scope.sandbox_name,
            )
            if scope.organisation_id != owner.scope.organisation_id:
                await _find_nothing(database, scope, ids)


async def _compact(database: Database, scope: Scope, of: Scope) -> None:
    async with database.transaction() as db:
        files = await StoreFileStore(db).files_at(of, await StoreFileStore(db).snapshot(of))
        if not files:
            raise Stale("there are none")
        new = NewStoreFile(kind=files[0].kind, key="eve", size_bytes=1, row_count=0)
        replaced = tuple(file.id for file in files)
        compacted = Compacted(
            dataset_id=files[0].dataset_id, file=new, replaced=replaced, ingest_numbers=()
        )
        await StoreFileStore(db).compact(scope, [compacted])


async def _find_nothing(database: Database, scope: Scope, ids: list[BatchId]) -> None:
    """Ask for everything as if the sandbox were of another organisation."""
    with suppress(NotFound):
        async with database.transaction() as db:
            await StoreFileStore(db).remove(scope, ids)
        raise AssertionError("a stranger took a commit number")

    async def found(db: Connection) -> list[object]:
        last = 1 << 40
        return [
            await StoreFileStore(db).files_at(scope, last),
            await LabellingStore(db).newest(scope, last, engine_version=ENGINE_VERSION),
            await NumberingStore(db).newest(scope, last),
            await HomeFileStore(db).at(scope, last),
            await HomeFileStore(db).labelling_for(scope, last, engine_version=ENGINE_VERSION),
            await RebuildStore(db).lacking_at(scope, last),
        ]

    assert not any(await database.read(found)), "a stranger sees something"
