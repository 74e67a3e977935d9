"""Personal tokens: credentials that last until they are revoked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from catalog.access import Access
from catalog.organisations import ClientId

TokenNumber = NewType("TokenNumber", int)

#: Characters of a token's name.
NAME_LENGTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalToken:
    """A token as it is told of: never itself, of which only a hash is kept."""

    number: TokenNumber
    #: In whose name it calls.
    client_id: ClientId
    name: str
    #: What it lets its bearer do, as far as its client may.
    scopes: frozenset[Access]
    #: The sandbox of calls that name none.
    sandbox_name: str
    created_at: datetime
    revoked_at: datetime | None
