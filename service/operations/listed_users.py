"""Users page by page: a list of them is made as for an export, once, and its pages are read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from catalog.audit import Action, ObjectKind
from catalog.errors import Conflict, Unavailable
from catalog.jobs import ENDED
from catalog.organisations import Caller
from catalog.store.audit import AuditStore
from catalog.store.database import Database
from catalog.user_lists import (
    GIO_ID,
    ListFormat,
    ListKind,
    ListStage,
    UserList,
    UserListRequest,
)
from service.operations.user_lists import UserLists

#: How long a caller waits for a list that is not there yet. Ours: less than proxies wait.
PATIENCE = timedelta(seconds=25)
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPage:
    """Some users, and how many there are in all."""

    #: Each as a line of JSON has it: ``gio_id``, ``identifications`` and ``properties``.
    users: tuple[Mapping[str, Any], ...]
    total_count: int


class ListedUsers:
    """Lists that are waited for: their users come in an order that stays as long as no data do."""

    def __init__(self, database: Database, user_lists: UserLists) -> None:
        self._database = database
        self._user_lists = user_lists

    async def page(
        self, request: UserListRequest, *, by: Caller, skip: int, most: int
    ) -> ListedPage:
        """One page. The first of a list takes as long as an export, others only read it.

        Refuses as :meth:`UserLists.submit` does, with Conflict when the list failed, and with
        Unavailable when it takes long: it goes on being made, so asking again is worth it.
        """
        asked = replace(request, format=ListFormat.JSON)
        made = await self._user_lists.submit(asked, by=by, is_repeatable=True)
        found = await self._ended(made, by)
        if found.stage is not ListStage.FINISH:
            raise Conflict(found.message or "the users could not be listed")
        async with self._database.transaction() as db:
            await AuditStore(db).note(by, Action.READ, ObjectKind.USER_LIST, found.job.id)
        total_count = sum(piece.row_count for piece in found.pieces)
        users = await self._lines(found, skip, most) if skip < total_count else ()
        return ListedPage(users=users, total_count=total_count)

    async def number(self, *, by: Caller) -> None:
        """Have every user numbered who is known by now: by a list of all of them, of numbers alone.

        Refuses as :meth:`page` does.
        """
        everybody = UserListRequest(kind=ListKind.TAG, title=GIO_ID)
        made = await self._user_lists.submit(everybody, by=by, is_repeatable=True)
        found = await self._ended(made, by)
        if found.stage is not ListStage.FINISH:
            raise Conflict(found.message or "the users could not be numbered")

    async def _ended(self, made: UserList, by: Caller) -> UserList:
        pause, found = _FIRST_PAUSE_SECONDS, made
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                while found.job.state not in ENDED:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                    found = await self._user_lists.find(made.job.id, by=by)
        except TimeoutError:
            raise Unavailable("the users are being listed: ask again in a while") from None
        return found

    async def _lines(self, found: UserList, skip: int, most: int) -> tuple[Mapping[str, Any], ...]:
        """Lines of the file from behind some; pieces that lie before them are not read."""
        start = 0
        for piece in found.pieces:
            if skip < piece.row_count:
                break
            start, skip = start + piece.size_bytes, skip - piece.row_count
        lines: list[Mapping[str, Any]] = []
        rest = b""
        content = self._user_lists.content(found, start, found.size_bytes - start)
        async for data in content:
            *whole, rest = (rest + data).split(b"\n")
            lines += [json.loads(line) for line in whole[skip : skip + most - len(lines)]]
            skip = max(skip - len(whole), 0)
            if len(lines) == most:
                break
        return tuple(lines)
