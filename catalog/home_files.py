"""Home files: what repeats rows of a store file where their profiles are at home."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: What the home files of this release mean; the engine's ``home_files`` says it. Raised, together
#: with the version of the engine, whenever they or the labellings that they go by hold something
#: else: home files of other formats are passed over then, and replaced by and by.
FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHomeFile:
    """A home file that is stored and about to stand beside its store file."""

    key: str
    size_bytes: int
    row_count: int
    #: The labelling that says where profiles are at home.
    labelling_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeFile(NewHomeFile):
    """The home file of a store file."""

    store_file_key: str
