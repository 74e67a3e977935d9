"""What can be set of serving callers: how they come in, who they are, how much they may ask."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

from service.settings.reading import MIB, PREFIX, Duration, Place, read_as


class HttpSettings(BaseSettings):
    """How the service is reached, and how much it takes at once."""

    model_config = read_as(PREFIX + "HTTP_")

    host: str = "127.0.0.1"
    """The address to listen on. The default is reachable from this machine alone; put a proxy
    that speaks TLS in front before listening on others."""

    port: int = Field(default=8080, ge=0, le=65535)
    """The port to listen on; 0 takes any that is free and prints it."""

    upload_bytes: int = Field(default=256 * MIB, ge=1)
    """The largest file one call may upload. The default is the documented limit."""

    chunk_bytes: int = Field(default=512_000_000, ge=1)
    """The largest chunk of a large file one call may send. The default is the documented limit."""

    address_characters: int = Field(default=2000, ge=200, le=60_000)
    """The most characters an address may have, from its path to the end of its query. The default
    is the documented limit."""

    document_bytes: int = Field(default=8 * MIB, ge=1024)
    """The largest body of a call that is no file. A schema of 10,000 fields has 2 MB."""

    header_bytes: int = Field(default=16 * 1024, ge=2048, le=MIB)
    """The longest header line. Tokens of some issuers have 8 KB."""

    connections: int = Field(default=1000, ge=1, le=60_000)
    """The most connections at a time; further ones are answered 503 and closed. Each may hold
    half a megabyte while it uploads."""

    idle: Duration = Field(default=timedelta(seconds=75), ge=timedelta(seconds=1))
    """How long a connection may stay open between calls. More than what proxies in front allow
    themselves, usually 60 seconds: the end that closes first must be the one that asks."""

    patience: Duration = Field(default=timedelta(seconds=20), ge=timedelta(milliseconds=100))
    """How long a call's head may take to come, and how long neither ``slowest`` bytes of its
    body may come nor of the answer be taken. Then the connection is closed."""

    slowest: int = Field(default=20 * 1024, ge=1)
    """The fewest bytes of a body that must come within each ``patience``. The default is a
    kilobyte a second: the slowest line on which a file of ours makes sense."""

    shutdown_delay: Duration = Field(default=timedelta(0), le=timedelta(minutes=5))
    """How long calls are still taken once the service was told to stop, while ``/ready`` says
    so: as long as a load balancer takes to notice. None by default: nothing is in front."""

    shutdown_grace: Duration = Field(default=timedelta(seconds=20), ge=timedelta(0))
    """How long calls in progress may take to end when the service is told to stop."""


class UserListSettings(BaseSettings):
    """How the files of GrowingIO's exports are written."""

    model_config = read_as(PREFIX + "USER_LIST_")

    guard: bool = False
    """Put an apostrophe before texts in CSV that a spreadsheet would take for formulas: those that
    begin with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return. Off, since programs that read
    the files would take it for a part of the text. Jobs keep what was set when they were
    submitted."""


class LimitSettings(BaseSettings):
    """What one client and one sandbox may have at a time, so that others have theirs."""

    model_config = read_as(PREFIX + "LIMIT_")

    calls: int = Field(default=500, ge=0)
    """Calls a second of one client, over two seconds; 0 is no limit. One core answers some two
    thousand. Each serving process counts for itself."""

    queued_jobs: int = Field(default=10_000, ge=1)
    """The most jobs of one sandbox that wait, exports and promotions together. One more is
    refused before anything of it is written."""

    running_jobs: int = Field(default=100, ge=1)
    """The most jobs of one sandbox that run. Further ones wait however many workers are idle."""

    merge_policies: int = Field(default=5, ge=1)
    """The most merge policies of one organisation, in all its sandboxes. The default is the
    documented limit."""

    segments: int = Field(default=4000, ge=1)
    """The most segments of one sandbox. The default is the documented limit."""

    profile_events: int = Field(default=100_000, ge=1)
    """The most events one exported profile carries: of more, the newest, and the profile is
    listed among the job's exclusions. Jobs keep what was set when they were submitted. Nobody
    does so much; robots and identities that many people share do."""


class TokenSettings(BaseSettings):
    """Whose tokens are believed. Without an issuer: those of the built-in one."""

    model_config = read_as(PREFIX + "TOKEN_")

    lifetime: Duration = Field(
        default=timedelta(hours=24), ge=timedelta(seconds=600), le=timedelta(days=30)
    )
    """How long tokens of the built-in issuer last. Known clients ask for a new one 500 seconds
    before the end, so much less than the default makes them ask on every call."""

    leeway: Duration = Field(
        default=timedelta(seconds=30), ge=timedelta(0), le=timedelta(minutes=5)
    )
    """How far clocks may disagree before a token counts as expired."""

    issuer: str | None = None
    """An external issuer: what its tokens say in ``iss``. Needs ``audience``, and one of
    ``jwks_url`` and ``jwks_file``."""

    audience: str | None = None
    """What the external issuer's tokens must say in ``aud``."""

    jwks_url: str | None = None
    """Where the external issuer publishes its keys. Asked again after five minutes, and for an
    unknown key at most every ten seconds."""

    jwks_file: Place | None = None
    """The same as a file, for a service that may not open connections."""

    client_claim: str = "client_id"
    """The claim that names the client in the external issuer's tokens: what callers send as
    ``x-api-key``. Often ``azp`` or ``sub``."""

    organisation_claim: str = "org_id"
    """The claim that names the client's organisation in the external issuer's tokens."""

    scope_claim: str | None = None
    """The claim that lists what the client may do in the external issuer's tokens, often
    ``scope``. Not set: every client of that issuer may do everything."""

    @model_validator(mode="after")
    def _check_issuer(self) -> Self:
        if self.issuer is None:
            if self.audience or self.jwks_url or self.jwks_file:
                raise ValueError("an external issuer is half set: issuer is missing")
            return self
        if not self.audience:
            raise ValueError("an external issuer needs audience")
        if (self.jwks_url is None) == (self.jwks_file is None):
            raise ValueError("an external issuer needs one of jwks_url and jwks_file")
        if self.jwks_url and not self.jwks_url.startswith(("https://", "http://")):
            raise ValueError("jwks_url must start with https:// or http://")
        return self


class OrganisationSettings(BaseSettings):
    """What the first start makes, so that there is something to log in to."""

    model_config = read_as(PREFIX + "ORGANISATION_")

    id: str = Field(default="profile-exports@AdobeOrg", min_length=1)
    """The organisation's id: what callers send as ``x-gw-ims-org-id``."""

    name: str = "Profile Exports"
    """Its name, for people."""


class LookupSettings(BaseSettings):
    """What looking up single profiles may take. It is done in processes of its own, which stay."""

    model_config = read_as(PREFIX + "LOOKUP_")

    processes: int = Field(default=1, ge=1, le=64)
    """Look-ups one server does at a time; further ones wait. A process starts with the first
    look-up that needs it."""

    memory_bytes: int = Field(default=1024 * MIB, ge=256 * MIB)
    """What one of these processes may hold of its own; a look-up that needs more is refused.
    Files of the profile store, which are mapped, do not count."""

    time_limit: Duration = Field(
        default=timedelta(seconds=30), ge=timedelta(milliseconds=100), le=timedelta(minutes=10)
    )
    """How long a look-up may take, waiting included; then it is refused and its process ended.
    Most take some milliseconds; the first waits for its process to start."""

    idle: Duration = Field(default=timedelta(minutes=5), ge=timedelta(seconds=1))
    """After so long without a look-up its process ends, and its memory is given back."""
