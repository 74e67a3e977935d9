"""Numbers of users that became another's: the mapping that GrowingIO keeps of merges."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import Field

from service.operations.users import MOST_MERGED
from service.surfaces.growingio.places import place_of
from service.surfaces.growingio.wire import OPEN_API, Wire, instant
from service.surfaces.http import OPERATIONS, answer, query


class After(Wire):
    """The query of the listing."""

    #: The last ``mergedGioId`` of the page before.
    after: Annotated[int, Field(ge=0, le=1 << 53)] = 0
    limit: Annotated[int, Field(ge=1, le=MOST_MERGED)] = MOST_MERGED


async def listing(request: web.Request) -> web.Response:
    asked, place = query(request, After), await place_of(request)
    found = await request.app[OPERATIONS].users.merged(place, after=asked.after, most=asked.limit)
    return answer(
        {
            "values": [
                {
                    "gioId": str(each.survivor),
                    "mergedGioId": str(each.merged),
                    "mergedTime": instant(each.merged_at),
                }
                for each in found
            ],
            "hasNextPage": len(found) == asked.limit,
        }
    )


ROUTES = [web.get(OPEN_API + "/projects/{project}/merged_users", listing)]
