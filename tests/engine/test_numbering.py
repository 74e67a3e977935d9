"""Numbers of profiles: given once, the older survives, and every way to them gives the same."""

import csv
import io
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from catalog.merge_policies import IdentityGraph
from service.engine.numbers import GIVEN, NUMBER, SCHEMA, open_numbers
from service.engine.plan import make_plan
from service.engine.snapshot import micros
from service.engine.store_files import KEY_HI, KEY_LO, StoreFile
from tests.engine.builders import STITCHED, Store, a_batch, an_order, day, key_of, named
from tests.engine.oracle import Graph
from tests.engine.tables import a_table, every, export_table

people = st.sampled_from([f"{namespace}:{n}" for namespace in ("crm", "email") for n in range(9)])
rows = st.lists(people, min_size=1, max_size=3, unique=True)
batches = st.lists(st.lists(rows, min_size=1, max_size=4), min_size=1, max_size=5)


def put(store, number, *named_rows, dataset_id="crm"):
    batch = a_batch(dataset_id, number, *({"identityMap": named(*row)} for row in named_rows))
    return tuple(store.put(batch, depth=2))


def numbered(store, files, folder, numbering=None, **changes):
    order = an_order(files=files, identity_graph=STITCHED, numbering=numbering, **changes)
    return export_table(store, order, folder, table=a_table(every("crm", "crm")))


def numbers(written):
    """The number of each profile, by its customer ids in order."""
    return {row["crm"]: int(row["gio_id"]) for row in csv.DictReader(io.StringIO(written.text))}


def test_profiles_are_numbered_from_one_and_keep_their_numbers(store):
    files = put(store, 1, ["crm:1"], ["crm:2"], ["crm:3"])
    first = numbered(store, files, "first")
    assert sorted(numbers(first).values()) == [1, 2, 3]
    files += put(store, 2, ["crm:4"])
    second = numbered(store, files, "second", first.numbering)
    assert numbers(second) == numbers(first) | {'["4"]': 4}
    assert first.merged == second.merged == {}


def test_when_profiles_merge_the_older_number_survives_and_the_other_is_listed(store):
    files = put(store, 1, ["crm:1", "email:1"])
    first = numbered(store, files, "first")
    files += put(store, 2, ["crm:2", "email:2"])
    second = numbered(store, files, "second", first.numbering)
    assert numbers(second) == {'["1"]': 1, '["2"]': 2}
    files += put(store, 3, ["crm:1", "crm:2"])
    third = numbered(store, files, "third", second.numbering)
    assert numbers(third) == {'["1","2"]': 1}
    assert third.merged == {2: (1, micros(day(3)))}
    files += put(store, 4, ["crm:9"])
    fourth = numbered(store, files, "fourth", third.numbering)
    assert fourth.merged == third.merged
    assert numbers(fourth) == {'["1","2"]': 1, '["9"]': 3}


def test_profiles_that_part_again_have_the_numbers_they_had(store):
    files = put(store, 1, ["crm:1"], ["crm:2"])
    first = numbered(store, files, "first")
    link = put(store, 2, ["crm:1", "crm:2"])
    joined = numbered(store, files + link, "joined", first.numbering)
    assert set(numbers(joined).values()) == {1}
    parted = numbered(store, files, "parted", joined.numbering)
    assert numbers(parted) == numbers(first)
    assert parted.merged == {}


def test_a_number_stays_when_another_identity_comes_to_represent_the_profile(store):
    files = put(store, 1, ["email:1", "crm:1"], dataset_id="mail")
    first = numbered(store, files, "first")
    large = [["crm:1"], *([f"crm:{n}"] for n in range(50, 90))]
    files += put(store, 2, *large)
    second = numbered(store, files, "second", first.numbering)
    assert numbers(second)['["1"]'] == numbers(first)['["1"]']
    assert second.merged == {}


def test_identities_share_the_number_of_their_profile_where_an_export_unites_none(store):
    files = put(store, 1, ["crm:1", "email:1"], ["email:1"], ["crm:2"])
    united = numbered(store, files, "united")
    order = an_order(files=files, identity_graph=IdentityGraph.NONE)
    apart = export_table(store, order, "apart", table=a_table(every("crm", "crm")))
    rows = [(row["crm"], row["gio_id"]) for row in csv.DictReader(io.StringIO(apart.text))]
    assert len(rows) == 3
    assert {number for _, number in rows} == {str(n) for n in numbers(united).values()}
    shared = str(numbers(united)['["1"]'])
    assert sorted(crm for crm, number in rows if number == shared) == ["", '["1"]']


