"""Rebuilds as workers run them: however often one is cut off, it goes on where it was."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager

import pytest

from catalog.errors import Conflict
from catalog.jobs import JobError, JobEvent
from catalog.store.erasure import ErasureStore
from catalog.store.jobs import JobStore
from catalog.store.rebuilds import RebuildStore
from catalog.store_files import StoreFileKind
from service.engine.local import EngineDied
from service.engine.orders import IdentityRules, Limits, NewStoreFile, Promoted
from service.worker import rebuilds
from service.worker.claim import Claim
from service.worker.rebuilds import Rebuilds
from tests.builders import LEASE, WORKER
from tests.store.test_rebuilds import batches, claimed, read_at, store
from tests.worker import swept
from tests.worker.swept import files, on_disk, sweep

__all__ = ["batches", "files", "store", "sweep"]

KINDS = (StoreFileKind.EVENTS, StoreFileKind.IDENTITIES, StoreFileKind.LINKS)


class Engine:
    """Writes files that say nothing, and dies when it is to read so many batches in one attempt."""

    def __init__(self, files):
        self._files = files
        self.read = []
        self.dies_at = None

    @asynccontextmanager
    async def run(self, order):
        if len(self.read) == self.dies_at:
            raise EngineDied(-9)
        (upload,) = order.uploads
        self.read.append(upload.key)
        yield self._answers(order)

    async def _answers(self, order):
        made = [
            NewStoreFile(
                kind=kind,
                key=swept.store(self._files, f"{order.folder}/{kind}"),
                size_bytes=7,
                row_count=1,
                sha256="",
            )
            for kind in KINDS
        ]
        yield Promoted(store_files=tuple(made))


@pytest.fixture
def engine(files):
    return Engine(files)


@pytest.fixture
async def lacking(db, scope, store, batches):
    """Batches whose rows are in one file that lacks some, each with a file of its own."""
    for batch in batches:
        await db.execute(
            "INSERT INTO dataset_files (batch_id, number, name, key, size_bytes, row_count, sha256)"
            " VALUES ($1, 1, 'part', $1, 1, 1, '')",
            batch.id,
        )
    await store.remove(scope, [batches[3].id])
    return batches[:3]


async def attempted(database, job, engine):
    """Do what a worker does with a claim; return the batches that it read."""
    engine.read = []
    claim = Claim(database, job, lease=LEASE, heartbeat=LEASE, claimed_at=time.monotonic())
    await Rebuilds(engine, threads=1, rules=IdentityRules(), limits=Limits()).run(claim)
    return engine.read


async def cut_off(database, db, engine, *, after):
    """Do the first attempt of a rebuild, in which the engine dies; return what it had read."""
    engine.dies_at = after
    job = await claimed(db)
    with pytest.raises(EngineDied):
        await attempted(database, job, engine)
    engine.dies_at = None
    await JobStore(db).move(job, JobEvent.RELEASE, actor=WORKER)
    return engine.read


async def test_an_attempt_reads_the_batches_alone_that_none_before_it_has_read(
    database, db, scope, store, engine, lacking, sweep
):
    first = await cut_off(database, db, engine, after=2)
    assert first == [batch.id for batch in lacking[:2]]
    await sweep()
    job = await claimed(db)
    assert await attempted(database, job, engine) == [lacking[2].id]
    commit = await store.snapshot(scope)
    assert await read_at(store, scope, commit) == sorted(batch.id for batch in lacking)
    assert await RebuildStore(db).lacking_at(scope, commit) == ()


async def test_what_a_rebuild_has_kept_stays_until_it_has_ended_and_then_what_readers_find(
    database, db, scope, store, engine, lacking, files, sweep
):
    await cut_off(database, db, engine, after=2)
    job = await claimed(db)
    folder = await db.fetchval("SELECT key FROM folders")
    swept.store(files, f"{folder}/half")
    await sweep()
    kept = await db.fetch("SELECT key FROM rebuilt_files")
    assert on_disk(files) == {row["key"] for row in kept}
    assert len(kept) == 6
    await attempted(database, job, engine)
    await sweep()
    found = await store.files_at(scope, await store.snapshot(scope))
    assert {file.batch_id for file in found} == {batch.id for batch in lacking}
    assert on_disk(files) == {file.key for file in found}
    assert await db.fetchval("SELECT count(*) FROM rebuilt_files") == 0


async def test_what_a_rebuild_kept_that_failed_is_removed(
    database, db, engine, lacking, files, sweep
):
    assert lacking
    await cut_off(database, db, engine, after=2)
    await JobStore(db).move(await claimed(db), JobEvent.FAIL, actor=WORKER)
    assert on_disk(files)
    await sweep()
    assert on_disk(files) == set()
    assert await db.fetchval("SELECT count(*) FROM rebuilt_files") == 0


async def test_what_another_engine_made_is_made_again(
    database, db, scope, store, engine, lacking, monkeypatch
):
    await cut_off(database, db, engine, after=2)
    monkeypatch.setattr(rebuilds, "ENGINE_VERSION", "another")
    read = await attempted(database, await claimed(db), engine)
    assert read == [batch.id for batch in lacking]
    found = await read_at(store, scope, await store.snapshot(scope))
    assert found == sorted(batch.id for batch in lacking)


async def test_what_was_kept_of_a_batch_that_is_deleted_goes_at_once_and_is_not_read(
    database, db, scope, store, engine, lacking, files, sweep
):
    await cut_off(database, db, engine, after=2)
    async with database.transaction() as erasing:
        await ErasureStore(erasing).begin(scope)
        why = JobError(code="deleted", message="gone")
        await ErasureStore(erasing).erase(scope, [lacking[0].id], why=why, actor="amy")
    await sweep()
    left = {row["batch_id"] for row in await db.fetch("SELECT batch_id FROM rebuilt_files")}
    assert left == {lacking[1].id}
    assert len(on_disk(files)) == len(KINDS)
    assert await attempted(database, await claimed(db), engine) == [lacking[2].id]
    found = await read_at(store, scope, await store.snapshot(scope))
    assert found == sorted(batch.id for batch in lacking[1:])


async def test_who_has_lost_a_rebuild_keeps_nothing_of_it(db, lacking):
    lost = await claimed(db)
    await JobStore(db).move(lost, JobEvent.RELEASE, actor="reaper")
    job = await claimed(db)
    with pytest.raises(Conflict):
        await RebuildStore(db).keep(lost, lacking[0].id, [], engine_version="1")
    assert await RebuildStore(db).kept(job, engine_version="1") == {}
