"""Segments as GrowingIO writes them: 6.3 of the contract sheet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catalog.spaces import PlacedSegment
from service.operations.hash_ids import HashIds, Noun
from service.surfaces.growingio.wire import instant
from service.surfaces.growingio.wire.pages import making


def segment(found: PlacedSegment, names: Mapping[str, str], ids: HashIds) -> dict[str, Any]:
    one, at = found.segment, found.detected_at
    space = found.space_number
    return {
        "id": ids.of(Noun.SEGMENT, found.number),
        "name": one.name,
        "key": one.key,
        # By rules, as opposed to files and analyses.
        "createdBy": "DIRECT",
        "description": one.description,
        # Whenever a computation is asked for.
        "scheduler": "ONCE",
        "detector": {"stage": found.stage, "detectedAt": instant(at) if at else None},
        "spaceId": None if space is None else ids.of(Noun.SPACE, space),
        **making(one, names, ids),
    }
