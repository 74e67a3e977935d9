"""What the tags of a data set say, and what it is called as a table."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.datasets import DatasetId, checked_tags, says, table_name, view_id
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
