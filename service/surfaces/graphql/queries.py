"""What answers the fields of ``Query``."""

from __future__ import annotations

from importlib.metadata import version as version_of

from ariadne import QueryType

from catalog.access import Access
from catalog.errors import NotFound
from catalog.jobs import JobId
from catalog.properties import MOST_COLUMNS, Property, PropertyKind
from catalog.spaces import Place, PlacedSegment
from service.operations.hash_ids import Noun
from service.surfaces.graphql import members, telling
from service.surfaces.graphql.asking import Asking, Info, Told, asking
from service.surfaces.growingio.wire.pages import makers

QUERY = QueryType()

#: Numbers of users have no more digits: 2 to the 53rd has 16.
_MOST_DIGITS = 16


@QUERY.field("version")
def version(_: object, _info: Info) -> str:
    return version_of("profile-exports")


@QUERY.field("projects")
async def projects(_: object, info: Info) -> list[Told]:
    ask = asking(info)
    ask.need(Access.PROPERTIES_READ)
    return await members.projects(ask)


@QUERY.field("jobResult")
async def job_result(_: object, info: Info, *, id: str) -> Told:
    ask = asking(info)
    ask.need(Access.EXPORTS_READ)
    number = ask.ids.number(Noun.JOB, telling.short_id(id))
    if number is None:
        raise NotFound("user list", id)
    found = await ask.operations.user_lists.find(JobId(number), by=ask.caller)
    return telling.result(found, ask.ids, ask.language)


@QUERY.field("dataCenterTags")
async def data_center_tags(_: object, info: Info) -> list[Told]:
    return await _tags(asking(info), asking(info).home)


@QUERY.field("tags")
async def tags(_: object, info: Info, *, projectId: str) -> list[Told]:  # noqa: N803
    return await _tags(asking(info), await asking(info).place(projectId))


@QUERY.field("dataCenterTag")
async def data_center_tag(_: object, info: Info, *, id: str) -> Told | None:
    return await _tag(asking(info), asking(info).home, id)


@QUERY.field("tag")
async def tag(_: object, info: Info, *, projectId: str, id: str) -> Told | None:  # noqa: N803
    return await _tag(asking(info), await asking(info).place(projectId), id)


@QUERY.field("segments")
async def segments(_: object, info: Info, *, projectId: str) -> list[Told]:  # noqa: N803
    ask = asking(info)
    ask.need(Access.SEGMENTS_READ)
    found, _count = await ask.operations.placed_segments.page(await ask.place(projectId))
    return ask.list_up(await _segments_told(ask, found))


@QUERY.field("segment")
async def segment(_: object, info: Info, *, projectId: str, id: str) -> Told | None:  # noqa: N803
    ask = asking(info)
    ask.need(Access.SEGMENTS_READ)
    place = await ask.place(projectId)
    try:
        found = await ask.operations.placed_segments.find_by_id(id, place)
    except NotFound:
        return None
    (told,) = await _segments_told(ask, (found,))
    return told


@QUERY.field("dataCenterUserProfile")
async def data_center_user_profile(
    _: object,
    info: Info,
    *,
    userId: str,  # noqa: N803
    tags: list[str] | None = None,
    properties: list[str] | None = None,
) -> Told | None:
    return await _user(asking(info), asking(info).home, userId, tags or [], properties or [])


@QUERY.field("userProfile")
async def user_profile(
    _: object,
    info: Info,
    *,
    projectId: str,  # noqa: N803
    userId: str | None = None,  # noqa: N803
    tags: list[str] | None = None,
    properties: list[str] | None = None,
) -> Told | None:
    place = await asking(info).place(projectId)
    return await _user(asking(info), place, userId or "", tags or [], properties or [])


async def _tags(ask: Asking, place: Place) -> list[Told]:
    ask.need(Access.PROPERTIES_READ)
    found = await ask.operations.properties.all(place, PropertyKind.TAG)
    names = await ask.operations.clients.names(makers(found), by=ask.caller)
    return ask.list_up([telling.tag(each, names, ask.ids) for each in found])


async def _tag(ask: Asking, place: Place, id: str) -> Told | None:
    ask.need(Access.PROPERTIES_READ)
    try:
        found = await ask.operations.properties.find_by_id(id, place, PropertyKind.TAG)
    except NotFound:
        return None
    names = await ask.operations.clients.names(makers((found,)), by=ask.caller)
    return telling.tag(found, names, ask.ids)


async def _segments_told(ask: Asking, found: tuple[PlacedSegment, ...]) -> list[Told]:
    who = makers([each.segment for each in found])
    names = await ask.operations.clients.names(who, by=ask.caller)
    return [telling.segment(each, names, ask.ids) for each in found]


async def _user(
    ask: Asking, place: Place, user_id: str, tag_ids: list[str], keys: list[str]
) -> Told | None:
    """A user by number, with tags under the ids and other properties under the keys asked for."""
    ask.need(Access.DATA_READ)
    operations = ask.operations
    by_id: dict[str, Property] = {
        id: await operations.properties.find_by_id(id, place, PropertyKind.TAG)
        for id in dict.fromkeys(tag_ids)
    }
    most = MOST_COLUMNS - len(by_id)
    columns = await operations.properties.columns(keys, place, most=max(most, 0))
    is_number = user_id.isascii() and user_id.isdigit() and len(user_id) <= _MOST_DIGITS
    user = await operations.users.numbered(int(user_id), place) if is_number else None
    if user is None:
        return None
    told = [
        {"key": id, "name": each.name, "value": telling.text(user.leaf(each), each)}
        for id, each in by_id.items()
    ]
    told += [
        {
            "key": each.key,
            "name": each.property.name,
            "value": telling.text(user.value(each), each.property),
        }
        for each in columns
    ]
    return {"id": user_id, "userId": user_id, "properties": told}
