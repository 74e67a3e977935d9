"""Where a call looks: the project, and perhaps the space, that its path names."""

from __future__ import annotations

from aiohttp import web

from catalog.errors import NotFound
from catalog.spaces import Place
from service.operations.hash_ids import Noun
from service.surfaces.http import CALLER, OPERATIONS


async def place_of(request: web.Request) -> Place:
    """The place that a path names; one that names none is about the caller's own project.

    What a path calls a project may be a space: generations of clients disagree.
    """
    projects, by = request.app[OPERATIONS].projects, request[CALLER]
    named = request.match_info
    if "enterprise" in named:
        await _check_enterprise(request)
    if "project" not in named:
        return await projects.home(by=by)
    if "space" not in named:
        return await projects.enter(named["project"], by=by)
    return await projects.enter_space(named["project"], named["space"], by=by)


async def _check_enterprise(request: web.Request) -> None:
    """Refuse another enterprise than the caller's: an organisation, by its name or its short id."""
    ids = await request.app[OPERATIONS].hash_ids.known()
    own, asked = request[CALLER].scope.organisation_id, request.match_info["enterprise"]
    if asked not in {own, ids.of_text(Noun.ENTERPRISE, own)}:
        raise NotFound("enterprise", asked)
