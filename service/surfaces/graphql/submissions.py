"""What answers the fields of ``Mutation``: exports that are submitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from ariadne import MutationType

from catalog.access import Access
from catalog.errors import InvalidField
from catalog.properties import Column, Property, PropertyKind
from catalog.spaces import Place
from catalog.user_lists import Heading, ListKind, UserListRequest, charset_of
from service.surfaces.graphql import telling
from service.surfaces.graphql.asking import Asking, Info, Told, asking

MUTATION = MutationType()

#: What the file of a segment's list is called unless its caller says otherwise.
_SEGMENT_FILE = "下载用户列表"


@MUTATION.field("submitTagUserExportJobByKey")
async def submit_tag_by_key(_: object, info: Info, *, parameter: dict[str, Any]) -> Told:
    ask = asking(info)
    key = parameter.pop("tagKey")
    found = await ask.operations.properties.find(key, ask.home, PropertyKind.TAG)
    return await _submit_tag(ask, found, **parameter)


@MUTATION.field("submitTagUserExportJob")
async def submit_tag(_: object, info: Info, *, tagId: str, **how: Any) -> Told:  # noqa: N803
    ask = asking(info)
    found = await ask.operations.properties.find_by_id(tagId, ask.home, PropertyKind.TAG)
    return await _submit_tag(ask, found, **how)


@MUTATION.field("submitSegmentUserExportJob")
async def submit_segment(
    _: object,
    info: Info,
    *,
    projectId: str,  # noqa: N803
    segmentId: str,  # noqa: N803
    **how: Any,
) -> Told:
    return await _submit_segment(asking(info), projectId, segmentId, **how)


@MUTATION.field("submitSegmentUserExportJobV2")
async def submit_segment_v2(
    _: object,
    info: Info,
    *,
    projectId: str,  # noqa: N803
    parameter: dict[str, Any],
) -> Told:
    if parameter.pop("segmentType") == "PREPARED":
        raise InvalidField("segmentType", "there are no prepared segments here: say NORMAL")
    return await _submit_segment(asking(info), projectId, parameter.pop("id"), **parameter)


@MUTATION.field("submitSegmentSnapshotUserExportJob")
async def submit_snapshot(
    _: object,
    info: Info,
    *,
    projectId: str,  # noqa: N803
    id: str,
    **how: Any,
) -> Told:
    return await _submit_segment(asking(info), projectId, id, **how)


async def _submit_tag(
    ask: Asking,
    found: Property,
    *,
    properties: Sequence[str] | None = None,
    charset: str | None = None,
    exportFileName: str | None = None,  # noqa: N803
    detailExport: bool | None = None,  # noqa: N803
) -> Told:
    """Submit the list of a tag: its column goes before those that are asked for."""
    columns = await ask.operations.properties.columns(properties or [], ask.home)
    request = UserListRequest(
        kind=ListKind.TAG,
        title=found.name,
        having=found.path,
        columns=(Column(key=found.key, property=found), *columns),
        heading=Heading.KEY if detailExport else Heading.NAME,
        charset=charset_of(charset),
        file_name=exportFileName or str(uuid4()),
    )
    return await _submit(ask, request, ask.home)


async def _submit_segment(
    ask: Asking,
    project_id: str,
    segment_id: str,
    *,
    tags: Sequence[str] | None = None,
    properties: Sequence[str] | None = None,
    charset: str | None = None,
    exportFileName: str | None = None,  # noqa: N803
) -> Told:
    """Submit the list of a segment: tags go before the properties."""
    place, operations = await ask.place(project_id), ask.operations
    found = await operations.placed_segments.find_by_id(telling.short_id(segment_id), place)
    tagged = [
        await operations.properties.find_by_id(id, place, PropertyKind.TAG)
        for id in dict.fromkeys(tags or [])
    ]
    columns = await operations.properties.columns(properties or [], place)
    request = UserListRequest(
        kind=ListKind.SEGMENT,
        title=found.segment.name,
        segment_id=found.segment.id,
        columns=(*(Column(key=each.key, property=each) for each in tagged), *columns),
        heading=Heading.NAME,
        charset=charset_of(charset),
        file_name=exportFileName or _SEGMENT_FILE,
    )
    return await _submit(ask, request, place)


async def _submit(ask: Asking, request: UserListRequest, place: Place) -> Told:
    ask.need(Access.EXPORTS_WRITE)
    made = await ask.operations.user_lists.submit(
        replace(request, space_number=place.space_number), by=place.by
    )
    names = await ask.operations.clients.names([made.job.created_by], by=ask.caller)
    return telling.job(made, names, ask.ids)
