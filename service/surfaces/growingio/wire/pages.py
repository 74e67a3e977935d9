"""Pages as GrowingIO writes them, and who made and changed what is on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Protocol

from pydantic import Field

from service.operations.hash_ids import HashIds, Noun
from service.surfaces.growingio.wire import Wire, instant

#: As documented.
MOST_ON_A_PAGE = 1000


class Page(Wire):
    """The query of a listing."""

    limit: Annotated[int, Field(ge=1, le=MOST_ON_A_PAGE)] = MOST_ON_A_PAGE
    offset: Annotated[int, Field(ge=0, le=1 << 31)] = 0


class Made(Protocol):
    """What was made by somebody and changed by somebody."""

    @property
    def created_by(self) -> str: ...
    @property
    def updated_by(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def updated_at(self) -> datetime: ...


def page(values: Sequence[object], asked: Page, total_count: int) -> dict[str, Any]:
    """One page of a listing that has so many entries in all."""
    return {
        "offset": asked.offset,
        "limit": asked.limit,
        "totalCount": total_count,
        "hasNextPage": asked.offset + len(values) < total_count,
        "hasPreviousPage": asked.offset > 0,
        "values": values,
    }


def makers(of: Sequence[Made]) -> set[str]:
    """All who made or changed some things."""
    return {who for each in of for who in (each.created_by, each.updated_by)}


def making(of: Made, names: Mapping[str, str], ids: HashIds) -> dict[str, str]:
    """Who made and changed a thing, and when."""
    return {
        "creatorId": ids.of_text(Noun.MEMBER, of.created_by),
        "creator": names[of.created_by],
        "createdAt": instant(of.created_at),
        "updaterId": ids.of_text(Noun.MEMBER, of.updated_by),
        "updater": names[of.updated_by],
        "updatedAt": instant(of.updated_at),
    }
