"""What can be set from the environment. Every default starts a working service.

One class for each topic; a field's environment name is its class's prefix and its own name in
capitals, and ``docs/settings.md`` lists them all. Durations are seconds, or ISO 8601 (``PT30S``).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "PROFILE_EXPORTS_"
MIB = 1024 * 1024


def _seconds(value: object) -> object:
    """Take a plain number for seconds: the environment knows only text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


#: Workers are started in another working directory, and must mean the same place.
Place = Annotated[Path, AfterValidator(_absolute)]
Duration = Annotated[timedelta, BeforeValidator(_seconds)]


def _read_as(prefix: str) -> SettingsConfigDict:
    return SettingsConfigDict(
        env_prefix=prefix, frozen=True, populate_by_name=True, env_ignore_empty=True
    )


def _default_data_dir() -> Path:
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "profile-exports"


def _default_engine_threads() -> int:
    return min(os.cpu_count() or 1, 8)


class DataSettings(BaseSettings):
    """Where the service keeps what it has."""

    model_config = _read_as(PREFIX)

    data_dir: Place = Field(default_factory=_default_data_dir)
    """The folder of all stored files, the private database and the credentials. Back it up
    whole. Default: ``$XDG_DATA_HOME/profile-exports``, else ``~/.local/share/profile-exports``."""

    database_url: SecretStr | None = Field(default=None, validation_alias="DATABASE_URL")
    """A PostgreSQL server (15 or newer) to use instead of a private one."""

    pg_bindir: Place | None = Field(default=None, validation_alias="PG_BINDIR")
    """The folder of PostgreSQL's programs to start a private server from. Default: those that
    are installed with the service, else the system's."""

    database_connections: int = Field(default=10, ge=2, le=500)
    """The most connections one process opens. Ten serve some hundred calls a second; a private
    server takes 100 in all."""

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, url: SecretStr | None) -> SecretStr | None:
        known = ("postgresql://", "postgres://")
        if url is not None and not url.get_secret_value().startswith(known):
            raise ValueError(f"must start with {known[0]}")
        return url

    @property
    def files_dir(self) -> Path:
        """Where stored files lie."""
        return self.data_dir / "files"


class HttpSettings(BaseSettings):
    """How the service is reached, and how much it takes at once."""

    model_config = _read_as(PREFIX + "HTTP_")

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


class LimitSettings(BaseSettings):
    """What one client and one sandbox may have at a time, so that others have theirs."""

    model_config = _read_as(PREFIX + "LIMIT_")

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

    profile_events: int = Field(default=100_000, ge=1)
    """The most events one exported profile carries: of more, the newest, and the profile is
    listed among the job's exclusions. Jobs keep what was set when they were submitted. Nobody
    does so much; robots and identities that many people share do."""


class TokenSettings(BaseSettings):
    """Whose tokens are believed. Without an issuer: those of the built-in one."""

    model_config = _read_as(PREFIX + "TOKEN_")

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

    model_config = _read_as(PREFIX + "ORGANISATION_")

    id: str = Field(default="profile-exports@AdobeOrg", min_length=1)
    """The organisation's id: what callers send as ``x-gw-ims-org-id``."""

    name: str = "Profile Exports"
    """Its name, for people."""


class WorkerSettings(BaseSettings):
    """Who does the long work, and how it is noticed that somebody stopped doing it."""

    model_config = _read_as(PREFIX + "WORKER_")

    count: int = Field(default=1, ge=0, le=64)
    """Worker processes that ``serve`` starts. 0: workers are started elsewhere with ``work``."""

    slots: int = Field(default=1, ge=1, le=16)
    """Jobs one worker runs at a time, each in an engine process of its own."""

    lease: Duration = Field(
        default=timedelta(seconds=30), ge=timedelta(seconds=1), le=timedelta(hours=1)
    )
    """How long a worker may be silent before its job is given to another. Longer survives
    longer pauses of the machine; shorter recovers sooner."""

    heartbeat: Duration = Field(
        default=timedelta(milliseconds=700), ge=timedelta(milliseconds=100), le=timedelta(minutes=1)
    )
    """How often a worker says that it is there, and with it how far its job is: the engine reports
    every quarter second, so with the default callers see nothing older than a second. It says so
    three times in a lease at least, whatever stands here: one late beat must cost no job."""

    grace: Duration = Field(default=timedelta(seconds=5), ge=timedelta(0), le=timedelta(minutes=10))
    """How long a worker that is told to stop goes on, until the part it writes is kept, before
    it hands its job back. Work on a part that is not kept by then is done again."""

    attempts: int = Field(default=5, ge=1, le=100)
    """How often a job is tried before it fails."""

    poll: Duration = Field(
        default=timedelta(seconds=5), ge=timedelta(milliseconds=100), le=timedelta(minutes=10)
    )
    """How often an idle worker looks for jobs on its own. Notices wake it at once; this only
    covers lost ones."""


