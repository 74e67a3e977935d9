"""Users of a segment or a tag page by page, and one by one by an identity."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from catalog.properties import MOST_LISTED_COLUMNS, PropertyKind, sought
from catalog.spaces import Place
from catalog.user_lists import ListKind, UserListRequest
from service.surfaces.growingio.places import place_of
from service.surfaces.growingio.wire import OPEN_API
from service.surfaces.growingio.wire import users as wire
from service.surfaces.growingio.wire.pages import Page, page
from service.surfaces.http import OPERATIONS, answer, query


async def of_segment(request: web.Request) -> web.Response:
    place = await place_of(request)
    found = await request.app[OPERATIONS].placed_segments.find(request.match_info["key"], place)
    asked = UserListRequest(
        kind=ListKind.SEGMENT, title=found.segment.name, segment_id=found.segment.id
    )
    return await _page(request, place, asked, query(request, Page))


async def of_tag(request: web.Request) -> web.Response:
    place = await place_of(request)
    tag = await request.app[OPERATIONS].properties.find(
        request.match_info["key"], place, PropertyKind.TAG
    )
    asked = UserListRequest(kind=ListKind.TAG, title=tag.name, having=tag.path)
    return await _page(request, place, asked, query(request, Page))


async def show(request: web.Request) -> web.Response:
    """Show all there is of the user of an identity."""
    operations, place = request.app[OPERATIONS], await place_of(request)
    key, _ = sought(request.match_info["identity_key"])
    identity = await operations.properties.find(key, place, PropertyKind.IDENTITY)
    found = await operations.users.identified(identity, request.match_info["value"], place)
    known = [
        property
        for kind in PropertyKind
        for property in await operations.properties.all(place, kind)
    ]
    return answer(wire.looked_up(found, known))


async def _page(
    request: web.Request, place: Place, asked: UserListRequest, which: Page
) -> web.Response:
    """Answer with a page of the list that is asked for, with the columns the query names."""
    operations = request.app[OPERATIONS]
    keys = [*request.query.getall("properties", []), *request.query.getall("properties[]", [])]
    columns = await operations.properties.columns(keys, place, most=MOST_LISTED_COLUMNS)
    listed = await operations.listed_users.page(
        replace(asked, columns=columns, space_number=place.space_number),
        by=place.by,
        skip=which.offset,
        most=which.limit,
    )
    return answer(page([wire.listed(user) for user in listed.users], which, listed.total_count))


_PROJECT = OPEN_API + "/projects/{project}"
_SPACE = _PROJECT + "/spaces/{space}"

ROUTES = [
    web.get(_SPACE + "/segment_profiles/{key}/users", of_segment),
    web.get(_PROJECT + "/segment_profiles/{key}/users", of_segment),
    web.get(_SPACE + "/user_tags/{key}/users", of_tag),
    web.get(_PROJECT + "/user_tags/{key}/users", of_tag),
    web.get(OPEN_API + "/user_tags/{key}/users", of_tag),
    web.get(_SPACE + "/users/{identity_key}/{value}", show),
    web.get(_PROJECT + "/users/{identity_key}/{value}", show),
    web.get(OPEN_API + "/users/{identity_key}/{value}", show),
]
