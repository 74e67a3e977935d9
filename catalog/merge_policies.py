"""Merge policies: which fragments become one profile, and whose value wins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

#: The classes a policy can be for, by the names callers give them.
SCHEMA_NAMES = ("_xdm.context.profile", "_xdm.context.experienceevent")


class IdentityGraph(StrEnum):
    NONE = "none"  # a row belongs to its primary identity alone
    PRIVATE = "pdg"  # identities linked by any row are one profile


class AttributeMerge(StrEnum):
    TIMESTAMP_ORDERED = "timestampOrdered"  # the newest fragment that has a value wins
    DATASET_PRECEDENCE = "dataSetPrecedence"  # the data set listed first wins; others are left out


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeRules:
    """What a policy decides: all the engine needs to know of it."""

    identity_graph: IdentityGraph = IdentityGraph.NONE
    attribute_merge: AttributeMerge = AttributeMerge.TIMESTAMP_ORDERED
    #: Data set ids, highest precedence first; empty unless DATASET_PRECEDENCE.
    dataset_order: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePolicy:
    """One version of a named set of merge rules."""

    id: str
    name: str
    #: Counts from 1 and rises with every change.
    version: int
    #: The class the policy is for, such as ``_xdm.context.profile``.
    schema_name: str
    rules: MergeRules
    #: The policy of callers who name none. One per class and sandbox.
    is_default: bool
    is_active_on_edge: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePolicyDraft:
    """What a caller may say of a policy, when making it and when changing it."""

    name: str
    schema_name: str = SCHEMA_NAMES[0]
    rules: MergeRules = MergeRules()
    is_default: bool = False
    is_active_on_edge: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePolicyFilter:
    """Which policies a listing holds, and in which order. Null admits all."""

    schema_name: str | None = None
    identity_graph: IdentityGraph | None = None
    attribute_merge: AttributeMerge | None = None
    is_default: bool | None = None
    is_active_on_edge: bool | None = None
    version: int | None = None
    sort: Literal["name", "created", "updated"] = "created"
    is_descending: bool = False
