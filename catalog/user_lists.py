"""User lists: exports of flat rows, one for each user, in GrowingIO's words.

A list has a column for each thing that was asked for and comes as one file, CSV or lines of JSON.
It is written in pieces, as every export; only who downloads it never sees them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from catalog.errors import InvalidField
from catalog.jobs import Job, JobId, JobState
from catalog.properties import Column
from catalog.schemas import Path

#: Heads the numbers of users, and is always the first column.
GIO_ID: Final = "gio_id"
#: Bytes of a file name, with its suffix: what file systems of downloaders bear.
FILE_NAME_BYTES: Final = 255

#: Directory of the paths that downloads are asked for by. There is no such directory.
_RESULTS: Final = "/jobs/results/"
_NAME: Final = re.compile(r"(DES|DET)-([0-9]{12})-([0-9]{1,14})")
_UNWANTED: Final = re.compile(r"[\x00-\x1f\x7f/\\]")


class ListKind(StrEnum):
    SEGMENT = "DES"  # the users of a segment
    TAG = "DET"  # the users that have a value of a tag


class ListFormat(StrEnum):
    CSV = "csv"
    JSON = "json"  # one object a line


class Heading(StrEnum):
    KEY = "key"  # what a column was asked for by
    NAME = "name"  # what people call it


class Charset(StrEnum):
    """In what a CSV is written. Lines of JSON are UTF-8, as JSON has to be."""

    UTF_8 = "UTF-8"
    UTF_8_MARKED = "UTF-8-BOM"  # begins with EF BB BF, for spreadsheets
    UTF_16LE = "UTF-16LE"  # begins with FF FE, for spreadsheets
    GBK = "GBK"
    GB18030 = "GB18030"


class ListStage(StrEnum):
    """How a list stands, as callers are told."""

    NONE = "NONE"  # nothing was done yet
    READY = "READY"  # it was begun, and is to be taken up again
    RUNNING = "RUNNING"
    FINISH = "FINISH"
    ERROR = "ERROR"


_STAGE: Final = {
    JobState.QUEUED: ListStage.NONE,
    JobState.RUNNING: ListStage.RUNNING,
    JobState.SUCCEEDED: ListStage.FINISH,
    JobState.FAILED: ListStage.ERROR,
    JobState.CANCELLED: ListStage.ERROR,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UserListRequest:
    """What a caller asks for, when it is known what the keys stand for."""

    kind: ListKind
    #: What the list is of, as people call it: the name of a segment or a tag.
    title: str
    #: Of a segment's list: its id in the namespace of segments that are defined here.
    segment_id: str | None = None
    #: Of a tag's list: the leaf that its users have a value of.
    having: Path | None = None
    #: Beside the number of the user, in order.
    columns: tuple[Column, ...] = ()
    format: ListFormat = ListFormat.CSV
    heading: Heading = Heading.KEY
    charset: Charset = Charset.UTF_8
    #: Without suffix; null: made of the title and the day.
    file_name: str | None = None
    #: The space it was asked for in; null: in the project as a whole.
    space_number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPiece:
    """A run of the bytes of a list that has succeeded."""

    key: str
    size_bytes: int
    row_count: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserList:
    """A list as it stood at one moment."""

    job: Job
    kind: ListKind
    space_number: int | None
    format: ListFormat
    charset: Charset
    #: With its suffix.
    file_name: str
    #: In their order; none until it has succeeded, and none again once they had their time.
    pieces: tuple[ListPiece, ...]

    @property
    def name(self) -> str:
        return list_name(self.kind, self.job.created_at, self.job.id)

    @property
    def stage(self) -> ListStage:
        if self.job.state is JobState.QUEUED and self.job.attempt:
            return ListStage.READY
        return _STAGE[self.job.state]

    @property
    def path(self) -> str:
        """What it is downloaded by; names nothing on any disk."""
        return f"{_RESULTS}{self.name}/{self.file_name}"

    @property
    def size_bytes(self) -> int:
        return sum(piece.size_bytes for piece in self.pieces)

    @property
    def message(self) -> str | None:
        """Why there is no file, for people; null unless it ended without one."""
        if self.job.state is JobState.CANCELLED:
            return "the job was cancelled"
        if self.job.errors:
            return self.job.errors[-1].message
        if self.job.state is JobState.SUCCEEDED and not self.pieces:
            return "the file had its time and was removed"
        return None


def list_name(kind: ListKind, created_at: datetime, id: JobId) -> str:
    """Name a list by the minute and the nanosecond of its creation, both in UTC.

    The clock knows no nanoseconds: their last three digits are the job's, so that no two lists
    that are made at the same moment are called alike.
    """
    at = created_at.astimezone(UTC)
    seconds = (at.hour * 60 + at.minute) * 60 + at.second
    nanosecond = (seconds * 1_000_000 + at.microsecond) * 1000 + id % 1000
    return f"{kind}-{at:%Y%m%d%H%M}-{nanosecond}"


def created_at_of(path: str) -> datetime | None:
    """Tell from a download's path when its list was made; None of what is no such path."""
    name = path.removeprefix(_RESULTS).partition("/")[0]
    found = _NAME.fullmatch(name) if path.startswith(_RESULTS) else None
    if found is None:
        return None
    try:
        minute = datetime.strptime(found[2], "%Y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        return None
    microsecond = int(found[3]) // 1000
    seconds = microsecond // 1_000_000
    if (seconds // 3600, seconds // 60 % 60) != (minute.hour, minute.minute):
        return None
    return minute.replace(second=seconds % 60, microsecond=microsecond % 1_000_000)


def charset_of(asked: str | None) -> Charset:
    """Read a caller's word for a charset, in any case; refuses those that are not known."""
    if not asked:
        return Charset.UTF_8
    spelt = asked.strip().upper().replace("_", "-")
    aliases = {"UTF8": Charset.UTF_8, "UTF-8-SIG": Charset.UTF_8_MARKED, "UTF16LE": "UTF-16LE"}
    try:
        return Charset(aliases.get(spelt, spelt))
    except ValueError:
        known = ", ".join(Charset)
        raise InvalidField("charset", f"{asked!r} is not known; there are {known}") from None


def file_name_of(asked: str | None, *, title: str, made_at: datetime, format: ListFormat) -> str:
    """Give the name that a list is downloaded under, with its suffix.

    Refuses a name with slashes or control characters, and one that is too long; of a title
    these are left out.
    """
    suffix = f".{format}"
    if asked:
        own = asked.removesuffix(suffix)
        if _UNWANTED.search(own) or not own.strip(". "):
            raise InvalidField(
                "exportFileName", f"{asked!r} must be a plain file name, without any slash"
            )
        if len(f"{own}{suffix}".encode()) > FILE_NAME_BYTES:
            raise InvalidField("exportFileName", f"must have at most {FILE_NAME_BYTES} bytes")
        return f"{own}{suffix}"
    ending = f"_{made_at.astimezone(UTC):%Y-%m-%d}_UserList{suffix}"
    room = FILE_NAME_BYTES - len(ending.encode())
    return _UNWANTED.sub("", title).encode()[:room].decode(errors="ignore") + ending


def told(request: UserListRequest, *, file_name: str) -> Mapping[str, Any]:
    """What a job's order says of a list beside what the engine is told."""
    return {
        "kind": request.kind,
        "space": request.space_number,
        "format": request.format,
        "charset": request.charset,
        "file_name": file_name,
        "segment": request.segment_id,
        "properties": {column.key: column.property.number for column in request.columns},
    }


def user_list_of(job: Job, pieces: tuple[ListPiece, ...]) -> UserList:
    """Read a list from its job."""
    order = job.order["user_list"]
    return UserList(
        job=job,
        kind=ListKind(order["kind"]),
        space_number=order["space"],
        format=ListFormat(order["format"]),
        charset=Charset(order["charset"]),
        file_name=order["file_name"],
        pieces=pieces,
    )
