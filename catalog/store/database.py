"""Connections to PostgreSQL: the pool, its codecs, and the transactions stores run in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Any, Self, TypeAlias, TypeVar

import asyncpg

from catalog.errors import OutcomeUnknown, Refusal, Unavailable
from catalog.store.obstacles import Obstacle

Record = asyncpg.Record
# The names only annotate, and asyncpg's classes take their argument in the stubs alone.
Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)

Answer = TypeVar("Answer")

_Lent: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

_Around: TypeAlias = "tuple[asyncio.Task[Any] | None, Database | None, Connection | None]"

#: What sessions of a pool are called at the server.
APPLICATION = "profile-exports"

#: What a connection looks like whose other end has gone.
_LOST = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    # The server's last words have come, and the end of the connection has not yet.
    asyncpg.InternalClientError,
)

#: A server that starts up answers within seconds that it does.
_PATIENCE_SECONDS = 15
#: A statement that takes longer is one that nobody will answer.
_STATEMENT_SECONDS = 60
#: To be told that a transaction was undone is a courtesy: closing the connection undoes it too.
_UNDO_SECONDS = 2


async def prepare(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Teach a fresh connection that documents are values here and JSON there."""
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind, encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
        )


async def _leave(_connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Give a connection back as it is, which saves a round trip for every transaction.

    Stores leave nothing in a session: what they set or lock is the transaction's.
    """


@asynccontextmanager
async def connected(**where: Any) -> AsyncIterator[Connection]:
    """Lend a connection outside any pool, in no transaction; ``where`` as for a pool.

    Raises :class:`Obstacle` when the server cannot be reached: nothing was asked of it yet.
    """
    try:
        connection = await asyncpg.connect(**where, timeout=_PATIENCE_SECONDS)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise Obstacle(f"the database cannot be reached: {error}") from error
    try:
        await prepare(connection)
        yield connection
    finally:
        await connection.close()


#: The task that opened a transaction for all it does, the database, and the connection.
_AROUND: ContextVar[_Around] = ContextVar("around", default=(None, None, None))


class Database:
    """A pool of connections to the one database of a deployment."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool
        self._afterwards: dict[Connection, list[Callable[[], None]]] = {}

    @classmethod
    async def connect(cls, *, most: int = 10, **where: Any) -> Self:
        """Open a pool. ``where`` is what :func:`asyncpg.connect` takes: a dsn, or host and user."""
        pool = await asyncpg.create_pool(
            **where,
            server_settings={"application_name": APPLICATION},
            min_size=1,
            max_size=most,
            init=prepare,
            reset=_leave,
            command_timeout=_STATEMENT_SECONDS,
        )
        return cls(pool)

    async def close(self) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction: what is written is seen whole, or not at all.

        Refuses with Unavailable, nothing having been done, when the server cannot be reached or
        goes away before the end; with OutcomeUnknown when it goes away at the end. Inside of
        :meth:`together` it is a part of that transaction.
        """
        if (around := self._around()) is not None:
            yield around
            return
        connection, transaction = await self._begin()
        try:
            try:
                yield connection
            except BaseException as error:
                await _undo(connection, transaction)
                if _is_loss(connection, error):
                    raise Unavailable("the database went away") from error
                raise
            try:
                await transaction.commit()
            except Exception as error:
                if _is_loss(connection, error):
                    _close(connection)
                    raise OutcomeUnknown(
                        "the database went away while this was made for good: look whether it was"
                    ) from error
                raise
            for do in self._afterwards.get(connection, ()):
                do()
        finally:
            self._afterwards.pop(connection, None)
            await self._pool.release(connection)

    def afterwards(self, db: Connection, do: Callable[[], None]) -> None:
        """Have something done as soon as the transaction of a connection is made for good."""
        self._afterwards.setdefault(db, []).append(do)

    @asynccontextmanager
    async def together(self) -> AsyncIterator[Connection]:
        """Open a transaction, and make those that are opened inside of the block parts of it.

        The whole is kept or undone at the block's end, so what a part raises must leave the block:
        parts have no savepoints, which would cost two round trips each. For the task that opens
        it: what runs beside it has transactions of its own.
        """
        async with self.transaction() as db:
            before = _AROUND.set((asyncio.current_task(), self, db))
            try:
                yield db
            finally:
                _AROUND.reset(before)

    def is_together(self) -> bool:
        """Whether this task is inside of :meth:`together`."""
        return self._around() is not None

    def _around(self) -> Connection | None:
        """The transaction this task is in already, if it is one of this database."""
        task, database, connection = _AROUND.get()
        is_ours = database is self and task is asyncio.current_task()
        return connection if is_ours else None

    async def read(self, ask: Callable[[Connection], Awaitable[Answer]]) -> Answer:
        """Answer a question that is one statement: outside of a transaction, which it needs not.

        The statement is asked anew on another connection when its own was lost, so it must
        change nothing. Refuses with Unavailable as :meth:`transaction` does.
        """
        if (around := self._around()) is not None:
            return await ask(around)
        for _ in range(self._pool.get_max_size()):
            connection = await self._lent()
            try:
                return await ask(connection)
            except Exception as error:
                if not _is_loss(connection, error):
                    raise
                _close(connection)
                if isinstance(error, TimeoutError):
                    raise Unavailable("the database does not answer") from error
            finally:
                await self._pool.release(connection)
        raise Unavailable("the database closed every connection")

    async def _lent(self) -> _Lent:
        try:
            return await self._pool.acquire()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise Unavailable("the database cannot be reached") from error

    async def _begin(self) -> tuple[_Lent, asyncpg.transaction.Transaction]:
        """Open a transaction on a connection that works.

        The pool does not ask whether an idle connection survived: opening the transaction does,
        and until that has succeeded nothing is lost by trying with the next one.
        """
        for _ in range(self._pool.get_max_size()):
            connection = await self._lent()
            transaction = connection.transaction()
            try:
                await transaction.start()
            except (*_LOST, TimeoutError):
                _close(connection)
                await self._pool.release(connection)
            except BaseException:
                _close(connection)  # a transaction may have begun on it that nobody ends
                await self._pool.release(connection)
                raise
            else:
                return connection, transaction
        raise Unavailable("the database closed every connection")


@asynccontextmanager
async def tried(db: Connection, *, is_trial: bool) -> AsyncIterator[None]:
    """Do a part of a transaction, and undo it again at its end when it was a trial.

    Refusals come all the same, and undo the whole transaction.
    """
    savepoint = db.transaction()
    await savepoint.start()
    yield
    if is_trial:
        await savepoint.rollback()
    else:
        await savepoint.commit()


async def _undo(connection: _Lent, transaction: asyncpg.transaction.Transaction) -> None:
    """Roll back, or close a connection on which that does not come through at once.

    Whoever was cancelled because the server is silent must not wait for that server again.
    """
    try:
        async with asyncio.timeout(_UNDO_SECONDS):
            await transaction.rollback()
    except BaseException as error:
        _close(connection)
        if not isinstance(error, Exception):
            raise


def _is_loss(connection: _Lent, error: BaseException) -> bool:
    """Whether a transaction failed because its server or the way there was lost."""
    if isinstance(error, Refusal) or not isinstance(error, Exception):
        return False
    if isinstance(error, TimeoutError | asyncpg.PostgresConnectionError):
        return True
    if isinstance(
        error,
        asyncpg.AdminShutdownError | asyncpg.CrashShutdownError | asyncpg.InternalClientError,
    ):
        return True
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # the pool took it back in the moment in which it was lost
        return True


def _close(connection: _Lent) -> None:
    with suppress(asyncpg.InterfaceError):  # as above
        connection.terminate()
