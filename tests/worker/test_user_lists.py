"""User lists: what they rest on, numbers that two jobs give at a time, and one file in the end."""

import time
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from catalog.errors import NotFound
from catalog.jobs import JobKind, JobState
from catalog.merge_policies import AttributeMerge, IdentityGraph
from catalog.numberings import NewNumbering
from catalog.store.jobs import JobStore
from catalog.store.numberings import NumberingStore
from catalog.store.plans import PlanStore
from catalog.store.user_lists import UserListStore
from catalog.user_lists import ListStage
from service.engine import orders
from service.engine.orders import ENGINE_VERSION, Done, Part, Planned, Selection, Table, TableColumn
from service.engine.orders.tables import Source
from service.worker.attempts import AttemptFailed
from service.worker.claim import Claim
from service.worker.exports import Exports, PartSizes
from service.worker.numberings import Overtaken, keep_numbering
from tests.builders import LEASE, WORKER

SIZES = PartSizes(part_row_count=1, part_size_bytes=1, slice_size_bytes=1, labelling_size_bytes=1)
NUMBER = TableColumn(key="gio_id", header="gio_id", source=Source.GIO_ID)


def an_order(**told):
    selection = Selection(
        profile_fields=(),
        event_fields=(),
        identity_graph=IdentityGraph.PRIVATE,
        attribute_merge=AttributeMerge.TIMESTAMP_ORDERED,
        table=Table(columns=(NUMBER,)),
    )
    user_list = {
        "kind": "DES",
        "space": None,
        "format": "csv",
        "charset": "UTF-8",
        "file_name": "all.csv",
        "segment": None,
        "properties": {},
    }
    return {
        "user_list": {**user_list, **told},
        "merge_policy_id": "timestampOrdered-pdg-mp",
        "merge_policy_version": 1,
        "selection": selection.model_dump(mode="json"),
    }


#: Numbers that another job gave.
THEIRS = NewNumbering(
    commit=0,
    key="theirs",
    size_bytes=1,
    row_count=1,
    merged_key="theirs.merged",
    merged_count=0,
    next_number=100,
)


async def a_list(db, scope, **told):
    await JobStore(db).submit(
        scope,
        kind=JobKind.USER_LIST,
        dataset_id=None,
        order=an_order(**told),
        snapshot=0,
        actor="test",
        request_id="r-1",
    )
    return await JobStore(db).claim_next(WORKER, lease=LEASE)


class Engine:
    """Gives numbers on top of those it is told of, and writes two parts."""

    def __init__(self, meanwhile=None):
        self.orders = []
        self._meanwhile = meanwhile

    @asynccontextmanager
    async def run(self, order):
        self.orders.append(order)
        yield self._answers(order)

    async def _answers(self, order):
        base, attempt = order.numbering, len(self.orders)
        if self._meanwhile is not None and attempt == 1:
            await self._meanwhile()
        key = f"{order.folder}/numbers"
        numbering = orders.NewNumbering(
            key=key,
            size_bytes=1,
            row_count=1,
            sha256="00",
            merged_key=f"{key}.merged",
            merged_count=0,
            next_number=(base.next_number if base else 1) + 5,
            base_key=base.key if base else None,
        )
        yield Planned(
            key=f"{order.folder}/plan",
            engine_version=ENGINE_VERSION,
            task_count=2,
            numbering=numbering,
            numbers=key,
        )
        for number in (1, 0):
            yield Part(
                number=number,
                key=f"{order.folder}/part-{number}",
                size_bytes=7 + number,
                row_count=number,
                sha256="00",
                counters={"profiles": number},
            )
        yield Done(exclusions=(None,))


async def listed(database, job, engine):
    claim = Claim(database, job, lease=LEASE, heartbeat=LEASE, claimed_at=time.monotonic())
    await Exports(engine, threads=1, sizes=SIZES).run(claim)


