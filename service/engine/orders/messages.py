"""What every order and answer has, and those of any work."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from catalog.store_files import StoreFileKind

#: Part of every plan: a plan made by another version is discarded, never continued.
ENGINE_VERSION = "6"


Document = dict[str, object]


class Order(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_bytes="hex", val_json_bytes="hex"
    )


class NewFile(Order):
    """A file the engine wrote."""

    key: str
    size_bytes: int
    row_count: int
    sha256: str


class NewStoreFile(NewFile):
    kind: StoreFileKind


class NewMetaFile(Order):
    """A file the engine wrote about a batch."""

    #: By what readers ask for it.
    path: str
    key: str
    size_bytes: int
    sha256: str


class Progress(Order):
    """How far the engine is; sent at most every quarter second."""

    kind: Literal["progress"] = "progress"
    #: What it is doing: ``reading``, ``sorting``, ``planning``, ``merging``.
    phase: str
    done: int
    total: int
    #: Of an export: what is written so far, by this attempt and kept of earlier ones.
    profiles: int = 0
    bytes: int = 0


class Done(Order):
    """Everything asked for was written."""

    kind: Literal["done"] = "done"
    #: For each batch of an export, the list of profiles that are not in it or not whole; null
    #: when there is none.
    exclusions: tuple[NewFile | None, ...] = ()


class Failed(Order):
    """The engine gave up. ``is_final`` when another attempt would end the same way."""

    kind: Literal["failed"] = "failed"
    code: str
    message: str
    is_final: bool
