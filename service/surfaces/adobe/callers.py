"""Who is calling, from the four headers every call of this dialect carries."""

from __future__ import annotations

from aiohttp import web

from catalog.errors import InvalidField, MissingCredentials, MissingOrganisation
from catalog.organisations import DEFAULT_SANDBOX, OrganisationId
from service.operations.callers import Credentials
from service.surfaces.adobe.access import NEEDS
from service.surfaces.http import CALLER, OPERATIONS, REQUEST_ID
from service.surfaces.permitting import permit

#: Every path below asks for credentials, also those that lead nowhere.
GUARDED = "/data/"


async def identify(request: web.Request) -> None:
    """Put the caller beside the request before any handler sees it, or refuse."""
    if request.path.lower().startswith(GUARDED):
        caller = await request.app[OPERATIONS].callers.identify(
            _credentials(request), request_id=request[REQUEST_ID]
        )
        request[CALLER] = caller
        permit(request, caller, NEEDS)


def _credentials(request: web.Request) -> Credentials:
    scheme, _, token = (_header(request, "Authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise MissingCredentials("the header Authorization carries no bearer token")
    organisation = _header(request, "x-gw-ims-org-id")
    if organisation is None:
        raise MissingOrganisation("the header x-gw-ims-org-id is missing")
    return Credentials(
        token=token.strip(),
        key=_header(request, "x-api-key"),
        organisation_id=OrganisationId(organisation),
        sandbox_name=_header(request, "x-sandbox-name") or DEFAULT_SANDBOX,
    )


def _header(request: web.Request, name: str) -> str | None:
    value = request.headers.get(name, "").strip()
    if not value.isprintable():
        raise InvalidField(f"the header {name}", "holds bytes that are not printable text")
    return value or None
