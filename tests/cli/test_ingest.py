import pytest

from catalog.schemas import Field, Kind
from service.cli.ingest import looks_like_events

ID = Field("_id", Kind.STRING)
INSTANT = Field("timestamp", Kind.TIMESTAMP)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ((ID, INSTANT), True),
        ((ID,), False),
        ((INSTANT,), False),
        ((ID, Field("timestamp", Kind.STRING)), False),
    ],
)
def test_rows_with_an_id_and_an_instant_look_like_events(fields, expected):
    assert looks_like_events(fields) is expected
