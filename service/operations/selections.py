"""What an export request asks of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from catalog import segments
from catalog.errors import InvalidField
from catalog.export_jobs import IDENTITIES_PATHS, EventSelection, ExportRequest
from catalog.merge_policies import MergeRules
from catalog.schemas import Field, Path, field_at
from catalog.unions import Union
from service.engine.orders import EventChoice, SegmentChoice, SegmentFilter, Selection


def selection_of(
    request: ExportRequest, rules: MergeRules, union: Union, *, most_events: int
) -> Selection:
    """What is asked for, but for the schemas and namespaces, which are pinned beside it.

    Refuses with InvalidField fields that the union does not have.
    """
    asked = [path for path in request.fields if path not in IDENTITIES_PATHS]
    _check_paths("fields", asked, union.profile_fields)
    if request.events is not None:
        where = "additionalFields.eventList.fields"
        _check_paths(where, request.events.fields, union.event_fields)
    return Selection(
        profile_fields=(),
        event_fields=(),
        fields=request.fields,
        identity_graph=rules.identity_graph,
        attribute_merge=rules.attribute_merge,
        dataset_order=rules.dataset_order,
        events=_events(request.events),
        updated_after=request.updated_after,
        with_empty_profiles=request.with_empty_profiles,
        segments=_segments(request.segments),
        events_per_profile=most_events,
    )


def _events(asked: EventSelection | None) -> EventChoice | None:
    if asked is None:
        return None
    return EventChoice(
        fields=asked.fields,
        ingested_after=asked.ingested_after,
        ingested_until=asked.ingested_until,
    )


def _segments(asked: segments.SegmentFilter | None) -> SegmentFilter | None:
    if asked is None:
        return None
    return SegmentFilter(
        choices=tuple(
            SegmentChoice(
                segment_id=choice.segment_id, namespace=choice.namespace, statuses=choice.statuses
            )
            for choice in asked.choices
        ),
        qualified_from=asked.qualified_from,
        qualified_until=asked.qualified_until,
        is_split=asked.is_split,
    )


def split(selection: Selection) -> list[dict[str, Any]] | None:
    """The segments that get a batch each, in the order of their batches; None without."""
    if selection.segments is None or not selection.segments.is_split:
        return None
    return [choice.model_dump(mode="json") for choice in selection.segments.choices]


def _check_paths(where: str, paths: Sequence[Path], fields: tuple[Field, ...]) -> None:
    """Refuse a path that leads nowhere: a misspelt field must not become an empty column."""
    for path in paths:
        if field_at(fields, path) is None:
            raise InvalidField(where, f"the union schema has no field {'.'.join(path)}")
