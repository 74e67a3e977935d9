"""Arrow types of schema fields."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog.schemas import IDENTITY_MAP, SEGMENT_MEMBERSHIP, Field, Kind
from service.engine import arrow_types
from service.engine.arrow_types import arrow_schema, arrow_type, has_column, leaf_types

NAME = Field("name", Kind.OBJECT, fields=(Field("first", Kind.STRING), Field("age", Kind.INTEGER)))
PERSON = Field("person", Kind.OBJECT, fields=(NAME, Field("birthDate", Kind.DATE)))
ITEMS = Field("items", Kind.ARRAY, element=Field("", Kind.OBJECT, fields=(NAME,)))
LABELS = Field("labels", Kind.MAP, element=Field("", Kind.DOUBLE))
EMPTY = Field("nothing", Kind.OBJECT, fields=(Field("less", Kind.OBJECT),))
ALL = (PERSON, ITEMS, LABELS, IDENTITY_MAP, SEGMENT_MEMBERSHIP)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.STRING, pa.string()),
        (Kind.BOOLEAN, pa.bool_()),
        (Kind.INTEGER, pa.int32()),
        (Kind.LONG, pa.int64()),
        (Kind.DOUBLE, pa.float64()),
        (Kind.DATE, pa.date32()),
        (Kind.TIMESTAMP, pa.timestamp("us", tz="UTC")),
        (Kind.IDENTITY_MAP, arrow_types.IDENTITY_MAP),
        (Kind.SEGMENT_MEMBERSHIP, arrow_types.SEGMENT_MEMBERSHIP),
    ],
)
def test_every_plain_kind_has_one_type(kind: Kind, expected: pa.DataType) -> None:
    assert arrow_type(Field("x", kind)) == expected


def test_objects_nest_and_arrays_and_maps_hold_their_element() -> None:
    name = pa.struct([("first", pa.string()), ("age", pa.int32())])
    assert arrow_schema(ALL).field("person").type == pa.struct(
        [("name", name), ("birthDate", pa.date32())]
    )
    assert arrow_type(ITEMS) == pa.list_(pa.struct([("name", name)]))
    assert arrow_type(LABELS) == pa.map_(pa.string(), pa.float64())


def test_leaves_are_named_by_their_dotted_path_in_the_schemas_order() -> None:
    assert list(leaf_types(ALL)) == [
        "person.name.first",
        "person.name.age",
        "person.birthDate",
        "items",
        "labels",
        "identityMap",
        "segmentMembership",
    ]


def test_objects_without_leaves_have_no_column_at_any_depth() -> None:
    held = Field("held", Kind.OBJECT, fields=(EMPTY, Field("x", Kind.LONG)))
    listed = Field("listed", Kind.ARRAY, element=EMPTY)
    assert arrow_schema((EMPTY, held, listed)) == pa.schema(
        {"held": pa.struct([("x", pa.int64())])}
    )
    assert leaf_types((EMPTY, held, listed)) == {"held.x": pa.int64()}
    assert not has_column(listed)
    with pytest.raises(ValueError, match="no column"):
        arrow_type(EMPTY)


def test_parquet_gives_the_schema_back_as_it_was() -> None:
    schema = arrow_schema(ALL)
    sink = io.BytesIO()
    pq.write_table(schema.empty_table(), sink)
    assert pq.read_table(sink).schema.equals(schema)
