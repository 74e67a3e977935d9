"""What refusals say beside their bodies, whose words are each dialect's own."""

from __future__ import annotations

from http import HTTPStatus
from math import ceil

from catalog import errors


def headers_of(refusal: errors.Refusal, status: HTTPStatus) -> dict[str, str]:
    """What a refusal says to the HTTP library of its caller: get a token, wait, go away."""
    match refusal:
        case errors.Limited():
            return {"Retry-After": str(ceil(refusal.retry_after.total_seconds()))}
        case errors.Unavailable():  # not OutcomeUnknown: its caller must look
            return {"Retry-After": "1"}
        case errors.InsufficientScope():
            return {
                "WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{refusal.needed}"'
            }
        case errors.TooSlow():
            return {"Connection": "close"}
    if status is HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    return {}
