import io

import pytest
from rich.console import Console

from catalog.schemas import Field, Kind
from service.cli.ingest import _tell_what_stays, looks_like_events

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


def test_a_first_batch_that_failed_leaves_a_data_set_behind_and_says_so():
    said = io.StringIO()
    _tell_what_stays("5c8c", Console(file=said, width=1000))
    assert "data set 5c8c was made for it and stays, without rows" in said.getvalue()
    assert "DELETE /data/foundation/catalog/dataSets/5c8c" in said.getvalue()
