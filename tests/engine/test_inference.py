"""Fields guessed from rows."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog.batches import FileFormat
from catalog.errors import Invalid
from catalog.schemas import IDENTITY_MAP, Field, Kind
from service.engine.inference import infer

JSON, CSV, PARQUET = FileFormat.JSON, FileFormat.CSV, FileFormat.PARQUET


def lines(folder: Path, *rows: object) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def kind_of(folder: Path, *values: object) -> Kind | None:
    fields = infer([lines(folder, *({"x": value} for value in values))], JSON).fields
    return fields[0].kind if fields else None


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((1, -2), Kind.LONG),
        ((1, 2.5), Kind.DOUBLE),
        ((True, None), Kind.BOOLEAN),
        (("2024-02-29",), Kind.DATE),
        (("2024-02-29", "2023-02-29"), Kind.STRING),
        (("2024-02-29", "unknown"), Kind.STRING),
        (("2024-02-29T10:00:00Z", "2024-02-29T10:00:00.123+02:00"), Kind.TIMESTAMP),
        (("2024-02-29T10:00:00",), Kind.STRING),
        (("2024-02-29", "2024-02-29T10:00:00Z"), Kind.STRING),
        ((1, "one"), Kind.STRING),
        ((True, 1), Kind.STRING),
        ((12345678901234567890123456789012345678,), Kind.STRING),
        ((None, None), None),
        (([], None), None),
        (({},), None),
    ],
)
def test_a_field_is_the_narrowest_type_that_holds_every_value(tmp_path, values, kind):
    assert kind_of(tmp_path, *values) is kind


def test_fields_keep_the_order_in_which_they_were_first_seen(tmp_path):
    path = lines(tmp_path, {"b": {"z": 1}}, {"a": "x", "b": {"y": "2024-01-01", "z": None}})
    assert infer([path], JSON).fields == (
        Field("b", Kind.OBJECT, fields=(Field("z", Kind.LONG), Field("y", Kind.DATE))),
        Field("a", Kind.STRING),
    )


def test_elements_of_all_lists_are_one_type(tmp_path):
    path = lines(tmp_path, {"items": [{"sku": "a"}, {"price": 1}]}, {"items": [{"price": 1.5}]})
    element = Field(
        "items", Kind.OBJECT, fields=(Field("sku", Kind.STRING), Field("price", Kind.DOUBLE))
    )
    assert infer([path], JSON).fields == (Field("items", Kind.ARRAY, element=element),)


def test_an_identity_map_is_what_the_service_says_it_is(tmp_path):
    path = lines(tmp_path, {"identityMap": {"ECID": [{"id": "1"}]}})
    assert infer([path], JSON).fields == (IDENTITY_MAP,)


def test_identities_are_text_even_when_they_look_like_numbers(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("crmId,age\n17,40\n18,41\n")
    found = infer([path], CSV, texts=frozenset({("crmId",)})).fields
    assert found == (Field("crmId", Kind.STRING), Field("age", Kind.LONG))


def test_leading_zeros_make_a_csv_column_text(tmp_path):
    path = tmp_path / "places.csv"
    path.write_text("zip,area,open\n07305,1.5,true\n10115,2.0,false\n")
    assert [field.kind for field in infer([path], CSV).fields] == [
        Kind.STRING,
        Kind.DOUBLE,
        Kind.BOOLEAN,
    ]


def test_dotted_csv_headings_are_nested_fields(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("person.name,person.age\nAda,\nBo,36\n")
    (person,) = infer([path], CSV).fields
    assert person.fields == (Field("name", Kind.STRING), Field("age", Kind.LONG))


@pytest.mark.parametrize("text", ['[{"x": 1},\n {"x": 2}]', '{"x": 1}\n{"x": 2}\n', '{"x":\n 1}'])
def test_lists_lines_and_single_objects_are_all_read(tmp_path, text):
    path = tmp_path / "rows.json"
    path.write_text(text)
    assert infer([path], JSON).fields == (Field("x", Kind.LONG),)


def test_rows_beyond_the_limit_are_not_looked_at(tmp_path):
    path = lines(tmp_path, {"x": 1}, {"x": 2}, {"x": "three"})
    found = infer([path], JSON, row_limit=2)
    assert found.fields == (Field("x", Kind.LONG),)
    assert (found.row_count, found.reached_limit) == (2, True)
    assert not infer([path], JSON, row_limit=3).reached_limit


def test_rows_that_disagree_on_the_shape_of_a_field_are_refused(tmp_path):
    path = lines(tmp_path, {"a": {"b": "x"}}, {"a": {"b": ["x"]}})
    with pytest.raises(Invalid, match=r"a\.b holds array and string"):
        infer([path], JSON)


def test_what_is_not_json_is_refused_with_its_row(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text('{"x": 1}\n{"x": \n')
    with pytest.raises(Invalid, match=r"rows\.json: row 2 is not JSON"):
        infer([path], JSON)


def test_parquet_says_its_own_types(tmp_path):
    table = pa.table(
        {
            "id": pa.array([7], pa.int64()),
            "small": pa.array([7], pa.int16()),
            "day": [date(2024, 1, 1)],
            "at": [datetime(2024, 1, 1, tzinfo=UTC)],
            "kind": pa.array(["a"]).dictionary_encode(),
            "person": [{"name": "Ada", "tags": ["x"]}],
            "labels": pa.array([[("k", 1.0)]], pa.map_(pa.string(), pa.float64())),
            "nothing": pa.nulls(1),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    found = infer([tmp_path / "rows.parquet"], PARQUET, texts=frozenset({("id",)}))
    assert found.fields == (
        Field("id", Kind.STRING),
        Field("small", Kind.INTEGER),
        Field("day", Kind.DATE),
        Field("at", Kind.TIMESTAMP),
        Field("kind", Kind.STRING),
        Field(
            "person",
            Kind.OBJECT,
            fields=(
                Field("name", Kind.STRING),
                Field("tags", Kind.ARRAY, element=Field("items", Kind.STRING)),
            ),
        ),
        Field("labels", Kind.MAP, element=Field("values", Kind.DOUBLE)),
    )
    assert found.row_count == 1
