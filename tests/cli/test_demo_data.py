"""The demo's customers, and what is said of them."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict

import pytest

from service.cli.demo_data import generate
from service.cli.sources import Source
from service.engine.peek import Row

PEOPLE = 300


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    return generate(tmp_path_factory.mktemp("generated"), PEOPLE)


@pytest.fixture(scope="module")
def rows(generated):
    return {source.name: list(source.files.rows()) for source in generated[0]}


def test_the_same_number_of_people_gives_the_same_bytes(tmp_path):
    def digests(name):
        folder = tmp_path / name
        folder.mkdir()
        sources, truth = generate(folder, PEOPLE)
        files = [path for source in sources for path in source.files.paths]
        return truth, [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]

    assert digests("one") == digests("two")


def test_ten_events_a_person_are_made(rows):
    assert len(rows["Web visits"]) + len(rows["Shop purchases"]) == pytest.approx(
        10 * PEOPLE, abs=50
    )


def test_every_row_names_its_primary_identity(generated, rows):
    for source in generated[0]:
        for row in rows[source.name]:
            assert named_by(source, row)[0][1]


def test_device_numbers_have_38_digits(rows):
    for row in rows["Web visits"]:
        (device,) = row["identityMap"]["ECID"]
        assert len(device["id"]) == 38
        assert device["id"].isdigit()


def test_what_makes_customer_data_hard_is_in_it(generated, rows):
    crm, loyalty = rows["CRM"], rows["Loyalty programme"]
    sent = Counter(row["crmId"] for row in crm)
    assert max(sent.values()) > 1, "records that were sent twice"
    assert any(row["crmId"] is None for row in loyalty), "gaps"
    city = {row["crmId"]: row["homeAddress"]["city"] for row in crm}
    assert any(
        row["homeAddress"] and row["crmId"] and row["homeAddress"]["city"] != city[row["crmId"]]
        for row in loyalty
    ), "conflicts"
    for name in ("Web visits", "Shop purchases"):
        assert max(Counter(row["_id"] for row in rows[name]).values()) > 1, "repeated events"
    assert generated[1].excluded_count == 1, "a device of too many people"
    assert generated[1].empty_profile_count > 0, "people of whom there is no record"


def test_the_truth_is_what_the_rows_say_one_by_one(generated, rows):
    sources, truth = generated
    neighbours = defaultdict(set)
    primaries = defaultdict(set)
    for source in sources:
        for row in rows[source.name]:
            first, *others = [each for each in named_by(source, row) if each[1]]
            neighbours[first].update(others)
            for other in others:
                neighbours[other].add(first)
            primaries[source.is_event].add((first, row.get("_id")))
    component = {}
    for start in neighbours:
        if start not in component:
            reached, ahead = {start}, [start]
            while ahead:
                ahead += (found := neighbours[ahead.pop()] - reached)
                reached |= found
            component.update(dict.fromkeys(reached, frozenset(reached)))
    with_record = {component[primary] for primary, _ in primaries[False]}
    exported = {each for each in with_record if len(each) <= 50}
    assert truth.profile_count == len(exported)
    assert truth.excluded_count == len(set(component.values())) - sum(
        len(each) <= 50 for each in set(component.values())
    )
    assert truth.empty_profile_count == len(
        {each for each in component.values() if len(each) <= 50} - with_record
    )
    assert truth.event_count == sum(
        component[primary] in exported for primary, _ in primaries[True]
    )
    namespaces = Counter(space for each in exported for space in {space for space, _ in each})
    assert truth.profiles_by_namespace == namespaces


def named_by(source: Source, row: Row) -> list[tuple[str, str | None]]:
    """The identities of a row, the primary one first."""
    named = []
    for descriptor in source.identities:
        value = row
        for part in descriptor.path:
            value = value[part] if value else None
        named.append((not descriptor.is_primary, descriptor.namespace, value))
    for namespace, entries in row.get("identityMap", {}).items():
        named += [(not entry.get("primary"), namespace, entry["id"]) for entry in entries]
    return [(namespace, value) for _, namespace, value in sorted(named, key=lambda each: each[0])]
