"""Namespaces, and the identities that lie in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

#: A component with more identities than this is not one person: it is never exported.
IDENTITIES_PER_PROFILE = 50
#: Characters in one identity value, from the guardrails of the contract sheet.
IDENTITY_VALUE_LENGTH = 1024


class IdType(StrEnum):
    COOKIE = "COOKIE"
    CROSS_DEVICE = "CROSS_DEVICE"
    DEVICE = "DEVICE"
    EMAIL = "EMAIL"
    MOBILE = "MOBILE"
    NON_PEOPLE = "NON_PEOPLE"  # a thing, not a person: links nothing
    PARTNER = "PARTNER"  # another company's id for an audience: links nothing
    PHONE = "PHONE"


#: Types whose identities say nothing about who else the row is about.
UNLINKED = frozenset({IdType.NON_PEOPLE, IdType.PARTNER})


class AuthenticatedState(StrEnum):
    """How sure the source was, from weakest to strongest; the strongest seen stands."""

    AMBIGUOUS = "ambiguous"
    LOGGED_OUT = "loggedOut"
    AUTHENTICATED = "authenticated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A kind of identity, such as an e-mail address or a CRM number."""

    #: Spelled as registered; looked up without regard to case.
    code: str
    #: A number unique in the sandbox, as some clients name namespaces.
    id: int
    name: str
    description: str
    id_type: IdType
    #: False for the ones every sandbox starts with.
    is_custom: bool
    created_at: datetime
    updated_at: datetime

    @property
    def links(self) -> bool:
        """Whether two identities seen together are one person's."""
        return self.id_type not in UNLINKED
