"""Home files stand beside store files and end with them; their labelling outlives others."""

from __future__ import annotations

from datetime import timedelta

import pytest

from catalog.home_files import FORMAT, NewHomeFile
from catalog.labellings import NewLabelling
from catalog.store.home_files import HomeFileStore
from catalog.store.labellings import LabellingStore
from catalog.store.store_files import StoreFileStore
from catalog.store_files import NewStoreFile, StoreFileKind
from tests.builders import a_job, a_loaded_batch


@pytest.fixture
def store(db):
    return HomeFileStore(db)


async def committed(db, scope, kind=StoreFileKind.EVENTS, rows=1):
    """A batch that brings one file to the profile store, as its snapshot has it."""
    batch = await a_loaded_batch(db, scope)
    file = NewStoreFile(kind=kind, key=f"{batch.id}-{kind}", size_bytes=1, row_count=rows)
    files = StoreFileStore(db)
    commit = await files.add(scope, batch.id, is_upsert=False, files=[file])
    (added,) = [one for one in await files.files_at(scope, commit) if one.key == file.key]
    return batch, added


async def labelled(db, scope, commit, *, rows=8, version="1"):
    """Save a labelling and give its key."""
    new = NewLabelling(
        commit=commit,
        engine_version=version,
        main_dataset_id="crm",
        key=f"labels-{commit}-{version}",
        size_bytes=10,
        row_count=rows,
    )
    job = await a_job(db, scope)
    await LabellingStore(db).save(scope, new, job_id=job.id)
    return new.key


def a_home(labelling_key, key="home"):
    return NewHomeFile(key=key, size_bytes=5, row_count=2, labelling_key=labelling_key)


async def keys_in(db, table):
    return {row["key"] for row in await db.fetch(f"SELECT key FROM {table}")}  # noqa: S608


async def test_a_snapshot_has_the_home_files_of_its_store_files(store, db, scope, foreign_scope):
    batch, file = await committed(db, scope)
    assert await store.add(scope, file.id, a_home(await labelled(db, scope, file.added)))
    (found,) = await store.at(scope, file.added)
    assert (found.store_file_key, found.key) == (file.key, "home")
    assert await store.at(scope, file.added - 1) == ()
    assert await store.at(foreign_scope, file.added) == ()
    removed = await StoreFileStore(db).remove(scope, [batch.id])
    assert await store.at(scope, removed) == ()
    assert await store.at(scope, removed - 1) == (found,)


async def test_a_store_file_has_one_home_file_for_as_long_as_it_lives(store, db, scope):
    _, file = await committed(db, scope)
    labelling = await labelled(db, scope, file.added)
    assert await store.add(scope, file.id, a_home(labelling))
    assert not await store.add(scope, file.id, a_home(labelling, key="other"))
    await db.execute("DELETE FROM store_files WHERE id = $1", file.id)
    assert await keys_in(db, "home_files") == set()
    assert {"home", file.key} <= await keys_in(db, "discarded_files")


async def test_a_home_file_of_another_format_is_not_read_and_makes_room_for_one_that_is(
    store, db, scope, foreign_scope
):
    _, file = await committed(db, scope)
    labelling = await labelled(db, scope, file.added)

    async def is_homeless():
        live = await StoreFileStore(db).live(horizon=timedelta(0), engine_version="1")
        return [one.is_homeless for one in live]

    assert await is_homeless() == [True]
    assert await store.add(scope, file.id, a_home(labelling))
    assert await is_homeless() == [False]
    for other in (FORMAT - 1, FORMAT + 1):
        await db.execute("UPDATE home_files SET format = $1", other)
        assert await store.at(scope, file.added) == ()
        assert await is_homeless() == [True]
        assert not await store.add(foreign_scope, file.id, a_home(labelling, key="strange"))
        assert not await store.at(foreign_scope, file.added)
        before = await keys_in(db, "home_files")
        assert await store.add(scope, file.id, a_home(labelling, key=f"home-{other}"))
        assert before <= await keys_in(db, "discarded_files")
        (found,) = await store.at(scope, file.added)
        assert found.key == f"home-{other}"
        assert await is_homeless() == [False]


async def test_strangers_add_none_and_nobody_by_a_labelling_that_is_gone(
    store, db, scope, foreign_scope
):
    _, file = await committed(db, scope)
    labelling = await labelled(db, scope, file.added)
    assert not await store.add(foreign_scope, file.id, a_home(labelling))
    assert not await store.add(scope, file.id, a_home("labels-that-are-gone"))


async def test_a_labelling_is_kept_while_a_home_file_goes_by_it(store, db, scope):
    _, file = await committed(db, scope)
    first = await labelled(db, scope, file.added)
    await store.add(scope, file.id, a_home(first))
    _, links = await committed(db, scope, StoreFileKind.LINKS)
    second = await labelled(db, scope, links.added)
    assert await keys_in(db, "labellings") == {first, second}
    await db.execute("DELETE FROM store_files WHERE id = $1", file.id)
    _, links = await committed(db, scope, StoreFileKind.LINKS)
    third = await labelled(db, scope, links.added)
    assert await keys_in(db, "labellings") == {third}


async def test_home_files_go_by_the_newest_labelling_unless_there_are_many_new_links(
    store, db, scope, foreign_scope
):
    _, file = await committed(db, scope)
    labelling = await labelled(db, scope, file.added, rows=16)

    async def found(commit, of=scope, version="1"):
        return await store.labelling_for(of, commit, engine_version=version)

    assert await found(file.added) == labelling
    assert await found(file.added - 1) is None
    assert await found(file.added, version="2") is None
    assert await found(file.added, of=foreign_scope) is None
    _, few = await committed(db, scope, StoreFileKind.LINKS, rows=2)
    assert await found(few.added) == labelling
    batch, more = await committed(db, scope, StoreFileKind.LINKS, rows=1)
    assert await found(more.added) is None
    assert await found(few.added) == labelling
    removed = await StoreFileStore(db).remove(scope, [batch.id])
    assert await found(removed) == labelling


async def test_nobody_is_brought_home_by_a_labelling_that_knows_nobody(store, db, scope):
    _, file = await committed(db, scope)
    await labelled(db, scope, file.added, rows=0)
    assert await store.labelling_for(scope, file.added, engine_version="1") is None