async def test_a_list_is_its_parts_in_order_the_first_one_also_without_rows(database, db, scope):
    job = await a_list(db, scope)
    await listed(database, job, Engine())
    found = await UserListStore(db).find(scope.organisation_id, job.id)
    assert found.stage is ListStage.FINISH
    assert [piece.size_bytes for piece in found.pieces] == [7, 8]
    assert found.size_bytes == 15
    same = await UserListStore(db).find_by_path(scope.organisation_id, found.path)
    assert same == found


async def test_the_next_list_goes_on_from_the_numbers_of_the_last(database, db, scope):
    first, second = Engine(), Engine()
    await listed(database, await a_list(db, scope), first)
    await listed(database, await a_list(db, scope), second)
    assert first.orders[0].numbering is None
    assert second.orders[0].numbering.next_number == 6
    assert second.orders[0].numbering.is_current
    newest = await NumberingStore(db).newest(scope, 0)
    assert newest.next_number == 11
    assert [row["key"] for row in await db.fetch("SELECT key FROM numberings")] == [newest.key]


async def test_who_is_overtaken_in_giving_numbers_plans_again_on_top(database, db, scope):
    async def another_job():
        assert await NumberingStore(db).save(scope, THEIRS, base_key=None)

    engine = Engine(another_job)
    job = await a_list(db, scope)
    await listed(database, job, engine)
    assert [order.numbering and order.numbering.next_number for order in engine.orders] == [
        None,
        100,
    ]
    assert engine.orders[0].folder != engine.orders[1].folder
    assert (await NumberingStore(db).newest(scope, 0)).next_number == 105
    plan = await PlanStore(db).find(job)
    assert plan.key.startswith(engine.orders[1].folder)


async def test_who_shows_no_numbers_goes_on_though_others_gave_some_meanwhile(db, scope):
    job = await a_list(db, scope)
    numbers = NumberingStore(db)
    assert await numbers.save(scope, THEIRS, base_key=None)
    made = orders.NewNumbering(
        key="ours",
        size_bytes=1,
        row_count=1,
        sha256="00",
        merged_key="ours.merged",
        merged_count=0,
        next_number=5,
        base_key=None,
    )
    planned = Planned(key="p", engine_version=ENGINE_VERSION, task_count=1, numbering=made)
    await keep_numbering(job, 0, planned, db)
    assert (await numbers.newest(scope, 0)).key == "theirs"
    with pytest.raises(Overtaken):
        await keep_numbering(job, 0, planned.model_copy(update={"numbers": "ours"}), db)


async def test_a_segment_that_was_never_computed_ends_a_list_with_what_to_do(database, db, scope):
    job = await a_list(db, scope, segment="nobody asked")
    with pytest.raises(AttemptFailed, match="never been computed: compute it") as refused:
        await listed(database, job, Engine())
    assert refused.value.is_final


async def test_a_property_that_was_deleted_ends_a_list_with_its_key(database, db, scope):
    job = await a_list(db, scope, properties={"usr_gone": 4})
    with pytest.raises(AttemptFailed, match="usr_gone was deleted") as refused:
        await listed(database, job, Engine())
    assert refused.value.is_final


async def test_a_foreign_organisation_has_no_such_list(database, db, scope, foreign_scope):
    job = await a_list(db, scope)
    await listed(database, job, Engine())
    found = await UserListStore(db).find(scope.organisation_id, job.id)
    with pytest.raises(NotFound):
        await UserListStore(db).find(foreign_scope.organisation_id, job.id)
    with pytest.raises(NotFound):
        await UserListStore(db).find_by_path(foreign_scope.organisation_id, found.path)


async def test_files_of_lists_have_their_time(database, db, scope):
    job = await a_list(db, scope)
    await listed(database, job, Engine())
    lists = UserListStore(db)
    assert await lists.erase(timedelta(days=1), most=10) == 0
    assert await lists.erase(timedelta(0), most=1) == 2, "a part of a file is no file"
    found = await lists.find(scope.organisation_id, job.id)
    assert (found.stage, found.pieces) == (ListStage.FINISH, ())
    assert found.message == "the file had its time and was removed"
    assert found.job.state is JobState.SUCCEEDED
    discarded = {row["key"] for row in await db.fetch("SELECT key FROM discarded_files")}
    assert len(discarded) == 2
