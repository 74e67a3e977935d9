"""Refusals, as a tree.

* Refusal                     the caller can read this and act on it
  + NotFound                  no such thing, or not visible to this caller
  + Conflict                  the thing exists but is not in a state that allows this
    - IllegalTransition       its lifecycle has no such edge
    - AlreadyExists           another thing has that name
      . NameTaken             a segment has, and can be changed instead
    - Stale                   the thing is not what its caller took it for: it has changed since
  + Invalid                   the request contradicts itself, a schema or a limit
    - InvalidField            one field of the request is wrong, and the refusal names it
      . TooManyProperties     more properties than an export or a listing may have
      . UnknownProperties     properties that are not there, or that the space may not use
    - InvalidRule             a segment's rule cannot be understood, and the refusal says where
    - TooLarge                more bytes than the service takes at once
    - AddressTooLong          more characters than the service takes in a path and its query
    - KeyReused               a key that stands for one request came with another
    - TooManyIdentities       the profile has more identities than one person can have
    - UnsupportedMedia        the body is of a kind this call does not read
    - TooSlow                 the request did not come in time
    - MissingOrganisation     the request does not say which organisation it is for
  + Unauthenticated           nobody knows who is calling
    - MissingCredentials      no token came with the request
    - InvalidToken            the token is malformed, expired or not ours
    - MissingKey              a token came without the client's key
    - InvalidKey              the key is no client's, or not that of the token
  + Forbidden                 the caller is known and may not do this
    - NotEntitled             the client does not belong to the organisation it names
    - InsufficientScope       the client's credentials do not carry the scope this call needs
  + Limited                   the caller has had its share: nothing was done, ask again later
    - TooManyCalls            this client calls faster than it may
    - TooManyJobs             as many jobs wait in this sandbox as may
  + Unavailable               the service cannot do this now and has done nothing: ask again
  + OutcomeUnknown            the service lost the answer to whether this was done: look first

Every leaf carries a ``code`` that never changes once released: clients match on it, and the
manual lists it. How a refusal looks on the wire is each surface's own affair. Anything that is
not a :class:`Refusal` is a defect and is answered as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar


class Refusal(Exception):
    """The caller asked for something the service will not do."""

    code: ClassVar[str] = "refused"


class NotFound(Refusal):
    """No such thing, or not visible to this caller."""

    code = "not_found"

    def __init__(self, kind: str, id: object) -> None:
        super().__init__(f"no {kind} {id}")
        self.kind = kind
        self.id = id


class Conflict(Refusal):
    """The thing exists but is not in a state that allows this."""

    code = "conflict"


class IllegalTransition(Conflict):
    """Its lifecycle has no such edge."""

    code = "illegal_transition"


class AlreadyExists(Conflict):
    """Another thing has that name."""

    code = "already_exists"


class NameTaken(AlreadyExists):
    """Another segment has that name: it can be changed instead."""

    code = "name_taken"


class Stale(Conflict):
    """The thing is not what its caller took it for: it has changed since."""

    code = "stale"


class Invalid(Refusal):
    """The request contradicts itself, a schema or a limit."""

    code = "invalid"


class InvalidField(Invalid):
    """One field of the request is wrong."""

    code = "invalid_field"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class InvalidRule(Invalid):
    """A segment's rule cannot be understood, or says what its fields do not allow."""

    code = "invalid_rule"

    def __init__(self, problem: str, *, line: int | None = None, column: int | None = None) -> None:
        """Say what is wrong and, of a rule that came as text, where: both count from 1."""
        place = "" if line is None else f"line {line}, column {column}: "
        super().__init__(f"{place}{problem}")
        self.problem = problem
        self.line = line
        self.column = column


class TooManyProperties(InvalidField):
    """More properties than an export or a listing may have."""

    code = "too_many_properties"

    def __init__(self, count: int, *, most: int) -> None:
        super().__init__("properties", f"{count} are asked for, {most} are the most")
        self.count = count
        self.most = most


class UnknownProperties(InvalidField):
    """Properties that are not there, or that the space may not use: it cannot tell which."""

    code = "unknown_properties"

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__(
            "properties",
            f"nothing here is called {', '.join(key or repr(key) for key in keys)}: "
            "ask for usr_… (user properties), "
            "tag_… (tags), id_$… (last value of an identity) or ids_$… (all of them)",
        )
        self.keys = tuple(keys)


class TooLarge(Invalid):
    """More bytes than the service takes at once."""

    code = "too_large"


class AddressTooLong(Invalid):
    """More characters than the service takes in a path and its query."""

    code = "address_too_long"


class KeyReused(Invalid):
    """A key that stands for one request came with another."""

    code = "key_reused"


class TooManyIdentities(Invalid):
    """The profile has more identities than one person can have: it is nowhere to be seen."""

    code = "too_many_identities"

    def __init__(self, id: str) -> None:
        super().__init__(
            f"Too many related identities: {id} is linked with more than one person can be"
        )


class UnsupportedMedia(Invalid):
    """The body is of a kind this call does not read."""

    code = "unsupported_media"


class TooSlow(Invalid):
    """The request did not come in time."""

    code = "too_slow"


class MissingOrganisation(Invalid):
    """The request does not say which organisation it is for."""

    code = "missing_organisation"


class Unauthenticated(Refusal):
    """Nobody knows who is calling."""

    code = "unauthenticated"


class MissingCredentials(Unauthenticated):
    """No token came with the request."""

    code = "missing_credentials"


class InvalidToken(Unauthenticated):
    """The token is malformed, expired or not ours."""

    code = "invalid_token"


class MissingKey(Unauthenticated):
    """A token came without the client's key."""

    code = "missing_key"


class InvalidKey(Unauthenticated):
    """The key is no client's, or not that of the token."""

    code = "invalid_key"


class Forbidden(Refusal):
    """The caller is known and may not do this."""

    code = "forbidden"


class NotEntitled(Forbidden):
    """The client does not belong to the organisation it names."""

    code = "not_entitled"


class InsufficientScope(Forbidden):
    """The client's credentials do not carry the scope this call needs."""

    code = "insufficient_scope"

    def __init__(self, needed: str) -> None:
        super().__init__(f"this call needs the scope {needed}: the client's credentials lack it")
        self.needed = needed


class Limited(Refusal):
    """The caller has had its share: nothing was done, ask again later."""

    code = "limited"

    def __init__(self, problem: str, *, retry_after: timedelta) -> None:
        super().__init__(problem)
        self.retry_after = retry_after


class TooManyCalls(Limited):
    """This client calls faster than it may."""

    code = "too_many_calls"


class TooManyJobs(Limited):
    """As many jobs wait in this sandbox as may."""

    code = "too_many_jobs"


class Unavailable(Refusal):
    """The service cannot do this now and has done nothing: ask again."""

    code = "unavailable"


class OutcomeUnknown(Refusal):
    """The service lost the answer to whether this was done: look before asking again."""

    code = "outcome_unknown"
