"""Data sets: batches of rows that share a schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NewType

from catalog.schemas import SchemaId

DatasetId = NewType("DatasetId", str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One data set as it stood at one moment."""

    id: DatasetId
    name: str
    description: str
    #: A registered schema, or the union schema for data sets that receive exports.
    schema_id: SchemaId
    #: The media type callers asked for the schema in; echoed, and otherwise without effect.
    schema_content_type: str
    #: Lists of strings by tag name, as the caller wrote them.
    tags: Mapping[str, list[str]]
    #: Anything else the caller said of it (``fileDescription`` and the like); echoed.
    extras: Mapping[str, Any]
    #: Batches ingested while true reach the profile store.
    is_profile_enabled: bool
    #: Rows of one record patch it field by field instead of replacing it whole.
    is_upsert: bool
    #: Counts from 1 and rises with every change.
    version: int
    created_by: str
    updated_by: str
    created_at: datetime
    updated_at: datetime
