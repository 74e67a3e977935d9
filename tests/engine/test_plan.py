import json

import pytest

from service.engine.orders import EventChoice
from service.engine.plan import PlanMismatch, load_plan, make_plan
from service.engine.task import run_task
from tests.engine.builders import (
    ALL_EVENTS,
    STITCHED,
    a_batch,
    an_event_batch,
    an_order,
    day,
    named,
)


@pytest.fixture
def order(store):
    """Forty people, each in two data sets under identities that only their events link."""
    batches = [
        a_batch(
            "crm", 1, *({"identityMap": named(f"crm:{n}"), "first": f"{n}"} for n in range(40))
        ),
        a_batch(
            "loyalty", 2, *({"identityMap": named(f"email:{n}"), "last": f"{n}"} for n in range(40))
        ),
        an_event_batch(
            "clicks",
            3,
            *(
                {
                    "identityMap": named(f"web:{n}", f"crm:{n}", f"email:{n}"),
                    "_id": f"{n}",
                    "timestamp": day(1),
                }
                for n in range(40)
            ),
        ),
    ]
    files = tuple(file for batch in batches for file in store.put(batch, depth=3))
    return an_order(
        batches, files=files, identity_graph=STITCHED, events=ALL_EVENTS, slice_size_bytes=1500
    )


def silent(_):
    pass


def unheard(*_):
    pass


def test_rows_that_live_elsewhere_than_their_profile_are_brought_home(store, order):
    exported = store.export(order)
    assert len(exported.rows) == 40
    for row in exported.rows:
        assert row["first"] == row["last"] == row["timeSeriesEvents"][0]["_id"]
        assert list(row["identityMap"]) == ["CRM", "Email", "web"]


def test_a_plan_names_every_prefix_in_exactly_one_task(store, order):
    plan = load_plan(make_plan(order, store.files, silent).key, store.files)
    covered = [prefix for task in plan.tasks for prefix in task.prefixes()]
    assert covered == list(range(1 << plan.depth))
    assert plan.depth > 0


def test_parts_are_cut_by_their_rows(store, order):
    small = order.model_copy(update={"part_row_count": 10})
    assert 3 <= make_plan(small, store.files, silent).task_count <= 6


def test_a_small_export_is_one_file_into_however_many_prefixes_it_falls(store, order):
    planned = make_plan(order, store.files, silent)
    assert load_plan(planned.key, store.files).depth > 0
    assert planned.task_count == 1


def test_a_task_run_by_a_later_attempt_gives_the_same_bytes(store, order):
    plan = load_plan(make_plan(order, store.files, silent).key, store.files)
    later = order.model_copy(update={"folder": "later", "plan_key": "x", "threads": 1})
    parts = [
        part for one in (order, later) for part in run_task(one, plan, 0, store.files, unheard)
    ]
    assert parts[0].sha256 == parts[1].sha256
    assert parts[0].key != parts[1].key


@pytest.mark.parametrize(
    "change", [{"engine_version": "0"}, {"libraries": {"pyarrow": "1"}}, {"unheard_of": 1}]
)
def test_a_plan_of_other_versions_is_refused(store, order, change):
    planned = make_plan(order, store.files, silent)
    with store.files.open(planned.key) as source:
        document = json.loads(source.read())
    with store.files.create("old/plan.json") as sink:
        sink.write(json.dumps(document | change).encode())
    with pytest.raises(PlanMismatch):
        load_plan("old/plan.json", store.files)


def test_a_plan_that_is_gone_is_refused(store):
    with pytest.raises(PlanMismatch, match="gone"):
        load_plan("nowhere/plan.json", store.files)


def test_a_plan_whose_moved_rows_are_gone_is_not_gone_on_from(store, order):
    plan = load_plan(make_plan(order, store.files, silent).key, store.files)
    plan.check_is_whole(store.files)
    assert store.files.delete(plan.runs[-1].key)
    with pytest.raises(PlanMismatch, match="gone"):
        plan.check_is_whole(store.files)


@pytest.mark.parametrize("boot", ["another", None])
def test_moved_rows_are_not_relied_on_once_the_machine_was_started_anew(
    store, order, boot, monkeypatch
):
    plan = load_plan(make_plan(order, store.files, silent).key, store.files)
    monkeypatch.setattr("service.engine.plan.this_boot", lambda: boot)
    with pytest.raises(PlanMismatch, match="started anew"):
        plan.check_is_whole(store.files)
    nothing_moved = plan.model_copy(update={"runs": (), "staying": ()})
    nothing_moved.check_is_whole(store.files)


def test_a_plan_for_another_order_is_refused(store, order):
    plan = load_plan(make_plan(order, store.files, silent).key, store.files)
    other = order.model_copy(update={"events": EventChoice(ingested_after=day(1))})
    with pytest.raises(PlanMismatch, match="another order"):
        run_task(other, plan, 0, store.files, unheard)


def test_planning_says_how_far_it_is(store, order):
    heard = []
    make_plan(order, store.files, heard.append)
    assert {progress.phase for progress in heard} == {"planning"}
    assert heard[-1].done == heard[-1].total


def test_files_of_different_secrets_are_never_merged(store, order, monkeypatch):
    monkeypatch.setattr("tests.engine.builders.SECRET", b"another secret of 32 bytes ......")
    other = store.put(a_batch("crm", 9, {"identityMap": named("crm:1")}))
    mixed = order.model_copy(update={"files": (*order.files, *other)})
    with pytest.raises(ValueError, match="secrets"):
        make_plan(mixed, store.files, silent)
