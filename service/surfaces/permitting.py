"""Whether a caller may make a call at all, by its dialect's table of what each call needs."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from catalog.access import ALL, Access
from catalog.errors import InsufficientScope
from catalog.organisations import Caller


def permit(request: web.Request, caller: Caller, needs: Mapping[Handler, Access]) -> None:
    """Refuse with InsufficientScope what the caller's credentials do not carry.

    A call that is missing from the table takes credentials that carry everything: a new route
    is never open by oversight. What leads nowhere needs nothing, it is refused anyway.
    """
    if request.match_info.http_exception is not None:
        return
    needed = needs.get(request.match_info.handler)
    if needed is None:
        if caller.may != ALL:
            raise InsufficientScope(" ".join(sorted(ALL)))
    elif needed not in caller.may:
        raise InsufficientScope(needed)
