"""What the sweeper makes of batches: given up, erased past their horizon, kept while pinned."""

from __future__ import annotations

import pytest

from catalog.batches import BatchState, Upload
from catalog.jobs import JobEvent, JobKind
from catalog.store.batches import BatchStore
from catalog.store.jobs import JobStore
from catalog.store.store_files import StoreFileStore
from catalog.store.sweeping import SweepingStore
from service.worker.sweeping import Keeping
from tests.builders import a_batch, a_dataset, a_job
from tests.worker.swept import (
    DAY,
    KEEPING,
    a_promoted_batch,
    a_succeeded_export,
    files,
    finished_ago,
    on_disk,
    revert,
    sweep,
)

__all__ = ["files", "sweep"]


async def test_a_batch_nobody_completes_is_given_up(db, scope, sweep):
    touched, abandoned = await a_batch(db, scope), await a_batch(db, scope)
    for batch in (touched, abandoned):
        await db.execute(
            "UPDATE batches SET updated_at = now() - interval '31 days' WHERE id = $1", batch.id
        )
    upload = Upload(path="a", key="k", size_bytes=7)
    await BatchStore(db).keep_upload(touched.id, upload, sha256="ab")
    assert (await sweep())["batches_given_up"] == 1
    batches = BatchStore(db)
    assert (await batches.find(scope, touched.id)).state is BatchState.LOADING
    found = await batches.find(scope, abandoned.id)
    assert found.state is BatchState.ABORTED
    assert [error.code for error in found.errors] == ["never_completed"]


async def test_what_a_revert_hid_is_erased_past_the_horizon(db, scope, files, sweep):
    batch, named = await a_promoted_batch(db, files, scope)
    await revert(db, scope, batch)
    await sweep()
    assert on_disk(files) == {named["upload"], named["shown"]}
    await finished_ago(db, batch, KEEPING.reverted)
    await sweep()
    assert on_disk(files) == set()


async def test_store_files_stay_while_an_export_has_pinned_them(db, scope, files, sweep):
    batch, named = await a_promoted_batch(db, files, scope)
    pinning = await a_job(db, scope)
    await db.execute("UPDATE jobs SET snapshot = 1 WHERE id = $1", pinning.id)
    await revert(db, scope, batch)
    await sweep()
    assert named["stored"] in on_disk(files)
    await JobStore(db).move(pinning, JobEvent.CANCEL, actor="amy", is_fenced=False)
    assert (await sweep())["store_files"] == 1
    assert named["stored"] not in on_disk(files)


async def test_an_export_that_pins_later_or_elsewhere_keeps_nothing(
    db, scope, foreign_scope, files, sweep
):
    batch, named = await a_promoted_batch(db, files, scope)
    await revert(db, scope, batch)
    later, elsewhere = await a_job(db, scope), await a_job(db, foreign_scope)
    await db.execute("UPDATE jobs SET snapshot = 2 WHERE id = $1", later.id)
    await db.execute("UPDATE jobs SET snapshot = 1 WHERE id = $1", elsewhere.id)
    await sweep()
    assert named["stored"] not in on_disk(files)


async def test_a_submission_under_way_is_waited_for(database, db, scope, files):
    """Its pin cannot be seen yet, and what it pins must not go."""
    batch, named = await a_promoted_batch(db, files, scope)
    async with database.transaction() as submitting:
        snapshot = await StoreFileStore(submitting).snapshot(scope)
        await revert(db, scope, batch)
        async with database.transaction() as sweeping:
            await sweeping.execute("SET LOCAL lock_timeout = '50ms'")
            with pytest.raises(Exception, match="lock timeout"):
                await SweepingStore(sweeping).forget_superseded(scope.sandbox_id, most=9)
            await sweeping.execute("ROLLBACK AND CHAIN")
        await JobStore(submitting).submit(
            scope,
            kind=JobKind.EXPORT,
            dataset_id=batch.dataset_id,
            order={},
            snapshot=snapshot,
            actor="amy",
            request_id="r",
        )
    async with database.transaction() as sweeping:
        assert await SweepingStore(sweeping).forget_superseded(scope.sandbox_id, most=9) == 0
    assert named["stored"] in on_disk(files)


async def test_what_is_told_about_a_batch_goes_after_a_while(db, scope, files, sweep):
    _, batch, shown = await a_succeeded_export(db, files, scope)
    await finished_ago(db, batch, KEEPING.diagnostics)
    assert (await sweep())["meta_files"] == 1
    assert on_disk(files) == {key for key in shown if "exclusions" not in key}


@pytest.mark.parametrize(
    ("extensions", "keeping", "is_kept"),
    [
        ("P30D", None, False),
        ("P1Y", None, True),
        ("P1Y", 30 * DAY, True),
        (None, 30 * DAY, False),
        (None, None, True),
        ("soon", None, True),
        ("P", None, True),
    ],
)
async def test_a_data_set_keeps_rows_as_long_as_it_says(
    db, scope, files, sweep, extensions, keeping, is_kept
):
    dataset_id = await a_dataset(db, scope)
    if extensions is not None:
        lake = {"adobe_lakeHouse": {"rowExpiration": {"ttlValue": extensions}}}
        await db.execute(
            "UPDATE datasets SET extras = $2 WHERE id = $1", dataset_id, {"extensions": lake}
        )
    batch, named = await a_promoted_batch(db, files, scope, dataset_id=dataset_id)
    await finished_ago(db, batch, 31 * DAY)
    swept = await sweep(
        Keeping(loading=DAY, uploads=365 * DAY, reverted=365 * DAY, diagnostics=DAY, rows=keeping)
    )
    assert swept["batches_expired"] == (not is_kept)
    state = (await BatchStore(db).find(scope, batch.id)).state
    assert state is (BatchState.ACTIVE if is_kept else BatchState.INACTIVE)
    rows = {named["shown"], named["stored"]} if is_kept else set()
    assert on_disk(files) == {named["upload"], *rows}


async def test_a_deleted_batch_is_erased_at_once(db, scope, files, sweep):
    batch, _ = await a_promoted_batch(db, files, scope)
    await revert(db, scope, batch)
    await db.execute("UPDATE batches SET deleted_at = now()")
    await sweep()
    assert on_disk(files) == set()
