"""What an export worked out of who is who is there for the next one."""

import time
from contextlib import asynccontextmanager

from catalog.store.labellings import LabellingStore
from service.engine.orders import ENGINE_VERSION, Done, NewLabelling, Part, Planned
from service.worker.claim import Claim
from service.worker.exports import Exports, PartSizes
from tests.builders import LEASE, a_job
from tests.worker.test_exports import ORDER

MADE = NewLabelling(key="labels", size_bytes=36, row_count=1, sha256="00", main_dataset_id="crm")
PART = Part(number=0, key="part", size_bytes=1, row_count=1, sha256="00", counters={"profiles": 1})
SIZES = PartSizes(part_row_count=1, part_size_bytes=1, slice_size_bytes=1, labelling_size_bytes=7)


class Engine:
    """Plans with a labelling of its own unless the order has one; keeps the orders it is given."""

    def __init__(self):
        self.orders = []

    @asynccontextmanager
    async def run(self, order):
        self.orders.append(order)
        yield self._answers(MADE if order.labelling is None else None)

    async def _answers(self, labelling):
        yield Planned(key="plan", engine_version=ENGINE_VERSION, task_count=1, labelling=labelling)
        yield PART
        yield Done(exclusions=(None,))


async def exported(database, db, scope, engine):
    job = await a_job(db, scope, order=ORDER, is_claimed=True)
    claim = Claim(database, job, lease=LEASE, heartbeat=LEASE, claimed_at=time.monotonic())
    await Exports(engine, threads=1, sizes=SIZES).run(claim)
    return engine.orders[-1]


async def test_an_export_saves_the_labelling_it_made_and_the_next_starts_from_it(
    database, db, scope
):
    engine = Engine()
    first = await exported(database, db, scope, engine)
    assert first.labelling is None
    assert first.labelling_size_bytes == 7
    saved = await LabellingStore(db).newest(scope, 0, engine_version=ENGINE_VERSION)
    assert (saved.key, saved.commit, saved.main_dataset_id) == ("labels", 0, "crm")
    second = await exported(database, db, scope, engine)
    assert (second.labelling.key, second.labelling.commit) == ("labels", 0)
