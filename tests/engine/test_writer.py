import hashlib

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.engine import columns, writer
from tests.engine.builders import ALL_EVENTS, Store, a_batch, an_event_batch, day, named


@pytest.fixture
def exported(tmp_path, monkeypatch):
    """A hundred people with an event each; row groups of 16."""
    monkeypatch.setattr(writer, "GROUP_ROWS", 16)
    people = [
        {
            "identityMap": named(f"crm:{n}"),
            "first": f"{n}",
            "segmentMembership": {"ups": {"s": {"status": "realized"}}},
        }
        for n in range(100)
    ]
    clicks = [
        {"identityMap": named(f"crm:{n}"), "_id": f"{n}", "timestamp": day(1)} for n in range(100)
    ]
    store = Store(tmp_path)
    made = store.export_of(
        a_batch("crm", 1, *people), an_event_batch("clicks", 2, *clicks), events=ALL_EVENTS
    )
    return made, tmp_path / made.parts[0].key


def test_a_part_is_described_as_it_lies_on_the_disk(exported):
    made, path = exported
    (part,) = made.parts
    assert part.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert part.size_bytes == path.stat().st_size
    assert part.row_count == pq.read_metadata(path).num_rows == 100


def test_row_groups_have_their_size_statistics_and_page_indexes(exported):
    metadata = pq.read_metadata(exported[1])
    sizes = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
    assert all(16 <= size < 32 for size in sizes)
    chunk = metadata.row_group(0).column(0)
    assert (chunk.is_stats_set, chunk.has_column_index, chunk.has_offset_index) == (True,) * 3
    assert chunk.compression == "ZSTD"


def test_readers_find_maps_nested_events_and_plain_texts(exported):
    schema = pq.read_schema(exported[1])
    assert pa.types.is_map(schema.field("identityMap").type)
    assert pa.types.is_map(schema.field("segmentMembership").type)
    assert schema.names[-1] == "timeSeriesEvents"
    assert schema.field("first").type == pa.string()


def test_duckdb_and_polars_read_what_pyarrow_reads(exported):
    made, path = exported
    query = "SELECT first, identityMap['CRM'][1].id, timeSeriesEvents[1]._id FROM read_parquet(?)"
    rows = duckdb.execute(query, [str(path)]).fetchall()
    assert sorted(rows) == sorted((str(n), str(n), str(n)) for n in range(100))
    assert pl.read_parquet(path)["first"].to_list() == [row["first"] for row in made.rows]


def test_columns_that_outgrew_their_offsets_are_narrowed_when_written(tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "ROOMY_FROM_BYTES", 1)
    monkeypatch.setattr(writer, "GROUP_ROWS", 3)
    people = [named(f"crm:{n}") for n in range(9)]
    segments = {"ups": {"s": {"status": "realized"}}}

    def records(id, number):
        rows = ({"identityMap": who, "first": id, "segmentMembership": segments} for who in people)
        return a_batch(id, number, *rows)

    def clicks(number):
        rows = ({"identityMap": w, "_id": str(number), "timestamp": day(number)} for w in people)
        return an_event_batch("clicks", number, *rows)

    batches = [records("crm", 1), records("loyalty", 2), clicks(3), clicks(4)]
    made = Store(tmp_path).export_of(*batches, events=ALL_EVENTS)
    assert len(made.rows) == 9
    for row in made.rows:
        assert row["first"] == "loyalty"
        assert row["segmentMembership"]["ups"]["s"]["status"] == "realized"
        assert [event["_id"] for event in row["timeSeriesEvents"]] == ["3", "4"]
    assert {table.schema.field("first").type for table in made.tables} == {pa.string()}


def test_the_columns_of_a_merge_have_the_schemas_types_at_once(exported, monkeypatch):
    def never(*_):
        raise AssertionError("rows were converted that need not be")

    made, path = exported
    monkeypatch.setattr(writer, "widened", never)
    ann = {"identityMap": named("crm:1"), "first": "Ann"}
    click = {"identityMap": named("crm:1"), "_id": "1", "timestamp": day(1)}
    batches = [a_batch("crm", 1, ann), an_event_batch("clicks", 2, click)]
    again = Store(path.parent / "again").export_of(*batches, events=ALL_EVENTS)
    assert again.rows[0]["first"] == "Ann"
    assert again.tables[0].schema == made.tables[0].schema
