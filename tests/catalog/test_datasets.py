"""What the tags of a data set say, and what it is called as a table."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.datasets import DatasetId, checked_expiration, checked_tags, says, table_name, view_id
from catalog.errors import InvalidField


@pytest.mark.parametrize("value", ["enabled:true", "enabled: true", " enabled : true "])
def test_a_tag_enables_with_and_without_the_blank(value: str):
    assert says({"unifiedProfile": [value]}, "enabled")


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"unifiedProfile": []},
        {"unifiedProfile": ["enabled:false"]},
        {"unifiedIdentity": ["enabled:true"]},
        {"unifiedProfile": ["isUpsert:true"]},
    ],
)
def test_other_tags_do_not_enable(tags: dict[str, list[str]]):
    assert not says(tags, "enabled")


@pytest.mark.parametrize("tags", [[], "x", {"a": "b"}, {"a": [1]}, {"a": None}, {"a": {"b": []}}])
def test_tags_are_lists_of_strings(tags: Any):
    with pytest.raises(InvalidField, match="tags"):
        checked_tags(tags)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("Luma CRM Dataset", "luma_crm_dataset"),
        ("2024 sales", "_2024_sales"),
        ("Größe (neu)", "gr_e_neu"),
        ("???", "dataset"),
        ("", "dataset"),
    ],
)
def test_a_data_set_is_called_after_its_name_as_a_table(name: str, table: str):
    assert table_name(name) == table


def test_a_view_is_named_after_its_data_set_and_is_not_it():
    id = DatasetId("5e8a0a3b5f1d2c3b4a5d6e7f")
    assert view_id(id) == view_id(id)
    assert view_id(id) != id
    assert len(view_id(id)) == 24


def kept(value: object) -> dict[str, object]:
    return {"extensions": {"adobe_lakeHouse": {"rowExpiration": {"ttlValue": value}}}}


@pytest.mark.parametrize(
    "extras",
    [
        {},
        {"extensions": None},
        {"extensions": {"other": 1}},
        kept(None),
        *map(kept, ["P30D", "P3M", "P1Y", "P2W", "P1Y6M", "P1000Y"]),
    ],
)
def test_how_long_rows_are_kept_is_a_duration_or_not_said(extras: dict[str, object]):
    checked_expiration(extras)


@pytest.mark.parametrize(
    "extras",
    [
        {"extensions": "P30D"},
        {"extensions": {"adobe_lakeHouse": []}},
        *map(kept, ["", "P", "P0D", "30", 30, "PT1H", "P1DT1H", "P-1D", "P1M1Y", "P٣D"]),
        # The sweeper could not count back so far, and would let nothing of anybody go any more.
        *map(kept, ["P1001Y", "P999999999999Y", "P" + "9" * 5000 + "D"]),
    ],
)
def test_any_other_word_on_it_is_refused(extras: dict[str, object]):
    with pytest.raises(InvalidField, match=r"extensions\.adobe_lakeHouse\.rowExpiration\.ttlValue"):
        checked_expiration(extras)
