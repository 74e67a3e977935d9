"""Labellings: which identities are one profile, as worked out for one snapshot."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLabelling:
    """A labelling that is stored and may serve later snapshots."""

    #: It knows every link and record that was added by this commit number.
    commit: int
    #: Of the engine that wrote it: others cannot read it.
    engine_version: str
    #: The record data set whose keys represent profiles; null when there was none.
    main_dataset_id: str | None
    key: str
    size_bytes: int
    row_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelling(NewLabelling):
    """A saved labelling."""

    #: The first commit that removed something it was made from; null while none did.
    discarded: int | None
