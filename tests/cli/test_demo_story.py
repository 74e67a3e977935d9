"""Why merged profiles are as they are."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog.batches import FileFormat
from service.cli.demo_story import Evidence, FieldStory, interesting_profiles, same
from service.cli.sources import Files, Source, identity


def a_source(folder: Path, name: str, *rows: object, key: str) -> Source:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return Source(
        name=name,
        files=Files(root=folder, paths=(path,), format=FileFormat.JSON),
        is_event=False,
        identities=(identity(f"{key}={key}:primary"),),
    )


def a_profile(**fields: object) -> dict[str, object]:
    return {"identityMap": {"crmId": [{"id": "1"}], "cardId": [{"id": "A"}]}, **fields}


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    crm = a_source(
        tmp_path,
        "CRM",
        {"crmId": "1", "name": {"first": "Ada"}, "city": "Ostrey", "phone": "5"},
        {"crmId": "2", "name": {"first": "Bo"}},
        {"crmId": "1", "name": {"first": "Ada"}, "city": "Ostrey"},
        key="crmId",
    )
    cards = a_source(
        tmp_path,
        "Cards",
        {"cardId": "A", "name": {"first": "Ada"}, "city": "Pellham", "points": 7},
        key="cardId",
    )
    return Evidence([crm, cards])


def told(evidence: Evidence, **fields: object) -> dict[str, FieldStory]:
    return {field.path: field for field in evidence.tell(a_profile(**fields), 3).fields}


def test_the_newest_record_that_has_a_value_wins(evidence):
    field = told(evidence, city="Pellham")["city"]
    assert (field.said[0].source, field.agrees) == ("Cards", True)
    assert field.because() == "newest; CRM says Ostrey"


def test_agreement_and_lone_knowledge_are_told_apart(evidence):
    fields = told(evidence, name={"first": "Ada"}, points=7)
    assert fields["name.first"].because() == "CRM says the same"
    assert fields["points"].because() == "nobody else knows it"


def test_a_replaced_record_gives_nothing_and_is_counted(evidence):
    profile = a_profile(phone=None, city="Pellham")
    story = evidence.tell(profile, 3)
    assert story.replaced_count == 1
    assert dict(story.records) == {"Cards": 1, "CRM": 1}
    assert [field.path for field in story.fields] == ["city"]


def test_a_value_that_is_not_what_the_records_say_is_said_to_differ(evidence):
    assert not told(evidence, city="Ostrey")["city"].agrees
    assert not told(evidence, phone="5")["phone"].agrees
    assert not told(evidence, points=None)["points"].agrees


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("2004-09-25", date(2004, 9, 25), True),
        ("2004-09-25T08:00:00+02:00", datetime(2004, 9, 25, 6, tzinfo=UTC), True),
        ("7", 7, True),
        ("7.50", 7.5, True),
        ("true", True, True),
        ("07", "7", False),
        ("7", 8, False),
        ([{"a": "1"}], [{"a": 1, "b": None}], True),
        ([1], [1, 2], False),
        (None, "x", False),
    ],
)
def test_values_are_the_same_however_a_file_spells_them(one, other, are_same):
    assert same(one, other) is are_same


def test_profiles_that_show_the_most_are_chosen_each_in_another_way(evidence, tmp_path):
    identity_map = pa.map_(pa.string(), pa.list_(pa.struct([("id", pa.string())])))
    table = pa.table(
        {
            "identityMap": pa.array(
                [
                    [("crmId", [{"id": "2"}])],
                    [("crmId", [{"id": "2"}])],
                    [("crmId", [{"id": "1"}]), ("cardId", [{"id": "A"}])],
                ],
                identity_map,
            ),
            "city": [None, None, "Pellham"],
            "name": [{"first": "Bo"}, {"first": "Bo"}, {"first": "Ada"}],
            "timeSeriesEvents": [[], None, [{"_id": "e1"}, {"_id": "e2"}]],
        }
    )
    pq.write_table(table, tmp_path / "part.parquet", row_group_size=2)
    first, second = interesting_profiles(evidence, [tmp_path / "part.parquet"], 2)
    assert (first.identities["cardId"], first.event_count) == (("A",), 2)
    assert (second.identities["crmId"], second.event_count) == (("2",), 0)
    assert first.agrees
    assert second.agrees


def test_an_export_without_rows_or_identities_tells_nothing(evidence, tmp_path):
    pq.write_table(pa.table({"city": ["x"]}), tmp_path / "part.parquet")
    assert interesting_profiles(evidence, [tmp_path / "part.parquet"], 3) == []
    pq.write_table(pa.table({"identityMap": pa.array([], pa.string())}), tmp_path / "none.parquet")
    assert interesting_profiles(evidence, [tmp_path / "none.parquet"], 3) == []
