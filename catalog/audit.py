"""The audit log: who changed, read and downloaded what. Appended to and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

from catalog.organisations import ClientId

AuditEntryId = NewType("AuditEntryId", int)


class Action(StrEnum):
    """What was done. Looking at what describes data, such as polling a job, is not noted."""

    CREATE = "create"
    CHANGE = "change"
    REMOVE = "remove"
    UPLOAD = "upload"  # a file of a batch, or a chunk of one
    COMPLETE = "complete"
    CANCEL = "cancel"  # given up before its end, also when its caller said that it failed
    REVERT = "revert"
    READ = "read"  # rows, as an answer
    DOWNLOAD = "download"  # rows, as a file: once for all the ranges of it


class ObjectKind(StrEnum):
    """What it was done to."""

    SCHEMA = "schema"
    DESCRIPTOR = "descriptor"
    NAMESPACE = "namespace"
    DATASET = "dataset"
    BATCH = "batch"
    FILE = "file"
    MERGE_POLICY = "merge_policy"
    SEGMENT = "segment"
    SEGMENT_JOB = "segment_job"
    EXPORT_JOB = "export_job"
    USER_LIST = "user_list"
    PROFILE = "profile"
    CLIENT = "client"  # credentials, made and shut out by an operator's command
    PROPERTY = "property"
    SANDBOX = "sandbox"
    SPACE = "space"
    PERSONAL_TOKEN = "personal_token"  # noqa: S105 -- the name of a kind


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One thing that one client did."""

    id: AuditEntryId
    at: datetime
    actor: ClientId
    action: Action
    object_kind: ObjectKind
    object_id: str
    request_id: str
    #: What else tells one such thing from another; never rows or values of rows.
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries are asked for: those that are all of it. None asks for nothing."""

    since: datetime | None = None
    until: datetime | None = None
    actor: str | None = None
    action: Action | None = None
    object_kind: ObjectKind | None = None
    object_id: str | None = None
