"""Lists of export jobs as Adobe writes them: section 1.4 of the contract sheet.

A cursor is ``{creationTime}_{id}`` of the last job on a page, as the documents have it. In lists
that are sorted otherwise what stands before the ``_`` is the place by that: microseconds of the
last update, or the place of the status among all.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field

from catalog.errors import InvalidField
from catalog.export_jobs import ExportCursor, ExportFilter, ExportJob, ExportSort
from catalog.jobs import JobId, JobState
from service.surfaces.adobe.wire.export_jobs import STATES, STATUS, job, milliseconds

#: The fields a list can be sorted by.
SORTS = {
    "creationTime": ExportSort.CREATION,
    "createdTime": ExportSort.CREATION,
    "updateTime": ExportSort.UPDATE,
    "status": ExportSort.STATE,
    "id": ExportSort.ID,
}
#: What answers call them.
SORT_FIELDS = {
    ExportSort.CREATION: "createdTime",
    ExportSort.UPDATE: "updateTime",
    ExportSort.STATE: "status",
    ExportSort.ID: "id",
}
#: The states in the order in which a list is sorted by status, which is that of both their names.
IN_ORDER = sorted(STATUS, key=STATUS.__getitem__)

_CURSOR = re.compile(r"([0-9]{1,18})_([0-9]{1,18})")
_NUMBER = re.compile(r"[0-9]{1,18}")
_SORT_WORDS = f"must be one of {', '.join(SORTS)}, then :asc or :desc"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND, _MICROSECOND = timedelta(milliseconds=1), timedelta(microseconds=1)


class Listing(BaseModel):
    """The query of a list call, with all the spellings the documents give."""

    model_config = ConfigDict(extra="ignore")

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    start: Annotated[int, Field(ge=0, le=2**31)] = 0
    page: Annotated[int, Field(ge=0, le=2**31)] = 0
    offset: str = ""
    sort: str = "creationTime:desc"
    status: str | None = None

    def filter(self) -> ExportFilter:
        """What is asked for, in the service's own words."""
        return ExportFilter(
            states=self.states, sort=self._sort, is_descending=self.is_descending, after=self._after
        )

    @property
    def _after(self) -> ExportCursor | None:
        """The place a cursor names; a plain number is not a cursor."""
        match = _CURSOR.fullmatch(self.offset)
        if match is None and self.offset and not _NUMBER.fullmatch(self.offset):
            raise InvalidField("offset", "must be a cursor from link.next, or a number of records")
        if match is None:
            return None
        number, id = int(match[1]), JobId(int(match[2]))
        match self._sort:
            case ExportSort.CREATION:
                return ExportCursor(id=id, at=_instant(number, _MILLISECOND))
            case ExportSort.UPDATE:
                return ExportCursor(id=id, at=_instant(number, _MICROSECOND))
            case ExportSort.STATE:
                if number >= len(IN_ORDER):
                    raise InvalidField("offset", "is not a cursor of a list sorted by status")
                return ExportCursor(id=id, state=IN_ORDER[number])
            case ExportSort.ID:
                return ExportCursor(id=id)

    @property
    def skip(self) -> int:
        numbered = int(self.offset) if _NUMBER.fullmatch(self.offset) else 0
        return self.start + numbered + self.page * self.limit

    @property
    def states(self) -> tuple[JobState, ...]:
        if self.status is None:
            return tuple(JobState)
        if self.status not in STATES:
            raise InvalidField("status", f"{self.status!r} is none of {', '.join(STATES)}")
        return (STATES[self.status],)

    @property
    def is_descending(self) -> bool:
        """Which way the asked field runs; newest first unless told."""
        _, _, direction = self.sort.partition(":")
        if direction not in {"", "asc", "desc"}:
            raise InvalidField("sort", _SORT_WORDS)
        return direction != "asc"

    @property
    def _sort(self) -> ExportSort:
        field, _, _ = self.sort.partition(":")
        if field not in SORTS:
            raise InvalidField("sort", _SORT_WORDS)
        return SORTS[field]

    def cursor(self, last: ExportJob) -> str:
        """The place of a job in this list, as it stands in the answer."""
        one = last.job
        match self._sort:
            case ExportSort.UPDATE:
                number = (one.updated_at - _EPOCH) // _MICROSECOND
            case ExportSort.STATE:
                number = IN_ORDER.index(one.state)
            case _:
                number = milliseconds(one.created_at)
        return f"{number}_{one.id}"

    def following(self, cursor: str) -> str:
        """The link to the page behind a place, with all that was asked.

        The cursor comes last: one known client takes everything behind ``offset=`` for it.
        """
        asked = {"limit": str(self.limit)}
        asked |= {} if self.status is None else {"status": self.status}
        asked |= {"sort": self.sort} if "sort" in self.model_fields_set else {}
        return f"/export/jobs/?{urlencode({**asked, 'offset': cursor}, safe=':')}"

    def answered(self, cursor: str, size: int) -> dict[str, Any]:
        """What an answer says of itself."""
        return {
            "sortField": SORT_FIELDS[self._sort],
            "sort": "desc" if self.is_descending else "asc",
            "pageOffset": cursor,
            "pageSize": size,
        }


def page(asked: Listing, jobs: tuple[ExportJob, ...]) -> dict[str, Any]:
    """One page of jobs. ``jobs`` may hold one more than asked for: then there is a next page."""
    shown = jobs[: asked.limit]
    cursor = asked.cursor(shown[-1]) if shown else ""
    return {
        "records": [job(one) for one in shown],
        "page": asked.answered(cursor, len(shown)),
        "link": {"next": asked.following(cursor) if len(jobs) > asked.limit else ""},
    }


def _instant(number: int, unit: timedelta) -> datetime:
    """An instant counted in a unit from 1970; refuses one that no calendar has."""
    try:
        return _EPOCH + number * unit
    except OverflowError:
        raise InvalidField("offset", "is not a cursor of any list") from None
