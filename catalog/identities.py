"""Namespaces, and the identities that lie in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import blake2b

#: A component with more identities than this is not one person: it is never exported.
IDENTITIES_PER_PROFILE = 50
#: Characters in one identity value, from the guardrails of the contract sheet.
IDENTITY_VALUE_LENGTH = 1024
#: Characters in the code of a namespace. A guess: people choose codes.
NAMESPACE_CODE_LENGTH = 255
#: Namespaces that the rows of one batch may bring without anybody having registered them. A guess:
#: people have some dozens, and who gives identities where namespaces belong has as many as rows.
MOST_BROUGHT_AT_ONCE = 1_000
#: As many as a sandbox may have for rows to bring more: every export reads all of them. Callers may
#: register any number.
MOST_WITH_BROUGHT = 10_000


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


#: When the standard namespaces came to be, as far as anyone needs to know.
_SINCE = datetime(2015, 9, 1, tzinfo=UTC)


def _standard(id: int, code: str, name: str, id_type: IdType) -> Namespace:
    return Namespace(
        code=code,
        id=id,
        name=name,
        description=f"{name} namespace",
        id_type=id_type,
        is_custom=False,
        created_at=_SINCE,
        updated_at=_SINCE,
    )


#: Every sandbox starts with these. The numbers are the public ones.
STANDARD = (
    _standard(0, "CORE", "CORE", IdType.COOKIE),
    _standard(4, "ECID", "ECID", IdType.COOKIE),
    _standard(6, "Email", "Email", IdType.EMAIL),
    _standard(7, "Phone", "Phone", IdType.PHONE),
    _standard(8, "WAID", "Windows AID", IdType.DEVICE),
    _standard(9, "TNTID", "TNTID", IdType.COOKIE),
    _standard(10, "AAID", "Adobe Analytics (Legacy) ID", IdType.COOKIE),
    _standard(11, "Email_LC_SHA256", "Email (SHA256, lowercased)", IdType.EMAIL),
    _standard(14, "Phone_E.164", "Phone (E.164)", IdType.PHONE),
    _standard(15, "Phone_SHA256", "Phone (SHA256)", IdType.PHONE),
    _standard(16, "Phone_SHA256_E.164", "Phone (SHA256_E.164)", IdType.PHONE),
    _standard(411, "AdCloud", "AdCloud", IdType.COOKIE),
    _standard(20914, "GAID", "Google Ad ID (GAID)", IdType.DEVICE),
    _standard(20915, "IDFA", "Apple IDFA (ID for Advertisers)", IdType.DEVICE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceDraft:
    """What a caller says of a namespace it registers."""

    code: str
    name: str
    description: str = ""
    id_type: IdType = IdType.CROSS_DEVICE


def key_hash(namespace: str, secret: bytes) -> blake2b:
    """Begin the hash that keys identities of a namespace (lower-case code); a value completes it.

    It is keyed with a secret of the deployment: nobody without it can construct two identities of
    one key. 128 bits.
    """
    code = namespace.encode()
    seeded = blake2b(digest_size=16, key=secret)
    # Without the length, namespace "ab" with value "c" would collide with "a" and "bc".
    seeded.update(len(code).to_bytes(4, "little") + code)
    return seeded


def identity_key(namespace: str, value: str, secret: bytes) -> str:
    """Give the key of one identity as 32 hexadecimal digits."""
    hashing = key_hash(namespace.lower(), secret)
    hashing.update(value.encode())
    return hashing.hexdigest()


def may_be_brought(namespace_count: int) -> int:
    """How many namespaces a batch may bring to a sandbox that has so many."""
    return max(0, min(MOST_BROUGHT_AT_ONCE, MOST_WITH_BROUGHT - namespace_count))


def unlinked(namespaces: Iterable[Namespace]) -> tuple[str, ...]:
    """Lower-case codes of the namespaces whose identities link nothing, sorted."""
    return tuple(sorted(one.code.lower() for one in namespaces if not one.links))


def spellings(namespaces: Iterable[Namespace]) -> dict[str, str]:
    """Codes as registered, by their lower-case form."""
    return {one.code.lower(): one.code for one in namespaces}
