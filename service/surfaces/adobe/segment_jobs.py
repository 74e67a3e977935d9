"""Segment jobs, as Adobe's Segmentation API runs them."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from catalog.segment_jobs import SegmentJobId
from service.surfaces.adobe.sandboxes import of_caller
from service.surfaces.adobe.wire import segment_jobs as wire
from service.surfaces.creating import creating
from service.surfaces.http import CALLER, OPERATIONS, answer, query, read


@creating
async def submit(request: web.Request) -> web.Response:
    asked = await read(request, wire.NewSegmentJob)
    job = await request.app[OPERATIONS].segment_jobs.submit(asked.request(), by=request[CALLER])
    headers = {"X-Location": f"{wire.JOBS}/{job.id}"}
    return answer(wire.job(job, await of_caller(request)), headers=headers)


async def listing(request: web.Request) -> web.Response:
    asked = query(request, wire.Listing)
    found, total_count = await request.app[OPERATIONS].segment_jobs.page(
        asked.wanted(), by=request[CALLER], limit=asked.limit, skip=asked.start
    )
    return answer(wire.page(found, total_count, asked, await of_caller(request)))


async def show(request: web.Request) -> web.Response:
    found = await request.app[OPERATIONS].segment_jobs.find(_id(request), by=request[CALLER])
    return answer(wire.job(found, await of_caller(request)))


async def cancel(request: web.Request) -> web.Response:
    await request.app[OPERATIONS].segment_jobs.cancel(_id(request), by=request[CALLER])
    return web.Response(status=HTTPStatus.NO_CONTENT)


def _id(request: web.Request) -> SegmentJobId:
    return SegmentJobId(request.match_info["id"])


ROUTES = [
    web.post(wire.JOBS, submit),
    web.get(wire.JOBS, listing),
    web.get(wire.JOBS + "/{id}", show),
    web.delete(wire.JOBS + "/{id}", cancel),
]
