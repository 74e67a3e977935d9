"""What things look like in answers. The spelling of GrowingIO's GraphQL stops here."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from catalog.properties import Property, ValueType
from catalog.spaces import PlacedSegment
from catalog.user_lists import ListKind, ListStage, UserList
from service.operations.hash_ids import LENGTH, HashIds, Noun
from service.surfaces.graphql.asking import Told
from service.surfaces.growingio.languages import Language, outcome
from service.surfaces.growingio.wire.pages import making
from service.surfaces.growingio.wire.properties import property as rest_property
from service.surfaces.growingio.wire.segments import segment as rest_segment

_JOB_TYPE = {ListKind.TAG: "TagUserExportJobDto", ListKind.SEGMENT: "SegmentUserExportJobDto"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def global_id(type: str, id: str) -> str:
    """Spell an id together with the type of the thing: base64, without padding."""
    return base64.b64encode(f"{type}:{id}".encode()).decode().rstrip("=")


def short_id(id: str) -> str:
    """Read the short id out of a global one, in either alphabet of base64; others stay.

    Some short ids are base64 of a text with a colon: what follows is no id then, it is too short.
    """
    padded = id.replace("-", "+").replace("_", "/") + "=" * (-len(id) % 4)
    try:
        _, colon, short = base64.b64decode(padded, validate=True).decode().rpartition(":")
    except (binascii.Error, UnicodeDecodeError):
        return id
    return short if colon and len(short) >= LENGTH else id


def tag(found: Property, names: Mapping[str, str], ids: HashIds) -> Told:
    told = rest_property(found, names, ids)
    return {**told, "computes": [], "ownerId": told["creatorId"]}


def segment(found: PlacedSegment, names: Mapping[str, str], ids: HashIds) -> Told:
    told = rest_segment(found, names, ids)
    total, members = found.profile_count, found.member_count
    return {
        **told,
        "compute": {"expression": found.segment.rule, "directives": []},
        "detector": {
            **told["detector"],
            "totalUsers": members,
            "usersRatio": None if members is None or not total else members / total,
        },
        "ownerId": told["creatorId"],
    }


def job(made: UserList, names: Mapping[str, str], ids: HashIds) -> Told:
    """What a submit call is answered."""
    return {
        "id": global_id(_JOB_TYPE[made.kind], ids.of(Noun.JOB, made.job.id)),
        "name": made.name,
        "stage": made.stage,
        **making(_Made(made), names, ids),
        "error": {"code": "", "message": ""},
    }


def result(found: UserList, ids: HashIds, language: Language) -> Told:
    """How a list stands. Its path comes as it is, not percent-encoded."""
    is_there = found.stage is ListStage.FINISH and found.pieces
    return {
        "id": ids.of(Noun.JOB, found.job.id),
        "stage": found.stage,
        "uris": [found.path] if is_there else None,
        "jsonData": None if found.message is None else _reason(found, language),
    }


def _reason(found: UserList, language: Language) -> str:
    code = found.job.errors[-1].code if found.job.errors else str(found.job.state)
    told = {"code": code, "message": outcome(found, language), "detail": found.message}
    return json.dumps(told, ensure_ascii=False)


class _Made:
    """Who made a list, as of other things."""

    def __init__(self, made: UserList) -> None:
        self.created_by = self.updated_by = made.job.created_by
        self.created_at, self.updated_at = made.job.created_at, made.job.updated_at


def text(value: Any, asked: Property) -> str | None:
    """Spell a value that a profile has of a property: always a text, as are those in lists.

    Dates and instants, which a profile has as texts of ISO 8601, are milliseconds since 1970.
    """
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case list():
            return json.dumps([_plain(each, asked) for each in value], ensure_ascii=False)
    return str(_plain(value, asked))


def _plain(value: Any, asked: Property) -> Any:
    if asked.value_type is not ValueType.DATE or not isinstance(value, str):
        return value
    at = datetime.fromisoformat(value)
    at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    return str((at - _EPOCH) // timedelta(milliseconds=1))
