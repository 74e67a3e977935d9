"""Export jobs: create, list, follow, cancel."""

from __future__ import annotations

from aiohttp import web

from catalog.export_jobs import ExportJob
from service.surfaces.adobe.wire import export_jobs as wire
from service.surfaces.adobe.wire import export_listings as listings
from service.surfaces.creating import creating_by_itself
from service.surfaces.http import CALLER, OPERATIONS, answer, query, read


@creating_by_itself
async def submit(request: web.Request) -> web.Response:
    asked = await read(request, wire.NewExportJob)
    return await request.app[OPERATIONS].export_jobs.submit(
        asked.order(), by=request[CALLER], answered=_submitted
    )


def _submitted(job: ExportJob) -> web.Response:
    return answer(wire.job(job), headers={"X-Location": f"{wire.JOBS}/{job.job.id}"})


async def listing(request: web.Request) -> web.Response:
    asked = query(request, listings.Listing)
    found = await request.app[OPERATIONS].export_jobs.page(
        asked.filter(), by=request[CALLER], limit=asked.limit + 1, skip=asked.skip
    )
    return answer(listings.page(asked, found))


async def show(request: web.Request) -> web.Response:
    id = wire.job_id(request.match_info["id"])
    return answer(wire.job(await request.app[OPERATIONS].export_jobs.find(id, by=request[CALLER])))


async def cancel(request: web.Request) -> web.Response:
    id = wire.job_id(request.match_info["id"])
    await request.app[OPERATIONS].export_jobs.cancel(id, by=request[CALLER])
    return answer(wire.CANCELLED)


ROUTES = [
    web.post(wire.JOBS, submit),
    web.get(wire.JOBS, listing),
    web.get(wire.JOBS + "/{id}", show),
    web.delete(wire.JOBS + "/{id}", cancel),
    web.post(wire.JOBS + "/{id}", cancel),
]
