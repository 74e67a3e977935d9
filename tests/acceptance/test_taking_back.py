"""What is taken back leaves later exports, and only later ones."""

from __future__ import annotations

from tests.acceptance.workbench import (
    IMPORT,
    call,
    dataset_id,
    exported,
    reach,
    rows,
    send,
    submit,
    working,
)
from tests.surfaces.client import adobe, operations, running, settings

__all__ = ["adobe", "dataset_id", "operations", "running", "settings", "working"]


async def test_a_later_export_lacks_the_rows_of_a_reverted_batch_and_an_earlier_one_has_them(
    adobe, working, dataset_id
):
    async with working():
        first = await send(adobe, dataset_id, rows(ann="Rome", bob="Oslo"))
        second = await send(adobe, dataset_id, rows(ann="Bern", eve="Lima"))
        for batch_id in (first, second):
            await reach(adobe, f"/data/foundation/catalog/batches/{batch_id}", "success")
    # Nobody works now: the job pins its snapshot, and is run after the batch has gone.
    pinned = await submit(adobe)
    await call(adobe.post, f"{IMPORT}/{second}?action=REVERT")
    later = await submit(adobe)
    async with working():
        assert await exported(adobe, pinned) == {"ann": "Bern", "bob": "Oslo", "eve": "Lima"}
        assert await exported(adobe, later) == {"ann": "Rome", "bob": "Oslo"}


async def test_a_replay_takes_the_place_of_its_predecessors_in_one_step(adobe, working, dataset_id):
    async with working():
        kept = await send(adobe, dataset_id, rows(bob="Oslo"))
        old = await send(adobe, dataset_id, rows(ann="Rome", eve="Lima"), externalId="monday")
        await reach(adobe, f"/data/foundation/catalog/batches/{old}", "success")
        new = await send(
            adobe,
            dataset_id,
            rows(ann="Bern"),
            open_by=adobe.patch,
            replay={"predecessors": [f"${old}"], "reason": "replace"},
        )
        await reach(adobe, f"/data/foundation/catalog/batches/{new}", "success")
        for batch_id, status in ((old, "inactive"), (kept, "success")):
            await reach(adobe, f"/data/foundation/catalog/batches/{batch_id}", status)
        assert await exported(adobe, await submit(adobe)) == {"ann": "Bern", "bob": "Oslo"}
