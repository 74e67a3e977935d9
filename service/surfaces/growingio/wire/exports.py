"""User lists as GrowingIO writes them: sections 2.1 to 2.4 of the contract sheet."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from pydantic import BeforeValidator

from catalog.properties import Column
from catalog.user_lists import Heading, ListFormat, ListKind, ListStage, UserList, UserListRequest
from service.operations.hash_ids import HashIds, Noun
from service.surfaces.growingio.wire import Wire


def _word(value: object) -> object:
    """Take a word in any case, and an empty one as if it were missing: some clients send all."""
    return (value.lower() or None) if isinstance(value, str) else value


class NewExport(Wire):
    """The body of a submit call; all of it may be missing."""

    #: Empty: the numbers of the users alone.
    properties: list[str] | None = None
    #: Missing: CSV.
    file_format: Annotated[ListFormat | None, BeforeValidator(_word)] = None
    #: Only read for CSV. Missing: keys.
    csv_header_type: Annotated[Heading | None, BeforeValidator(_word)] = None

    def request(
        self, kind: ListKind, title: str, columns: tuple[Column, ...], **of: Any
    ) -> UserListRequest:
        """What is asked for, now that it is known what the keys stand for."""
        return UserListRequest(
            kind=kind,
            title=title,
            columns=columns,
            format=self.file_format or ListFormat.CSV,
            heading=self.csv_header_type or Heading.KEY,
            **of,
        )


def submitted(made: UserList, ids: HashIds) -> dict[str, str]:
    """What a submit call is answered."""
    return {"id": ids.of(Noun.JOB, made.job.id), "name": made.name}


def result(found: UserList, message: str | None) -> dict[str, Any]:
    """How a list stands, and if it has no file for good the reason in a language and in English.

    Its path comes percent-encoded in full, to be put behind ``?file=``.
    """
    is_there = found.stage is ListStage.FINISH and found.pieces
    told: dict[str, Any] = {
        "stage": found.stage,
        "uris": [quote(found.path, safe="")] if is_there else [],
    }
    return told if message is None else {**told, "message": message, "detail": found.message}
