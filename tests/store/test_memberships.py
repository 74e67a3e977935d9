"""Membership sets: which of them count in which snapshot, and when they go."""

from datetime import UTC, datetime

import pytest

from catalog.jobs import JobEvent, JobKind
from catalog.memberships import MembershipFile, NewMembershipSet
from catalog.segment_jobs import SegmentJobFilter, SegmentJobId, SegmentJobSort
from catalog.store.jobs import JobStore
from catalog.store.memberships import MembershipStore
from catalog.store.segment_jobs import SegmentJobStore
from catalog.store.segments import SegmentStore
from catalog.store.store_files import StoreFileStore
from catalog.store.sweeping import SweepingStore
from tests.builders import LEASE, WORKER, a_job, a_segment, a_segment_job

POLICY = "timestampOrdered-none-mp"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def memberships(db):
    return MembershipStore(db)


async def evaluated(db, scope, *ids, key, policy_id=POLICY):
    """Let a job tell of some segments, in one file; return the commit number and the job."""
    submitted = await a_segment_job(db, scope, rules=dict.fromkeys(ids, "true"))
    job = await JobStore(db).claim_next(WORKER, lease=LEASE)
    assert job is not None
    assert job.id == submitted.job.id
    await JobStore(db).move(job, JobEvent.COMPLETE, actor=WORKER)
    new = NewMembershipSet(
        merge_policy_id=policy_id,
        evaluated_at=NOON,
        segment_ids=ids,
        files=(MembershipFile(key=key, size_bytes=100, row_count=1),),
    )
    return await MembershipStore(db).add(job, [new])


async def counting(memberships, scope, commit, policy_id=POLICY):
    """What counts in a snapshot: the segments of each file."""
    sets = await memberships.sets_at(scope, commit, policy_id)
    return [(one.files[0].key, sorted(one.segment_ids.values())) for one in sets]


async def test_of_each_segment_the_newest_job_counts(memberships, db, scope):
    a, b, c = sorted([await a_segment(db, scope) for _ in range(3)])
    first = await evaluated(db, scope, a, b, key="one")
    second = await evaluated(db, scope, b, c, key="two")
    assert await counting(memberships, scope, first - 1) == []
    assert await counting(memberships, scope, first) == [("one", [a, b])]
    assert await counting(memberships, scope, second) == [("one", [a]), ("two", [b, c])]
    assert await counting(memberships, scope, second, "other") == []


async def test_a_segment_that_moves_to_another_policy_leaves_the_first(memberships, db, scope):
    segment = await a_segment(db, scope)
    await evaluated(db, scope, segment, key="one")
    last = await evaluated(db, scope, segment, key="two", policy_id="other")
    assert await counting(memberships, scope, last) == []
    assert await counting(memberships, scope, last, "other") == [("two", [segment])]


async def test_memberships_of_a_deleted_segment_are_gone_at_once(memberships, db, scope):
    a, b = sorted([await a_segment(db, scope) for _ in range(2)])
    before = await evaluated(db, scope, a, b, key="one")
    after = await memberships.forget(scope, [a])
    assert await counting(memberships, scope, before) == [("one", [a, b])]
    assert await counting(memberships, scope, after) == [("one", [b])]
    last = await memberships.forget(scope, [b])
    assert await counting(memberships, scope, last) == []


async def test_a_segment_that_was_deleted_while_its_job_ran_never_counts(memberships, db, scope):
    a, b = sorted([await a_segment(db, scope) for _ in range(2)])
    await SegmentStore(db).remove(scope, a)
    commit = await evaluated(db, scope, a, b, key="one")
    assert await counting(memberships, scope, commit) == [("one", [b])]


async def test_superseded_sets_go_with_their_files_once_nobody_has_pinned_them(db, scope):
    segment = await a_segment(db, scope)
    await evaluated(db, scope, segment, key="one")
    export = await a_job(db, scope)
    await db.execute(
        "UPDATE jobs SET snapshot = $1 WHERE id = $2",
        await StoreFileStore(db).snapshot(scope),
        export.id,
    )
    export = await JobStore(db).claim_next(WORKER, lease=LEASE)
    assert export is not None
    await evaluated(db, scope, segment, key="two")
    sweeping = SweepingStore(db)
    assert await sweeping.sandboxes_with_superseded() == (scope.sandbox_id,)
    assert await sweeping.forget_superseded(scope.sandbox_id, most=10) == 0
    await JobStore(db).move(export, JobEvent.COMPLETE, actor=WORKER)
    assert await sweeping.forget_superseded(scope.sandbox_id, most=10) == 1
    assert await sweeping.discarded(most=10) == ["one"]


async def test_other_organisations_have_other_memberships(memberships, db, scope, foreign_scope):
    segment = await a_segment(db, scope)
    commit = await evaluated(db, scope, segment, key="one")
    assert await counting(memberships, foreign_scope, commit) == []
    await memberships.forget(foreign_scope, [segment])
    now = await StoreFileStore(db).snapshot(scope)
    assert await counting(memberships, scope, now) == [("one", [segment])]


async def test_segmentations_of_a_sandbox_go_one_after_the_other(db, scope, foreign_scope):
    jobs = JobStore(db)
    first = await a_segment_job(db, scope, rules={"a": "true"})
    second = await a_segment_job(db, scope, rules={"a": "true"})
    other = await a_segment_job(db, foreign_scope, rules={"a": "true"})
    running = await jobs.claim_next(WORKER, lease=LEASE)
    meanwhile = await jobs.claim_next(WORKER, lease=LEASE)
    assert running is not None
    assert meanwhile is not None
    assert (running.id, meanwhile.id) == (first.job.id, other.job.id)
    assert await jobs.claim_next(WORKER, lease=LEASE) is None
    await jobs.move(running, JobEvent.CANCEL, actor="test", is_fenced=False)
    after = await jobs.claim_next(WORKER, lease=LEASE)
    assert after is not None
    assert after.id == second.job.id


async def test_segment_jobs_are_found_listed_and_counted(db, scope, foreign_scope):
    store = SegmentJobStore(db)
    submitted = [await a_segment_job(db, scope, rules={"a": "x = 1"}) for _ in range(3)]
    await a_segment_job(db, foreign_scope, rules={"b": "true"})
    first = await JobStore(db).find(scope, submitted[0].job.id, kind=JobKind.SEGMENTATION)
    await JobStore(db).move(first, JobEvent.CANCEL, actor="test", is_fenced=False)
    found = await store.find(scope, SegmentJobId(submitted[1].id.upper()))
    assert found.policies == submitted[1].policies
    assert "shapes" not in found.job.order
    newest_first = [one.id for one in reversed(submitted)]
    page = await store.page(scope, SegmentJobFilter(), limit=2)
    rest = await store.page(scope, SegmentJobFilter(), limit=2, skip=2)
    assert [one.id for one in (*page, *rest)] == newest_first
    by_update = SegmentJobFilter(sort=SegmentJobSort.UPDATE)
    (last,) = await store.page(scope, by_update, limit=1)
    assert last.id == submitted[0].id
    waiting = SegmentJobFilter(states=(submitted[0].job.state,), is_descending=False)
    assert [one.id for one in await store.page(scope, waiting, limit=9)] == newest_first[1::-1]
    assert await store.count(scope, waiting) == 2
    assert await store.count(scope, SegmentJobFilter(segment_id="a")) == 3
    assert await store.page(scope, SegmentJobFilter(segment_id="b"), limit=9) == ()
