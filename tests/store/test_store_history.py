"""Whatever happens to the profile store, in any order: who reads it finds what was ingested."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from catalog import compaction
from catalog.jobs import JobKind, JobState
from tests.builders import a_dataset
from tests.store.history.crew import PROMOTION_ORDER
from tests.store.history.steps import DATASETS, History, Step

#: Histories: as many take some 15 seconds of a processor. The steps that one has at most.
EXAMPLES = int(os.environ.get("FUZZ_INPUTS", "50"))
MOST_STEPS = 40

WHICH = st.integers(0, 3)
ITEMS = st.sampled_from(["ab", "bc", "ac", "a", "b", "abc", "c", ""])
#: What steps are told, and how many in a hundred each of them is, about.
STEPS: dict[str, tuple[int, dict[str, st.SearchStrategy]]] = {
    "ingest": (10, {"dataset": st.sampled_from([0, 0, 0, 1]), "rows": ITEMS, "named": ITEMS}),
    "replace": (5, {"which": WHICH, "rows": ITEMS, "named": ITEMS}),
    "revert": (14, {"which": WHICH}),
    "delete": (3, {"which": WHICH}),
    "expire": (3, {}),
    "export": (10, {}),
    "look": (10, {"most_files": st.sampled_from([2, 3, 64])}),
    "claim": (12, {}),
    "claim_two": (6, {"is_reverting": st.booleans()}),
    "finish": (20, {"which": WHICH}),
    "fail": (4, {"which": WHICH, "is_final": st.booleans()}),
    "hand_back": (2, {"which": WHICH}),
    "fall_silent": (4, {"which": WHICH}),
    "an_hour_passes": (4, {}),
    "a_month_passes": (5, {}),
    "sweep": (3, {}),
}
OFTEN = [what for what, (often, _) in STEPS.items() for _ in range(often)]


def compacted(*batches: str) -> list[Step]:
    """Settled batches that have these items, in one file of each kind."""
    ingests = [Step("ingest", dataset=0, rows=items, named=items[:1]) for items in batches]
    look = [Step("a_month_passes"), Step("look", most_files=64)]
    return [*ingests, *look, Step("finish", which=0)]


@st.composite
def a_step(draw):
    what = draw(st.sampled_from(OFTEN))
    return Step(what, **{name: draw(values) for name, values in STEPS[what][1].items()})


@st.composite
def histories(draw):
    """Some batches, settled and compacted, and then whatever happens."""
    settled = compacted(*(draw(ITEMS) for _ in range(draw(st.integers(0, 5)))))
    return settled + [draw(a_step()) for _ in range(draw(st.integers(0, MOST_STEPS)))]


@pytest.fixture
async def sandbox(db, scope, monkeypatch):
    """A sandbox with data sets, of which compactions do not stay away for the jobs that wait."""
    monkeypatch.setattr(compaction, "BUSY_FACTOR", 1)
    monkeypatch.setattr(*PROMOTION_ORDER)
    for id in DATASETS:
        await a_dataset(db, scope, id=id)
    return scope


#: Two rebuilds run at once, and the second begins, or ends, when the first has ended.
TWO_REBUILDS = [
    [
        *compacted("ab", "ab", "bc"),
        Step("revert", which=0),
        Step("claim_two", is_reverting=True),
        Step("finish", which=which),
        Step("finish", which=0),
    ]
    for which in (0, 1)
]
#: What lacks rows, since its rebuild has failed, becomes one file with others.
LACKING = [
    *compacted("ab", "ab"),
    Step("revert", which=0),
    Step("claim"),
    Step("fail", which=0, is_final=True),
    Step("ingest", dataset=0, rows="c", named=""),
    Step("look", most_files=64),
    Step("finish", which=0),
]


@settings(
    max_examples=EXAMPLES,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
@given(steps=histories())
@example(steps=TWO_REBUILDS[0])
@example(steps=TWO_REBUILDS[1])
@example(steps=LACKING)
async def test_every_reader_finds_what_was_ingested_whatever_happened(database, db, sandbox, steps):
    history = await History.begin(database, db, sandbox)
    try:
        for step in steps:
            await history.take(step)
        await history.end()
    finally:
        await history.leave()


@pytest.fixture
async def history(database, db, sandbox):
    history = await History.begin(database, db, sandbox)
    yield history
    await history.leave()


async def waiting_after(history, steps):
    """The kinds of the jobs that have not ended after some steps."""
    for step in steps:
        await history.take(step)
    _, unfinished = await history.standing()
    return {job["kind"] for job in unfinished.values()}


async def test_who_does_not_read_a_batch_goes_on_when_it_is_deleted(history):
    reverted = [*compacted("ab", "ab", "ab"), Step("revert", which=0), Step("export")]
    assert JobKind.USER_LIST in await waiting_after(history, reverted)
    assert JobKind.USER_LIST in await waiting_after(history, [Step("delete", which=0)])


@pytest.mark.parametrize("which", [0, 1, 2])
async def test_what_lacks_rows_is_rebuilt_though_a_batch_of_it_is_deleted(history, which):
    reverted = [*compacted("ab", "ab", "ab", "c"), Step("revert", which=1)]
    assert JobKind.REBUILD in await waiting_after(history, reverted)
    assert JobKind.REBUILD in await waiting_after(history, [Step("delete", which=which)])


async def test_a_snapshot_is_rebuilt_with_what_expired_since(history):
    reverted = [*compacted("ab", "ab", "c"), Step("revert", which=1), Step("export")]
    for step in [*reverted, Step("expire"), Step("finish", which=0)]:
        await history.take(step)
    await history.take(Step("claim"))


async def test_who_pinned_what_lacked_rows_reads_all_once_a_later_rebuild_is_done(history):
    failed = [Step("revert", which=0), Step("claim"), Step("fail", which=0, is_final=True)]
    for step in [*compacted("ab", "ab", "bc"), *failed, Step("export")]:
        await history.take(step)
    again = [Step("an_hour_passes"), Step("look", most_files=64)]
    assert await waiting_after(history, again) == {JobKind.REBUILD, JobKind.USER_LIST}
    assert await waiting_after(history, [Step("finish", which=0)]) == {JobKind.USER_LIST}
    await history.take(Step("claim"))
    assert await waiting_after(history, [Step("finish", which=0)]) == set()
    assert await history.ended(JobKind.USER_LIST) == [JobState.SUCCEEDED]
