"""What promoted rows are in the profile store: columns, order, and which of them stay."""

from __future__ import annotations

import numpy as np
import pytest

from catalog.schemas import IDENTITY_MAP, Field
from catalog.store_files import StoreFileKind
from service.engine import json_rows, profile_rows
from service.engine.orders import Promoted
from service.engine.store_files import StoreFile
from tests.engine.builders import key_of
from tests.engine.intake import TEXT, WHOLE, Intake, an_object, lines
from tests.engine.promoted import (
    BY_CRM,
    CRM,
    EVENT,
    EVENT_ROWS,
    EVENTS,
    IDENTITIES,
    LINKS,
    RECORD,
    RECORDS,
    key,
    named,
)


def test_records_are_leaf_columns_sorted_by_key_without_identity_map(intake: Intake) -> None:
    fields = (
        an_object("person", an_object("name", Field("first", TEXT)), Field("age", WHOLE)),
        CRM,
        IDENTITY_MAP,
    )
    rows = [{"crm": str(n), "person": {"name": {"first": f"n{n}"}}} for n in range(50)]
    promoted = intake.promote(lines(*rows), *fields, **BY_CRM)
    found = intake.stored(promoted, RECORDS)
    assert list(found[0]) == [
        "_key_hi",
        "_key_lo",
        "_seq",
        "person.name.first",
        "person.age",
        "crm",
    ]
    assert [key(row) for row in found] == sorted(key_of(("crm", str(n))) for n in range(50))
    assert all(row["person.name.first"] == f"n{row['crm']}" for row in found)
    assert all(row["_seq"] == int(row["crm"]) for row in found)


def test_a_later_row_replaces_the_earlier_but_not_its_identities(intake: Intake) -> None:
    uploads = {
        "1": lines({"crm": "1", "name": "old", **named("ecid:2")}, {"crm": "2", "name": "other"}),
        "2": lines({"crm": "1", "email": "new"}),
    }
    promoted = intake.promote(uploads, *RECORD, **BY_CRM)
    found = {row["_seq"]: row for row in intake.stored(promoted, RECORDS)}
    assert sorted(found) == [1, 2]
    assert (found[2]["name"], found[2]["email"]) == (None, "new")
    assert "ecid" in {row["namespace"] for row in intake.stored(promoted, IDENTITIES)}
    assert len(intake.stored(promoted, LINKS)) == 1
    assert len(intake.rows(promoted)) == promoted.output_row_count == 3


def test_upserts_keep_every_row_in_order(intake: Intake) -> None:
    rows = [{"crm": "1", "name": name} for name in "abc"]
    promoted = intake.promote(lines(*rows), *RECORD, **BY_CRM, is_upsert=True)
    assert [(row["_seq"], row["name"]) for row in intake.stored(promoted, RECORDS)] == [
        (0, "a"),
        (1, "b"),
        (2, "c"),
    ]


def test_events_are_sorted_by_key_time_and_row_and_keep_their_identity_map(intake: Intake) -> None:
    days = [3, 1, 2, 1]
    rows = [
        {"_id": str(n), "crm": "1", "timestamp": f"2022-11-0{day}", **named("ecid:9")}
        for n, day in enumerate(days)
    ]
    promoted = intake.promote(lines(*rows), *EVENT, **EVENTS)
    found = intake.stored(promoted, EVENT_ROWS)
    assert [row["_id"] for row in found] == ["1", "3", "2", "0"]
    assert found[0]["identityMap"]["ecid"][0]["id"] == "9"


def _slices(intake: Intake, promoted: Promoted, kind: StoreFileKind) -> int:
    """Read a store file as exports do; every slice must hold the keys of its prefix alone."""
    (file,) = (file for file in promoted.store_files if file.kind is kind)
    store = StoreFile(intake.files.open(file.key))
    depth, rows = store.layout.depth, 0
    for prefix in range(1 << depth):
        found = store.slice(prefix, depth, ["_key_hi"])
        assert all(hi >> (64 - depth) == prefix for hi in found.column(0).to_pylist())
        rows += found.num_rows
    assert rows == file.row_count
    return depth


def test_what_does_not_fit_into_memory_is_sorted_all_the_same(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = np.random.default_rng(1).integers(0, 900, 3000).tolist()
    rows = [
        {"crm": f"{n}", "name": f"{n} {i}", **named(f"ecid:{n % 7}")} for i, n in enumerate(numbers)
    ]
    at_once = intake.promote(lines(*rows), *RECORD, **BY_CRM)
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", 10_000)
    monkeypatch.setattr("service.engine.store_files.GROUP_BYTES", 1 << 13)
    monkeypatch.setattr("service.engine.words.FEWEST_VALUES", 100)  # names turn out not to repeat
    for budget in ("FRAGMENT_BYTES", "IDENTITY_BYTES", "LINK_BYTES"):
        monkeypatch.setattr(profile_rows, budget, 5_000)
    uploads = {f"{n:03}": lines(*rows[n * 30 : n * 30 + 30]) for n in range(100)}
    in_runs = intake.promote(uploads, *RECORD, **BY_CRM)
    for kind in (RECORDS, IDENTITIES, LINKS):
        assert intake.stored(in_runs, kind) == intake.stored(at_once, kind)
    assert _slices(intake, in_runs, RECORDS) > 3
    assert _slices(intake, at_once, RECORDS) == 0
