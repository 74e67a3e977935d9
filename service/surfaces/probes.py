"""What those who run the service ask of it: is it alive, is it ready, what did it do."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service.surfaces.http import OPERATIONS, answer


async def health(_request: web.Request) -> web.Response:
    """Whether the process answers at all. Restart it when it does not."""
    return answer({"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """Whether calls would find their database, and go on to. Send none while they would not."""
    reason = await request.app[OPERATIONS].readiness.obstacle()
    if reason is None:
        return answer({"status": "ready"})
    return answer({"status": "unready", "reason": reason}, HTTPStatus.SERVICE_UNAVAILABLE)


async def metrics(request: web.Request) -> web.Response:
    await request.app[OPERATIONS].monitoring.look()
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


ROUTES = [
    web.get("/health", health),
    web.get("/ready", ready),
    web.get("/metrics", metrics),
]
