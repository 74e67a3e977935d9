"""What can be set from the environment. Every default starts a working service.

One class for each topic; a field's environment name is its class's prefix and its own name in
capitals, and ``docs/settings.md`` lists them all. Durations are seconds, or ISO 8601 (``PT30S``).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings

from service.settings.reading import PREFIX, Place, absolute, read_as
from service.settings.serving import (
    HttpSettings,
    LimitSettings,
    LookupSettings,
    OrganisationSettings,
    TokenSettings,
    UserListSettings,
)
from service.settings.working import (
    CompactionSettings,
    EngineSettings,
    IngestionSettings,
    SweepSettings,
    WorkerSettings,
)

__all__ = [
    "PREFIX",
    "CompactionSettings",
    "DataSettings",
    "EngineSettings",
    "HttpSettings",
    "IngestionSettings",
    "LimitSettings",
    "LogSettings",
    "LookupSettings",
    "OrganisationSettings",
    "Settings",
    "SweepSettings",
    "TokenSettings",
    "UserListSettings",
    "WorkerSettings",
    "misspelt",
    "names",
    "problems",
]


def _default_data_dir() -> Path:
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "profile-exports"


class DataSettings(BaseSettings):
    """Where the service keeps what it has."""

    model_config = read_as(PREFIX)

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


class LogSettings(BaseSettings):
    """What the service says of itself."""

    model_config = read_as(PREFIX + "LOG_")

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
    user_list: UserListSettings = Field(default_factory=UserListSettings)
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
        data = self.data.model_copy(update={"data_dir": absolute(data_dir)})
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
