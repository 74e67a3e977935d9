"""The audit log, page by page: who changed, read and downloaded what in the sandbox."""

from __future__ import annotations

from aiohttp import web

from catalog.audit import AuditEntryId
from service.surfaces.adobe.wire import audit as wire
from service.surfaces.http import CALLER, OPERATIONS, answer, query


async def listing(request: web.Request) -> web.Response:
    asked = query(request, wire.Listing)
    found = await request.app[OPERATIONS].audit.page(
        asked.filter(),
        limit=asked.limit + 1,
        before=None if asked.before is None else AuditEntryId(asked.before),
        by=request[CALLER],
    )
    return answer(wire.page(asked, found))


ROUTES = [
    web.get(wire.AUDIT, listing),
]
