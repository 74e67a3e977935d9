"""Home files: which store files have one, which are worth one, and by which labelling.

The file behind a row is described in :mod:`service.engine.home_files`.
"""

from __future__ import annotations

from catalog.home_files import FORMAT, HomeFile, NewHomeFile
from catalog.organisations import Scope
from catalog.store import queries
from catalog.store.database import Connection
from catalog.store_files import StoreFileId

SQL = queries.beside(__file__)


class HomeFileStore:
    """The home files of sandboxes, read and changed inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def labelling_for(self, scope: Scope, commit: int, *, engine_version: str) -> str | None:
        """Find the key of the labelling by which home files are best written for a snapshot.

        The newest that is valid for it; none when there are many links by now that it does not
        know, and when it knows no identity at all.
        """
        row = await SQL["labelling_for"].row(
            self._db, **_of(scope), commit=commit, engine_version=engine_version
        )
        key: str | None = row["key"] if row is not None else None
        return key

    async def add(self, scope: Scope, id: StoreFileId, new: NewHomeFile) -> bool:
        """Add the home file of a store file; False when it has one, or the labelling is gone.

        One of another format goes first.
        """
        await SQL["forget_other_formats"].row(self._db, **_of(scope), id=id, format=FORMAT)
        row = await SQL["add"].row(
            self._db,
            **_of(scope),
            id=id,
            labelling_key=new.labelling_key,
            key=new.key,
            size_bytes=new.size_bytes,
            row_count=new.row_count,
            format=FORMAT,
        )
        return row is not None

    async def at(self, scope: Scope, commit: int) -> tuple[HomeFile, ...]:
        """The home files of a snapshot's store files that this release can read."""
        rows = await SQL["at"].rows(self._db, **_of(scope), commit=commit, format=FORMAT)
        return tuple(HomeFile(**row) for row in rows)


def _of(scope: Scope) -> dict[str, object]:
    return {"sandbox_id": scope.sandbox_id, "organisation_id": scope.organisation_id}
