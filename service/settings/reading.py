"""How a setting is read from the environment, whatever its topic."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import SettingsConfigDict

PREFIX = "PROFILE_EXPORTS_"
MIB = 1024 * 1024


def _seconds(value: object) -> object:
    """Take a plain number for seconds: the environment knows only text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def absolute(path: Path) -> Path:
    """The path as it is from any working directory."""
    return path.expanduser().absolute()


#: Workers are started in another working directory, and must mean the same place.
Place = Annotated[Path, AfterValidator(absolute)]
Duration = Annotated[timedelta, BeforeValidator(_seconds)]


def read_as(prefix: str) -> SettingsConfigDict:
    """How the fields of one topic are found: by this prefix and their own names."""
    return SettingsConfigDict(
        env_prefix=prefix, frozen=True, populate_by_name=True, env_ignore_empty=True
    )
