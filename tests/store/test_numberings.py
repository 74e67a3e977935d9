"""Saved numberings: the newest says all there is to say until a file comes or goes."""

from __future__ import annotations

import pytest

from catalog.numberings import NewNumbering
from catalog.store.numberings import NumberingStore
from catalog.store.store_files import StoreFileStore
from catalog.store.sweeping import SweepingStore
from catalog.store_files import NewStoreFile, StoreFileKind
from tests.builders import a_loaded_batch


@pytest.fixture
def store(db):
    return StoreFileStore(db)


@pytest.fixture
async def batch(db, scope):
    return await a_loaded_batch(db, scope)


@pytest.fixture
async def numbered(db, scope, store, batch):
    """The commit by which a batch came, of which all are numbered."""
    file = NewStoreFile(kind=StoreFileKind.IDENTITIES, key="file", size_bytes=1, row_count=1)
    commit = await store.add(scope, batch.id, is_upsert=False, files=[file])
    new = NewNumbering(
        commit=commit,
        key="numbers",
        size_bytes=1,
        row_count=1,
        merged_key="merged",
        merged_count=0,
        next_number=2,
    )
    assert await NumberingStore(db).save(scope, new, base_key=None)
    return commit


async def is_current(db, scope, commit):
    newest = await NumberingStore(db).newest(scope, commit)
    assert newest is not None
    return newest.is_current


async def test_a_numbering_is_current_until_a_file_comes_or_goes(
    db, scope, foreign_scope, store, batch, numbered
):
    assert await is_current(db, scope, numbered)
    assert not await is_current(db, scope, numbered - 1)
    assert await NumberingStore(db).newest(foreign_scope, numbered) is None
    beside = await store.next_commit(scope, is_of_files=False)
    assert await is_current(db, scope, beside)
    removed = await store.remove(scope, [batch.id])
    assert not await is_current(db, scope, removed)


async def test_a_numbering_is_not_current_again_when_what_went_is_swept(
    db, scope, store, batch, numbered
):
    removed = await store.remove(scope, [batch.id])
    assert removed > numbered
    assert await SweepingStore(db).forget_superseded(scope.sandbox_id, most=10) == 1
    assert not await is_current(db, scope, removed)
