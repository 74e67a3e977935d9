"""Promotion: what a batch of uploads becomes, in the data set and in the profile store."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.schemas import IDENTITY_MAP, SEGMENT_MEMBERSHIP, Field
from catalog.store_files import StoreFileKind
from service.engine import dataset_files, json_rows, profile_rows
from service.engine.arrow_types import arrow_schema
from service.engine.orders import Promoted
from service.engine.rows import MISSING_FIELD
from service.engine.store_files import StoreFile
from tests.engine.builders import key_of
from tests.engine.intake import (
    DAY,
    LONG,
    NUMBER,
    TEXT,
    TIME,
    WHOLE,
    Intake,
    a_list,
    an_object,
    identity,
    lines,
)
from tests.samples import sample

NAME = Field("name", TEXT)
CRM = Field("crm", TEXT)
RECORD = (NAME, CRM, Field("email", TEXT), IDENTITY_MAP)
EVENT = (Field("_id", TEXT), Field("timestamp", TIME), CRM, IDENTITY_MAP)
BY_CRM = {"for_profile": True, "identities": (identity("crm", "CRM", primary=True),)}
EVENTS = {**BY_CRM, "is_event": True}
NOON = "2022-11-22T12:00:00Z"

RECORDS, EVENT_ROWS = StoreFileKind.RECORDS, StoreFileKind.EVENTS
IDENTITIES, LINKS = StoreFileKind.IDENTITIES, StoreFileKind.LINKS


def named(*entries: str) -> Any:
    """An identity map of entries such as ``crm:1``; ``!`` behind marks the primary one."""
    found: dict[str, Any] = {}
    for entry in entries:
        namespace, _, value = entry.partition(":")
        flag = {"primary": True} if value.endswith("!") else {}
        found.setdefault(namespace, []).append({"id": value.rstrip("!"), **flag})
    return {"identityMap": found}


def key(row: dict[str, Any], name: str = "_key") -> int:
    return row[f"{name}_hi"] << 64 | row[f"{name}_lo"]


# The data set's own files


def test_rows_are_kept_in_the_order_of_paths_and_lines(intake: Intake) -> None:
    uploads = {"b": lines({"name": "3"}), "a/2": lines({"name": "2"}), "B": lines({"name": "1"})}
    assert [row["name"] for row in intake.accepted(uploads, NAME)] == ["1", "2", "3"]


def test_files_have_the_whole_schema_nested_and_maps_as_maps(intake: Intake) -> None:
    fields = (an_object("o", Field("x", LONG)), IDENTITY_MAP, SEGMENT_MEMBERSHIP, Field("d", DAY))
    promoted = intake.promote(lines({"d": "2004-09-25"}), *fields)
    assert intake.table(promoted).schema.equals(arrow_schema(fields))


def test_a_batch_without_rows_or_files_has_one_file_with_the_schema(intake: Intake) -> None:
    for uploads in ({}, {"a": b"[]"}):
        promoted = intake.promote(uploads, *RECORD, **BY_CRM)
        (file,) = promoted.dataset_files
        assert file.row_count == 0
        assert intake.table(promoted).schema.equals(arrow_schema(RECORD))
        assert [file.row_count for file in promoted.store_files] == [0, 0, 0]


def test_what_is_said_of_a_file_is_true(intake: Intake) -> None:
    promoted = intake.promote(lines({"crm": "1"}, {"crm": "2"}), *RECORD, **BY_CRM)
    files = [*promoted.dataset_files, *promoted.store_files]
    assert [file.row_count for file in files] == [2, 2, 2, 0]
    for file in files:
        content = intake.files.read(file.key, 0, file.size_bytes + 1)
        assert len(content) == file.size_bytes
        assert hashlib.sha256(content).hexdigest() == file.sha256


def test_row_groups_and_files_are_cut_by_rows(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset_files, "GROUP_ROWS", 100)
    monkeypatch.setattr(dataset_files, "FILE_ROWS", 200)
    promoted = intake.promote(lines(*({"name": str(n)} for n in range(450))), NAME)
    assert [file.key.rpartition("/")[2] for file in promoted.dataset_files] == [
        "dataset-00001.parquet",
        "dataset-00002.parquet",
        "dataset-00003.parquet",
    ]
    opened = [pq.ParquetFile(intake.files.open(file.key)) for file in promoted.dataset_files]
    groups = [
        [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] for file in opened
    ]
    assert groups == [[100, 100], [100, 100], [50]]
    assert [row["name"] for row in intake.rows(promoted)] == [str(n) for n in range(450)]


def test_large_rows_make_smaller_row_groups_and_files(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", 1)
    monkeypatch.setattr(dataset_files, "GROUP_BYTES", 1000)
    monkeypatch.setattr(dataset_files, "FILE_BYTES", 1)
    uploads = {str(n): lines({"name": f"{n}" * 600}) for n in range(6)}
    promoted = intake.promote(uploads, NAME)
    assert [file.row_count for file in promoted.dataset_files] == [2, 2, 2]


# Refusals


def test_one_refused_row_fails_the_batch_and_the_others_are_only_counted(intake: Intake) -> None:
    rows = [{"crm": str(n)} if n % 2 else {"crm": []} for n in range(300)]
    promoted = intake.promote({"a": lines(*rows), "b": b""}, *RECORD, **BY_CRM)
    assert (promoted.dataset_files, promoted.store_files) == ((), ())
    assert len(promoted.errors) == 100
    assert promoted.errors[0].row == 1
    counts = (promoted.input_row_count, promoted.output_row_count, promoted.failed_row_count)
    assert counts == (301, 0, 151)


def test_a_required_field_must_be_there_where_its_object_is(intake: Intake) -> None:
    needed = an_object("o", an_object("p", Field("x", LONG, is_required=True), Field("y", LONG)))
    items = a_list("l", an_object("", Field("x", LONG, is_required=True)))
    rows = [{}, {"o": {}}, {"o": {"p": {"x": 1}}}, {"l": [{"x": 1}]}]
    assert len(intake.accepted(lines(*rows), needed, items)) == 4
    for row, path in (({"o": {"p": {"x": None}}}, "o.p.x"), ({"l": [{"x": 1}, {}]}, "l.x")):
        message = f"{path}: the required field is missing"
        assert intake.refusal(lines({}, row), needed, items) == (2, MISSING_FIELD, message)


def test_a_required_field_of_the_root_must_be_there(intake: Intake) -> None:
    name = Field("name", TEXT, is_required=True)
    assert intake.refusal(lines({"name": "a"}, {}), name)[:2] == (2, MISSING_FIELD)
    assert intake.accepted(lines({"name": ""}), name) == [{"name": ""}]


def test_an_event_needs_a_time_but_no_id(intake: Intake) -> None:
    content = lines({"crm": "1", "timestamp": NOON}, {"crm": "1", "_id": "x"})
    message = "timestamp: the required field is missing"
    assert intake.refusal(content, *EVENT, **EVENTS) == (2, MISSING_FIELD, message)


# Identities


@pytest.mark.parametrize(
    ("row", "primary"),
    [
        ({"crm": "1"}, ("crm", "1")),
        ({"crm": "1", **named("ecid:2!")}, ("crm", "1")),
        ({"crm": "1", **named("ecid:2!", "ecid:3!")}, ("crm", "1")),
        (named("ECID:2!", "x:3"), ("ecid", "2")),
        (named("ecid:2!", "ECID:2!"), ("ecid", "2")),
        ({"crm": " ", **named("ecid:2")}, ("ecid", "2")),
        ({"email": "a@example.com"}, ("email", "a@example.com")),
        (named("ecid:2", "Ecid:2"), ("ecid", "2")),
    ],
)
def test_the_primary_identity_is_described_or_flagged_or_the_only_one(
    intake: Intake, row: Any, primary: tuple[str, str]
) -> None:
    identities = (identity("crm", "CRM", primary=True), identity("email", "Email"))
    promoted = intake.promote(lines(row), *RECORD, for_profile=True, identities=identities)
    (record,) = intake.stored(promoted, RECORDS)
    assert key(record) == key_of(primary)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"name": "x"}, "no primary identity: the row names none"),
        (named("ecid:2", "ecid:3"), "no primary identity: the row names several and marks none"),
        (named("ecid:2!", "ecid:3!"), "no primary identity: identityMap marks several"),
        ({"crm": "x" * 1025}, "an identity of more than 1,024 characters"),
    ],
)
def test_a_row_whose_primary_identity_cannot_be_told_is_refused(
    intake: Intake, row: Any, message: str
) -> None:
    content = lines({"crm": "1"}, row)
    assert intake.refusal(content, *RECORD, **BY_CRM) == (2, MISSING_FIELD, message)


def test_without_a_profile_nobody_needs_an_identity(intake: Intake) -> None:
    promoted = intake.promote(lines({"name": "x"}), *RECORD)
    assert promoted.errors == ()
    assert promoted.store_files == ()


def test_identities_in_fields_of_any_kind_are_texts(intake: Intake) -> None:
    fields = (
        an_object("ids", Field("n", LONG), Field("day", DAY), Field("x", NUMBER)),
        IDENTITY_MAP,
    )
    identities = (
        identity("ids.n", "N", primary=True),
        identity("ids.day", "D"),
        identity("ids.x", "X"),
    )
    row = {"ids": {"n": 7, "day": "2004-09-25", "x": 0.5}}
    promoted = intake.promote(lines(row), *fields, for_profile=True, identities=identities)
    found = {(row["namespace"], row["value"]) for row in intake.stored(promoted, IDENTITIES)}
    assert found == {("n", "7"), ("d", "2004-09-25"), ("x", "0.5")}


def test_identities_are_kept_once_per_owner_with_their_strongest_state(intake: Intake) -> None:
    def seen(state: str | None) -> Any:
        return {"crm": "1", "identityMap": {"ECID": [{"id": "2", "authenticatedState": state}]}}

    rows = [seen("loggedOut"), seen("authenticated"), seen("nonsense"), {"crm": "3"}]
    promoted = intake.promote(lines(*rows), *RECORD, **BY_CRM)
    found = intake.stored(promoted, IDENTITIES)
    keys = [(key(row), key(row, "id")) for row in found]
    assert keys == sorted(keys)
    one, three, ecid = key_of(("crm", "1")), key_of(("crm", "3")), key_of(("ecid", "2"))
    assert {
        (key(row), key(row, "id"), row["namespace"], row["value"], row["state"]) for row in found
    } == {
        (one, one, "crm", "1", 0),
        (one, ecid, "ecid", "2", 2),
        (three, three, "crm", "3", 0),
    }


def test_identities_of_one_row_are_linked_by_its_smallest_key(intake: Intake) -> None:
    rows = [named("a:1!", "b:2", "c:3", "part:4"), named("a:1!", "part:4"), named("b:2!", "A:1")]
    promoted = intake.promote(
        lines(*rows), *RECORD, for_profile=True, unlinked_namespaces=("part",)
    )
    keys = sorted(key_of((code, value)) for code, value in (("a", "1"), ("b", "2"), ("c", "3")))
    pair = tuple(sorted((key_of(("a", "1")), key_of(("b", "2")))))
    found = [(key(row), key(row, "other")) for row in intake.stored(promoted, LINKS)]
    assert found == sorted({(keys[0], keys[1]), (keys[0], keys[2]), pair})


def test_namespaces_are_told_as_first_spelled_in_order_of_first_sight(intake: Intake) -> None:
    rows = [named("web:1!"), {"crm": "1", **named("Ecid:2", "ECID:3")}, named("WEB:1!", "app:1")]
    promoted = intake.promote(lines(*rows), *RECORD, **BY_CRM)
    assert promoted.namespaces == ("web", "CRM", "ECID", "app")


# Store files


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


# Sameness


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.booleans()), max_size=40),
    st.integers(30, 3000),
    st.integers(1, 3),
)
def test_blocks_and_threads_change_no_row(
    intake: Intake, drawn: list[Any], block_bytes: int, threads: int
) -> None:
    rows = [{"crm": str(n), "name": str(m), **named(f"x:{m}")} for n, m, _ in drawn]
    rows = [
        row if keep else {**row, "name": []} for row, (*_, keep) in zip(rows, drawn, strict=True)
    ]
    uploads = {"a": lines(*rows), "b": json.dumps(rows).encode()}
    whole = intake.promote(uploads, *RECORD, **BY_CRM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_rows, "BLOCK_BYTES", block_bytes)
        cut = intake.promote(uploads, *RECORD, **BY_CRM, threads=threads)
    assert cut.errors == whole.errors
    assert (cut.input_row_count, cut.failed_row_count) == (
        whole.input_row_count,
        whole.failed_row_count,
    )
    assert cut.namespaces == whole.namespaces
    if not whole.errors:
        assert intake.rows(cut) == intake.rows(whole)
        for kind in (RECORDS, IDENTITIES, LINKS):
            assert intake.stored(cut, kind) == intake.stored(whole, kind)


def test_two_runs_give_the_same_bytes(intake: Intake) -> None:
    rows = [{"crm": str(n % 700), "name": str(n), **named(f"e:{n}")} for n in range(2000)]
    first, second = (intake.promote(lines(*rows), *RECORD, **BY_CRM, threads=n) for n in (1, 3))
    for one, other in zip(
        (*first.dataset_files, *first.store_files),
        (*second.dataset_files, *second.store_files),
        strict=True,
    ):
        assert one.sha256 == other.sha256


def test_nothing_is_left_in_scratch(intake: Intake, tmp_path: Path) -> None:
    intake.promote(lines({"crm": "1"}), *RECORD, **BY_CRM)
    intake.promote(lines({"crm": []}), *RECORD, **BY_CRM)
    assert [path for path in tmp_path.rglob("*") if path.name.startswith(".")] == []


def test_progress_is_told_as_the_work_gets_on(intake: Intake) -> None:
    content = {"a": lines({"crm": "1"}), "b": lines({"crm": "2"})}
    intake.promote(content, *RECORD, **BY_CRM)
    phases = {report.phase: (report.done, report.total) for report in intake.reports}
    size = sum(len(upload) for upload in content.values())
    assert phases["reading"] == (size, size)
    done, total = phases["sorting"]
    assert 0 < done <= total


# Real records


LUMA = an_object("systemIdentifier", Field("crmId", TEXT), Field("loyaltyId", TEXT))
TENANT = an_object("_yourTenantId", LUMA)


def test_luma_loyalty_is_read_as_it_is(intake: Intake) -> None:
    loyalty = an_object(
        "loyalty", Field("points", LONG), Field("tier", TEXT), Field("joinDate", DAY)
    )
    promoted = intake.promote(
        sample("luma/luma-loyalty.json").read_bytes(),
        TENANT,
        loyalty,
        for_profile=True,
        identities=(
            identity("_yourTenantId.systemIdentifier.loyaltyId", "lumaLoyaltyId", primary=True),
            identity("_yourTenantId.systemIdentifier.crmId", "lumaCrmId"),
        ),
    )
    assert promoted.errors == ()
    assert promoted.ignored_fields == ("person",)
    assert promoted.namespaces == ("lumaLoyaltyId", "lumaCrmId")
    counts = [len(intake.stored(promoted, kind)) for kind in (RECORDS, LINKS)]
    assert counts == [999, 660]


def test_luma_web_events_are_read_as_they_are(intake: Intake) -> None:
    commerce = an_object("commerce", an_object("saveForLaters", Field("value", NUMBER)))
    content = sample("luma/luma-web-events.json").read_bytes()
    promoted = intake.promote(content, *EVENT, commerce, is_event=True, for_profile=True)
    assert promoted.errors == ()
    found = intake.stored(promoted, EVENT_ROWS)
    assert len(found) == 1000
    written = {row["_id"]: row for row in json.loads(content)}
    for row in found:
        (ecid,) = written[row["_id"]]["identityMap"]["ECID"]
        assert key(row) == key_of(("ecid", ecid["id"]))
        saved = written[row["_id"]]["commerce"].get("saveForLaters")
        assert row["commerce.saveForLaters.value"] == (saved and float(saved["value"]))


def test_the_sample_customers_are_read_as_they_are(intake: Intake) -> None:
    content = sample("etl-reference/CRM_profiles.json").read_bytes()
    person = an_object("person", Field("birthDate", DAY), Field("birthYear", WHOLE))
    promoted = intake.promote(content, person, IDENTITY_MAP, for_profile=True)
    assert promoted.errors == ()
    written = json.loads(content)
    found = intake.rows(promoted)
    assert [row["identityMap"] for row in found] == [row["identityMap"] for row in written]
    for row, source in zip(found, written, strict=True):
        year, month, day = map(int, source["person"]["birthDate"].split("-"))
        assert row["person"]["birthDate"] == date(year, month, day)
