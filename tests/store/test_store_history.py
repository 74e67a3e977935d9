"""Whatever happens to profile stores, in any order: who reads one finds what was ingested there."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from catalog import compaction
from catalog.jobs import JobKind
from tests.store.history.crew import PROMOTION_ORDER
from tests.store.history.sandboxes import Sandbox
from tests.store.history.steps import History, Step

#: Histories: as many take some 15 seconds of a processor. The steps that one has at most.
EXAMPLES = int(os.environ.get("FUZZ_INPUTS", "40"))
MOST_STEPS = 30

WHICH = st.integers(0, 3)
ITEMS = st.sampled_from(["ab", "bc", "ac", "a", "b", "abc", "c", ""])
#: Two of one organisation, and another's; most happens in the first.
SANDBOX = st.sampled_from([0, 0, 0, 0, 0, 0, 1, 2])
A_BATCH = {
    "sandbox": SANDBOX,
    "rows": ITEMS,
    "named": ITEMS,
    "leaves": st.sampled_from(["", "x", "y", "xy"]),
    "is_upsert": st.sampled_from([True, True, True, False]),
}
TRESPASSES = ["revert", "delete", "compact", "pretend"]
#: What steps are told, and how many in a hundred each of them is, about.
STEPS: dict[str, tuple[int, dict[str, st.SearchStrategy]]] = {
    "ingest": (10, {"dataset": st.integers(0, 1), **A_BATCH}),
    "replace": (5, {"which": WHICH, **A_BATCH}),
    "revert": (12, {"which": WHICH, "sandbox": SANDBOX}),
    "delete": (3, {"which": WHICH, "sandbox": SANDBOX}),
    "expire": (3, {"sandbox": SANDBOX}),
    "trespass": (
        3,
        {
            "sandbox": st.integers(0, 2),
            "of": st.integers(0, 2),
            "which": WHICH,
            "how": st.sampled_from(TRESPASSES),
        },
    ),
    "export": (10, {"sandbox": SANDBOX, "has_numbers": st.booleans()}),
    "look": (10, {"most_files": st.sampled_from([2, 3, 64])}),
    "claim": (10, {}),
    "claim_two": (5, {"is_reverting": st.booleans(), "sandbox": SANDBOX}),
    "advance": (9, {"which": WHICH}),
    "finish": (20, {"which": WHICH}),
    "fail": (4, {"which": WHICH, "is_final": st.booleans()}),
    "hand_back": (2, {"which": WHICH}),
    "fall_silent": (4, {"which": WHICH}),
    "an_hour_passes": (4, {}),
    "a_month_passes": (5, {}),
    "sweep": (5, {}),
}
#: What every other time follows at once: else batches are sent, jobs asked for, and no more.
FOLLOWED_BY = {
    "ingest": [Step("a_month_passes"), Step("look", most_files=64), Step("finish", which=0)],
    "revert": [Step("finish", which=0)],
    "export": [Step("finish", which=0)],
    "look": [Step("finish", which=0)],
    "advance": [Step("hand_back", which=0)],
}
OFTEN = [what for what, (often, _) in STEPS.items() for _ in range(often)]


def compacted(*batches: str, dataset: int = 0, sandbox: int = 0) -> list[Step]:
    """Settled batches that have these items, in one file of each kind."""
    ingests = [
        Step(
            "ingest",
            sandbox=sandbox,
            dataset=dataset,
            rows=items,
            named=items[:1],
            leaves="xy"[number % 2],
            is_upsert=True,
        )
        for number, items in enumerate(batches)
    ]
    look = [Step("a_month_passes"), Step("look", most_files=64)]
    return [*ingests, *look, Step("finish", which=0)]


def at_home(*, sandbox: int = 0) -> list[Step]:
    """An export that saves who is who, by which rows are laid where they are at home."""
    finish = Step("finish", which=0)
    return [Step("export", sandbox=sandbox), finish, Step("look", most_files=64), finish]


@st.composite
def some_steps(draw, *, mostly):
    """A step, and often what leads to more; most batches come to one data set."""
    what = draw(st.sampled_from(OFTEN))
    told = {name: draw(values) for name, values in STEPS[what][1].items()}
    if "dataset" in told:
        told["dataset"] = draw(st.sampled_from([mostly, mostly, mostly, 1 - mostly]))
    more = FOLLOWED_BY.get(what, ())
    return [Step(what, **told), *(more if draw(st.booleans()) else ())]


@st.composite
def histories(draw):
    """Some batches, settled and compacted, perhaps at home, and then whatever happens."""
    dataset, sandbox = draw(st.integers(0, 1)), draw(SANDBOX)
    items = [draw(ITEMS) for _ in range(draw(st.integers(0, 5)))]
    begun = compacted(*items, dataset=dataset, sandbox=sandbox)
    begun += at_home(sandbox=sandbox) if draw(st.booleans()) else []
    for _ in range(draw(st.integers(0, MOST_STEPS))):
        begun += draw(some_steps(mostly=dataset))
    return begun


@pytest.fixture
async def sandboxes(db, monkeypatch):
    """Three sandboxes, in which compactions do not stay away for the jobs that wait."""
    monkeypatch.setattr(compaction, "BUSY_FACTOR", 1)
    monkeypatch.setattr(*PROMOTION_ORDER)
    places = [("OURS@AdobeOrg", "prod"), ("OURS@AdobeOrg", "stage"), ("THEIRS@AdobeOrg", "prod")]
    return tuple([await Sandbox.make(db, *place) for place in places])


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
#: Patches become one file with others, and again, and are made anew when some were taken back.
PATCHED = [
    *compacted("ab", "ab", "ab", dataset=1),
    *compacted("ab", "b", dataset=1),
    *at_home(),
    Step("revert", which=2),
    Step("finish", which=0),
    *at_home(),
    Step("revert", which=1),
    Step("advance", which=0),
]
#: What rows were dropped for the sake of is taken back from a file of a file, while somebody waits.
RECOMPACTED = [
    *compacted("ab", "ab"),
    *compacted("c", "c"),
    Step("revert", which=2),
    Step("export"),
    Step("claim"),
    Step("claim"),
]
#: An export goes by what was saved before, while another saves what is newer.
IN_USE = [
    Step("ingest", rows="ab", named="ab"),
    Step("export", has_numbers=True),
    Step("finish", which=0),
    Step("export", has_numbers=True),
    Step("claim"),
    Step("advance", which=0),
    Step("ingest", rows="c", named="c"),
    Step("export", has_numbers=True),
    Step("claim"),
    Step("finish", which=1),
    Step("sweep"),
    Step("hand_back", which=0),
]
#: Two exports give numbers on top of the same ones, each to an item that the other does not have.
OVERTAKEN = [
    Step("ingest", rows="a", named="a"),
    Step("ingest", rows="c", named="c"),
    Step("export", has_numbers=True),
    Step("claim"),
    Step("revert", which=0),
    Step("ingest", rows="b", named="b"),
    Step("export", has_numbers=True),
    Step("claim"),
    Step("advance", which=0),
    Step("advance", which=1),
]
#: An export reads home files that were written by who is who later than what it reads.
LAID_LATER = [
    Step("ingest", rows="ab", named="ab"),
    Step("export"),
    Step("claim"),
    Step("ingest", dataset=1, rows="c", named="c"),
    Step("export"),
    Step("claim"),
    Step("finish", which=1),
    Step("look", most_files=64),
    Step("claim"),
    Step("finish", which=1),
    Step("hand_back", which=0),
    Step("claim"),
    Step("advance", which=0),
    Step("ingest", dataset=1, rows="b", named="b"),
    Step("export"),
    Step("claim"),
    Step("finish", which=1),
    Step("sweep"),
]
#: Others name what is a sandbox's, and it deletes what it has, while jobs wait in all of them.
OTHERS = [
    *(Step("ingest", sandbox=each, rows="ab", named="a") for each in (0, 1, 2)),
    *(Step("export", sandbox=each) for each in (0, 1, 2)),
    *(
        Step("trespass", sandbox=each, of=0, which=0, how=how)
        for each in (1, 2)
        for how in TRESPASSES
    ),
    Step("delete", which=0),
]
#: An export saves who is who when somebody who was linked is gone, and the file too that said so.
GONE_MEANWHILE = [
    Step("ingest", rows="ab", named="a"),
    Step("export"),
    Step("claim"),
    Step("ingest", rows="b", named="b"),
    Step("look", most_files=64),
    Step("claim"),
    Step("finish", which=1),
    Step("revert", which=1),
    Step("revert", which=0),
    Step("sweep"),
    Step("finish", which=0),
]
#: What lacks rows, since its rebuild has failed, becomes one file with others.
LACKING = [
    *compacted("ab", "ab"),
    Step("revert", which=0),
    Step("claim"),
    Step("fail", which=0, is_final=True),
    Step("ingest", rows="c", named=""),
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
@example(steps=PATCHED)
@example(steps=RECOMPACTED)
@example(steps=IN_USE)
@example(steps=OVERTAKEN)
@example(steps=LAID_LATER)
@example(steps=OTHERS)
@example(steps=GONE_MEANWHILE)
async def test_every_reader_finds_what_was_ingested_whatever_happened(
    database, db, sandboxes, steps
):
    history = await History.begin(database, db, sandboxes)
    try:
        for step in steps:
            await history.take(step)
        await history.end()
    finally:
        await history.leave()


@pytest.fixture
async def history(database, db, sandboxes):
    history = await History.begin(database, db, sandboxes)
    yield history
    await history.leave()


async def waiting_after(history, steps):
    """The kinds of the jobs that have not ended after some steps."""
    for step in steps:
        await history.take(step)
    return await history.standing()


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
    assert await waiting_after(history, [Step("finish", which=0)]) == set()