class EngineSettings(BaseSettings):
    """How the engine cuts its work. None of these changes what is exported, only into what
    files; the defaults are tried on 2 cores and 8 GB."""

    model_config = _read_as(PREFIX + "ENGINE_")

    threads: int = Field(default_factory=_default_engine_threads, ge=1, le=256)
    """Threads of one engine process. Default: the machine's processors, at most eight."""

    part_row_count: int = Field(default=1_000_000, ge=1)
    """The most profiles in one exported file."""

    part_size_bytes: int = Field(default=256 * MIB, ge=MIB)
    """About how large an exported file may become. Larger ones are fewer; smaller ones lose
    less work when a worker is killed, since finished files are kept."""

    slice_size_bytes: int = Field(default=64 * MIB, ge=MIB)
    """How much of the profile store one thread holds in memory at a time, uncompressed."""

    labelling_size_bytes: int = Field(default=128 * MIB, ge=MIB)
    """How much memory sorting the links between identities may take. More links than fit, about
    600,000 in the default, are divided on disk first; sorting small portions is also faster."""

    memory_bytes: int = Field(default=4096 * MIB, ge=512 * MIB)
    """The most memory a promotion may take. One that takes more is ended and its batch fails:
    what it read was made to take it. A promotion of ordinary files takes less than a gigabyte,
    and some 150 MB for each thread beyond two."""

    time_limit: Duration = Field(default=timedelta(hours=12), ge=timedelta(seconds=1))
    """How long a promotion may take. One that takes longer is ended and its batch fails."""

    preview_memory_bytes: int = Field(default=1024 * MIB, ge=256 * MIB)
    """The same for a preview of files that were sent; at most two are made at a time."""

    preview_time_limit: Duration = Field(default=timedelta(seconds=30), ge=timedelta(seconds=1))
    """How long such a preview may take."""

    still_limit: Duration = Field(default=timedelta(minutes=10), ge=timedelta(seconds=1))
    """How long a promotion may get no further, with the same end. Ordinary files move on
    several times a second."""


class LookupSettings(BaseSettings):
    """What looking up single profiles may take. It is done in processes of its own, which stay."""

    model_config = _read_as(PREFIX + "LOOKUP_")

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


class CompactionSettings(BaseSettings):
    """When small files of the profile store become one. Exports say the same before and after."""

    model_config = _read_as(PREFIX + "COMPACTION_")

    every: Duration = Field(default=timedelta(minutes=1), ge=timedelta(0), le=timedelta(days=1))
    """How often the workers look. 0: never; then exports of many small batches grow slow."""

    files: int = Field(default=8, ge=2, le=64)
    """So many files of about one size become one. More are written again less often and slow
    exports down more."""

    size_bytes: int = Field(default=4 * 1024 * MIB, ge=MIB)
    """Larger files are left alone, and no more bytes become one at once: what a worker does in
    about a minute."""


class SweepSettings(BaseSettings):
    """How long things are kept that nobody needs any more. Whatever goes, goes for good."""

    model_config = _read_as(PREFIX + "SWEEP_")

    every: Duration = Field(default=timedelta(minutes=5), ge=timedelta(0), le=timedelta(days=1))
    """How often the workers look for what may go; one of them does. 0: never, and then
    ``profile-exports sweep`` is to be run now and then."""

    loading: Duration = Field(default=timedelta(days=30), ge=timedelta(0))
    """How long after its last file a batch waits to be completed before it is given up."""

    uploads: Duration = Field(default=timedelta(days=7), ge=timedelta(0))
    """How long after its end what was sent for a batch is kept. Nothing reads it any more: the
    rows are in the data set's own files. A week leaves time to find out why a batch failed."""

    reverted: Duration = Field(default=timedelta(days=30), ge=timedelta(0))
    """How long the files of a batch are kept that was reverted or replaced. Nobody can read them
    through the service; until then an operator can."""

    diagnostics: Duration = Field(default=timedelta(days=30), ge=timedelta(0))
    """How long after its end the files are kept that tell about a batch: which rows were
    refused, whom an export left out."""

    rows: Duration | None = Field(default=None, gt=timedelta(0))
    """How long a batch stays in a data set that does not say so itself, in ``rowExpiration``.
    Then it is taken out of the data set and of later exports, and erased. Not set: for ever."""


