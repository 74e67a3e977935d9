"""Segment jobs as workers run them: beside exports, reverts and each other, on real files."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from datetime import UTC, timedelta

import pytest

from catalog.errors import Conflict
from catalog.export_jobs import UNMERGED_POLICY
from catalog.jobs import JobEvent, JobState
from catalog.schemas import SEGMENT_MEMBERSHIP
from catalog.segment_jobs import SegmentCount
from catalog.store.jobs import JobStore
from catalog.store.labellings import LabellingStore
from catalog.store.memberships import MembershipStore
from catalog.store.numberings import NumberingStore
from catalog.store.segment_jobs import SegmentJobStore
from catalog.store.store_files import StoreFileStore
from service.engine.orders import ENGINE_VERSION, Failed, Fragments, memberships_of
from service.engine.segmenting import segment
from service.worker.attempts import AttemptFailed
from service.worker.claim import Claim
from service.worker.exports import PartSizes
from service.worker.segmentations import Segmentations
from service.worker.sweeping import Sweeper
from tests.builders import LEASE, WORKER, a_dataset, a_segment, a_segment_job
from tests.engine.builders import STITCHED, Store, a_batch, an_order, named, text
from tests.worker.swept import KEEPING
from tests.worker.test_compactions import ingest, revert

SIZES = PartSizes(
    part_row_count=1000, part_size_bytes=1 << 20, slice_size_bytes=1 << 20, labelling_size_bytes=1
)
FIELDS = (text("first"), text("last"), SEGMENT_MEMBERSHIP)


class InProcess:
    """Evaluates where the test is; what happens meanwhile happens before the end is told."""

    def __init__(self, files):
        self._files = files
        self.meanwhile = None
        self.failing = False

    @asynccontextmanager
    async def run(self, order):
        yield self._answers(order)

    async def _answers(self, order):
        answers = []
        segment(order, self._files, answers.append, lambda _: None)
        *told, done = answers
        for answer in told:
            yield answer
        if self.meanwhile is not None:
            await self.meanwhile()
        yield Failed(code="broken", message="it broke", is_final=False) if self.failing else done


@pytest.fixture
def runner(store: Store):
    return InProcess(store.files)


@pytest.fixture
async def dataset_id(db, scope):
    return await a_dataset(db, scope)


def a_row(*identities, **fields):
    return {"identityMap": named(*identities), **fields}


async def started(database, db):
    job = await JobStore(db).claim_next(WORKER, lease=LEASE)
    assert job is not None
    return Claim(database, job, lease=LEASE, heartbeat=LEASE, claimed_at=time.monotonic())


async def segmented(database, db, scope, runner, rules, **told):
    """Submit a segment job and do it as a worker does."""
    submitted = await a_segment_job(db, scope, rules=rules, profile_fields=FIELDS, **told)
    claim = await started(database, db)
    assert claim.job.id == submitted.job.id
    await worker(runner).run(claim)
    return await SegmentJobStore(db).find(scope, submitted.id)


def worker(runner):
    return Segmentations(runner, threads=1, sizes=SIZES, most_events=100)


async def known(db, scope, store, policy_id=UNMERGED_POLICY, **changes):
    """What an export of the last snapshot says of who belongs to what."""
    files = StoreFileStore(db)
    commit = await files.snapshot(scope)
    held = tuple(Fragments.of(file) for file in await files.files_at(scope, commit))
    sets = await MembershipStore(db).sets_at(scope, commit, policy_id)
    own, told = memberships_of(sets)
    batch = a_batch("any", 0, fields=FIELDS)
    order = an_order([batch], files=(*held, *own), membership_sets=told, **changes)
    return {row["first"]: shown(row) for row in store.export(order).rows}


def shown(row):
    told = (row.get("segmentMembership") or {}).get("ups", {})
    return {id: (one["status"], one["lastQualificationTime"]) for id, one in told.items()}


async def two_segments(db, scope):
    ids = [await a_segment(db, scope) for _ in range(2)]
    return {ids[0]: 'first = "Ann"', ids[1]: 'last = "A"'}


async def test_a_job_tells_who_belongs_and_counts_them(
    database,
    db,
    scope,
    store,
    runner,
    dataset_id,
):
    rules = await two_segments(db, scope)
    ann, last_a = rules
    people = [a_row("crm:1", first="Ann", last="A"), a_row("crm:2", "email:b", first="Bob")]
    await ingest(db, scope, store, dataset_id, *people)
    job = await segmented(database, db, scope, runner, rules)
    since = job.job.created_at.astimezone(UTC)
    assert await known(db, scope, store) == {
        "Ann": {ann: ("realized", since), last_a: ("realized", since)},
        "Bob": {},
    }
    assert job.job.state is JobState.SUCCEEDED
    assert job.counts is not None
    assert job.counts.profiles == {UNMERGED_POLICY: 2}
    assert job.counts.segments == dict.fromkeys(
        rules, SegmentCount(entered=1, by_namespace={"crm": 1})
    )
    assert await known(db, scope, store, "another") == {"Ann": {}, "Bob": {}}


async def test_a_later_job_goes_on_from_an_earlier_one_that_ended_after_it_was_submitted(
    database,
    db,
    scope,
    store,
    runner,
    dataset_id,
):
    (id, rule), _ = (await two_segments(db, scope)).items()
    await ingest(db, scope, store, dataset_id, a_row("crm:1", first="Ann"))
    first = await a_segment_job(db, scope, rules={id: rule}, profile_fields=FIELDS)
    second = await a_segment_job(db, scope, rules={id: rule}, profile_fields=FIELDS)
    await worker(runner).run(await started(database, db))
    await worker(runner).run(await started(database, db))
    since = first.job.created_at.astimezone(UTC)
    assert await known(db, scope, store) == {"Ann": {id: ("realized", since)}}
    counts = (await SegmentJobStore(db).find(scope, second.id)).counts
    assert counts is not None
    assert counts.segments[id].stayed == 1


async def test_memberships_follow_profiles_through_reverts(
    database,
    db,
    scope,
    store,
    runner,
    dataset_id,
):
    (id, rule), _ = (await two_segments(db, scope)).items()
    people = [a_row("crm:1", first="Ann"), a_row("crm:2", first="Bob")]
    await ingest(db, scope, store, dataset_id, *people)
    link, _ = await ingest(
        db, scope, store, await a_dataset(db, scope), a_row("crm:1", "crm:2", first="Ann")
    )
    policy = "timestampOrdered-pdg-mp"
    job = await segmented(database, db, scope, runner, {id: rule}, policy_id=policy)
    since = job.job.created_at.astimezone(UTC)
    stitched = {"policy_id": policy, "identity_graph": STITCHED}
    assert await known(db, scope, store, **stitched) == {"Ann": {id: ("realized", since)}}
    await revert(db, scope, link)
    found = await known(db, scope, store, **stitched)
    # What represented the two belongs on; the other never was asked about.
    assert sorted(found) == ["Ann", "Bob"]
    assert sorted(map(len, found.values())) == [0, 1]
    again = await segmented(database, db, scope, runner, {id: rule}, policy_id=policy)
    assert again.counts is not None
    count = again.counts.segments[id]
    assert count.member_count == 1
    assert count.entered == count.left


async def test_a_job_saves_who_is_who_and_gives_them_numbers(
    database,
    db,
    scope,
    store,
    runner,
    dataset_id,
):
    (id, rule), _ = (await two_segments(db, scope)).items()
    await ingest(db, scope, store, dataset_id, a_row("crm:1", "crm:2", first="Ann"))
    await segmented(database, db, scope, runner, {id: rule}, policy_id="timestampOrdered-pdg-mp")
    commit = await StoreFileStore(db).snapshot(scope)
    found = await LabellingStore(db).newest(scope, commit, engine_version=ENGINE_VERSION)
    numbering = await NumberingStore(db).newest(scope, commit)
    assert found is not None
    assert numbering is not None
    assert numbering.is_current
    await swept(database, store)
    for key in (found.key, numbering.key, numbering.merged_key):
        assert store.files.exists(key)


async def swept(database, store):
    await Sweeper(database, store.files, KEEPING, actor="test").sweep(is_eager=True)


def files_below(store):
    return [key for key in store.files.below("") if "/memberships-" in key]


async def test_what_no_job_needs_any_more_is_swept(
    database,
    db,
    scope,
    store,
    runner,
    dataset_id,
):
    (id, rule), _ = (await two_segments(db, scope)).items()
    await ingest(db, scope, store, dataset_id, a_row("crm:1", first="Ann"))
    await segmented(database, db, scope, runner, {id: rule})
    await swept(database, store)
    before = files_below(store)
    assert len(before) == 1
    await segmented(database, db, scope, runner, {id: rule})
    await swept(database, store)
    after = files_below(store)
    assert len(after) == 1
    assert after != before
    assert (await known(db, scope, store))["Ann"]


async def test_what_a_failed_attempt_wrote_counts_for_nothing_and_is_swept(
    database,
    db,
    scope,
    store,
    runner,
    dataset_id,
):
    (id, rule), _ = (await two_segments(db, scope)).items()
    await ingest(db, scope, store, dataset_id, a_row("crm:1", first="Ann"))
    runner.failing = True
    with pytest.raises(AttemptFailed):
        await segmented(database, db, scope, runner, {id: rule})
    assert len(files_below(store)) == 1
    await db.execute("UPDATE jobs SET attempt = attempt + 1")
    await swept(database, store)
    assert files_below(store) == []
    assert await known(db, scope, store) == {"Ann": {}}


async def test_a_cancelled_job_tells_nothing(
    database,
    db,
    scope,
    store,
    runner,
    dataset_id,
):
    (id, rule), _ = (await two_segments(db, scope)).items()
    await ingest(db, scope, store, dataset_id, a_row("crm:1", first="Ann"))
    submitted = await a_segment_job(db, scope, rules={id: rule}, profile_fields=FIELDS)
    claim = await started(database, db)

    async def cancel():
        await JobStore(db).move(claim.job, JobEvent.CANCEL, actor="amy", is_fenced=False)

    runner.meanwhile = cancel
    with pytest.raises(Conflict):
        await worker(runner).run(claim)
    found = await SegmentJobStore(db).find(scope, submitted.id)
    assert (found.job.state, found.counts) == (JobState.CANCELLED, None)
    assert await known(db, scope, store) == {"Ann": {}}


async def test_an_attempt_that_lost_its_lease_tells_nothing(
    database,
    db,
    scope,
    store,
    runner,
    dataset_id,
):
    (id, rule), _ = (await two_segments(db, scope)).items()
    await ingest(db, scope, store, dataset_id, a_row("crm:1", first="Ann"))
    await a_segment_job(db, scope, rules={id: rule}, profile_fields=FIELDS)
    slow = await started(database, db)
    await JobStore(db).move(slow.job, JobEvent.RELEASE, actor="reaper", delay=timedelta(0))
    quick = await started(database, db)
    with pytest.raises(Conflict):
        await worker(runner).run(slow)
    assert await known(db, scope, store) == {"Ann": {}}
    await worker(runner).run(quick)
    assert (await known(db, scope, store))["Ann"]