def test_a_numbering_that_says_all_is_used_as_it_is(store):
    files = put(store, 1, ["crm:1"], ["crm:2", "email:1"])
    first = numbered(store, files, "first")
    current = first.numbering.model_copy(update={"is_current": True})
    second = numbered(store, files, "second", current)
    assert second.planned.numbering is None
    assert second.planned.numbers == first.planned.numbers
    assert second.whole == first.whole


def planned(store, files, folder, numbering=None, **changes):
    """What an export of profiles plans, which shows no numbers."""
    order = an_order(files=files, identity_graph=STITCHED, numbering=numbering, folder=folder)
    order = order.model_copy(update=changes)
    return make_plan(order, store.files, lambda _: None)


def test_profiles_are_numbered_by_every_plan_that_unites_identities(store):
    files = put(store, 1, ["crm:1", "email:1"], ["crm:2"])
    plan = planned(store, files, "profiles")
    assert plan.numbers is None
    known = open_numbers(plan.numbering.key, store.files)
    assert known.of_profile([key_of(("crm", "1")), key_of(("email", "1"))]) == 1
    assert known.of_profile([key_of(("crm", "2"))]) == 2
    assert known.of_profile([key_of(("crm", "3"))]) is None
    apart = planned(store, files, "apart", identity_graph=IdentityGraph.NONE)
    assert apart.numbering is None


def test_a_sandbox_without_links_is_numbered_too(store):
    plan = planned(store, put(store, 1, ["crm:1"], ["crm:2"]), "profiles")
    assert (plan.labelling, plan.numbering.next_number) == (None, 3)


@pytest.mark.parametrize("change", [{"is_current": True}, {"is_newer": True}, {"key": "lost"}])
def test_a_plan_that_shows_no_numbers_gives_none_that_are_known_or_lost(store, change):
    files = put(store, 1, ["crm:1"])
    saved = numbered(store, files, "first").numbering.model_copy(update=change)
    files += put(store, 2, ["crm:2"])
    assert planned(store, files, "profiles", saved).numbering is None


def test_a_profile_has_the_number_that_its_identities_make_up_now(store):
    first = numbered(store, put(store, 1, ["crm:1"], ["crm:2"]), "first")
    known = open_numbers(first.planned.numbers, store.files)
    assert known.of_profile([key_of(("crm", "1")), key_of(("crm", "2"))]) == 1


def test_numbers_lead_back_to_identities(store):
    files = put(store, 1, ["crm:1"])
    first = numbered(store, files, "first")
    known = open_numbers(first.planned.numbers, store.files)
    assert known.identity_of(1) == key_of(("crm", "1"))
    assert known.identity_of(2) is None


def test_nobody_has_the_number_0_though_identities_have_none_of_their_own(store):
    first = numbered(store, put(store, 1, ["crm:1", "email:1"]), "first")
    assert open_numbers(first.planned.numbers, store.files).identity_of(0) is None


@given(batches)
@settings(max_examples=40, deadline=None)
def test_a_number_is_given_once_and_a_profile_has_the_smallest_of_its_identities(drawn):
    with tempfile.TemporaryDirectory() as folder:
        store, graph, present = Store(Path(folder)), Graph(), set()
        files, numbering, before = (), None, {}
        for number, drawn_rows in enumerate(drawn, start=1):
            files += put(store, number, *drawn_rows)
            for row in drawn_rows:
                identities = [tuple(identity.split(":")) for identity in row]
                graph.link(identities)
                present.update(identities)
            numbering = numbered(store, files, f"export-{number}", numbering).numbering
            file = StoreFile(store.files.open(numbering.key))
            found = {
                row[KEY_HI] << 64 | row[KEY_LO]: (row[NUMBER], row[GIVEN])
                for row in file.slice(0, 0, SCHEMA.names).to_pylist()
            }
            given_now = {key: own for key, (_, own) in found.items() if own}
            assert sorted(given_now.values()) == list(range(1, numbering.next_number))
            assert before.items() <= given_now.items()
            before = given_now
            for identity in present:
                members = [key_of(one) for one in graph.of(identity)]
                smallest = min(found[key][1] for key in members if found[key][1])
                assert found[key_of(identity)][0] == smallest