class IngestionSettings(BaseSettings):
    """What batches and their rows may be. The defaults are what the vendor documents."""

    model_config = _read_as(PREFIX + "INGESTION_")

    batch_files: int = Field(default=25_000, ge=1)
    """The most files in one batch."""

    large_file_bytes: int = Field(default=1_000_000_000_000, ge=1)
    """The largest file that may be sent in chunks, and the most bytes its chunks may hold."""

    ecid_digits: int = Field(default=38, ge=0, le=1024)
    """How many digits an ECID has. A row with another one is in the data set but not in profiles,
    and is counted. 0: an ECID may be any text."""

    row_identities: int = Field(default=20, ge=0)
    """The most identities one row of a data set for profiles may name; a row with more is
    refused. 0: any number."""


class LogSettings(BaseSettings):
    """What the service says of itself."""

    model_config = _read_as(PREFIX + "LOG_")

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines that are written. ``info`` has one line for each call."""

    format: Literal["auto", "json", "console"] = "auto"
    """``json`` for machines, ``console`` for people; ``auto`` asks whether it is a terminal."""


class Settings(BaseModel):
    """All of it."""

    model_config = ConfigDict(frozen=True)

    data: DataSettings = Field(default_factory=DataSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    limit: LimitSettings = Field(default_factory=LimitSettings)
    token: TokenSettings = Field(default_factory=TokenSettings)
    organisation: OrganisationSettings = Field(default_factory=OrganisationSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    engine: EngineSettings = Field(default_factory=EngineSettings)
    ingestion: IngestionSettings = Field(default_factory=IngestionSettings)
    lookup: LookupSettings = Field(default_factory=LookupSettings)
    compaction: CompactionSettings = Field(default_factory=CompactionSettings)
    sweep: SweepSettings = Field(default_factory=SweepSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    def at(self, data_dir: Path | None) -> Settings:
        """The same settings with another data folder, when one is named."""
        if data_dir is None:
            return self
        data = self.data.model_copy(update={"data_dir": _absolute(data_dir)})
        return self.model_copy(update={"data": data})

    def by_name(self) -> dict[str, object]:
        """Every setting under its name in the environment, as it was understood."""
        return {
            name: getattr(topic, field) for topic in self._topics() for field, name in names(topic)
        }

    def _topics(self) -> list[BaseSettings]:
        return [getattr(self, topic) for topic in type(self).model_fields]


def problems() -> list[str]:
    """What is wrong in the environment, each under the name of its variable."""
    found = []
    for topic in Settings.model_fields.values():
        settings = topic.default_factory
        assert isinstance(settings, type)
        assert issubclass(settings, BaseSettings)
        try:
            settings()
        except ValidationError as error:
            found += [_problem(settings, each) for each in error.errors(include_url=False)]
    return found


def _problem(topic: type[BaseSettings], error: ErrorDetails) -> str:
    """Say it without the value: it may be a secret."""
    prefix = topic.model_config.get("env_prefix", "")
    where = str(error["loc"][0]) if error["loc"] else "*"
    name = where if where.isupper() else prefix + where.upper()
    return f"{name}: {error['msg'].removeprefix('Value error, ')}"


#: Variables that only the commands that are clients of a service read.
CLIENT_NAMES = frozenset(
    PREFIX + name for name in ("BASE_URL", "CLIENT_ID", "CLIENT_SECRET", "ORG_ID", "SANDBOX")
)


def names(topic: BaseSettings) -> Iterator[tuple[str, str]]:
    """The fields of a topic, each with its name in the environment."""
    prefix = topic.model_config.get("env_prefix", "")
    for field, described in type(topic).model_fields.items():
        yield field, str(described.validation_alias or prefix + field.upper())


def misspelt(environment: Iterable[str]) -> list[str]:
    """Variables that look like ours and are none of ours: what they should set is not set."""
    known = {*Settings().by_name(), *CLIENT_NAMES}
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
