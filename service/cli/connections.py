"""One HTTP connection, and who looks after all of them: how many, how slow, how malformed.

The HTTP library parses and keeps connections alive. Here is what it leaves open: a peer that
sends its head or its body a byte at a time, or does not take its answer, is cut off; a head that
is no HTTP is answered in the one body that every refusal has, and leaves a line in the log
rather than a trace. Connections are looked at together once in a while: a timer for each would
be started and stopped in every call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from catalog.errors import Refusal, TooSlow
from service.surfaces.adobe.errors import from_http, problem
from service.surfaces.http import REQUEST_ID, answer, dress
from service.telemetry import CONNECTIONS, CUT_OFF, REQUESTS

LOG = structlog.stdlib.get_logger("service.connections")

#: Of the shortest patience there is a quarter, and at most a second.
_LONGEST_LOOK_SECONDS = 1.0
_LOOKS_PER_PATIENCE = 4


class Doorman:
    """Knows every open connection, lets no more in than may be, and cuts off the slow."""

    def __init__(self, *, most: int, patience: timedelta, slowest_bytes: int) -> None:
        """A body has to bring ``slowest_bytes`` within each ``patience``."""
        self.patience_seconds = patience.total_seconds()
        self.slowest_bytes = slowest_bytes
        self._most = most
        self._inside: set[Connection] = set()

    def let_in(self, connection: Connection) -> bool:
        """Whether there is room for one more; from then on it is looked after."""
        if len(self._inside) >= self._most:
            return False
        self._inside.add(connection)
        CONNECTIONS.set(len(self._inside))
        return True

    def let_out(self, connection: Connection) -> None:
        self._inside.discard(connection)
        CONNECTIONS.set(len(self._inside))

    @asynccontextmanager
    async def at_the_door(self) -> AsyncIterator[None]:
        """Look after the connections for as long as the block lasts."""
        looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(
                min(self.patience_seconds / _LOOKS_PER_PATIENCE, _LONGEST_LOOK_SECONDS)
            )
            now = loop.time()
            for connection in list(self._inside):
                connection.look(now)


class Connection(web.RequestHandler):
    """One connection, as the HTTP library has it, under a doorman's eyes."""

    __slots__ = (
        "_came_bytes",
        "_doorman",
        "_head_began_at",
        "_is_turned_away",
        "_stuck_since",
        "_watched",
        "_window",
    )

    def __init__(self, manager: web.Server, doorman: Doorman, **options: Any) -> None:
        super().__init__(manager, **options)
        self._doorman = doorman
        self._came_bytes = 0
        self._is_turned_away = False
        #: When the first byte of a head came that is not whole yet.
        self._head_began_at: float | None = None
        #: Since when the peer takes nothing of what waits for it.
        self._stuck_since: float | None = None
        #: The call whose body is on its way; and when its window began, at which count of bytes.
        self._watched: web.BaseRequest | None = None
        self._window = (0.0, 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self._doorman.let_in(self):
            self._is_turned_away = self._force_close = True
            assert isinstance(transport, asyncio.Transport)
            transport.write(_crowded())
            transport.close()
            CUT_OFF.labels("crowded").inc()
            return
        self._head_began_at = self._loop.time()
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        if not self._is_turned_away:
            self._doorman.let_out(self)
        self._watched = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._came_bytes += len(data)
        if self._head_began_at is None and self._is_waiting:
            self._head_began_at = self._loop.time()
        super().data_received(data)
        if self._messages or self._current_request is not None:
            self._head_began_at = None

    def pause_writing(self) -> None:
        self._stuck_since = self._loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stuck_since = None
        super().resume_writing()

    def look(self, now: float) -> None:
        """Cut the peer off when it has been too slow. ``now`` is by the loop's clock."""
        patience = self._doorman.patience_seconds
        if self.transport is None:
            return
        if self._stuck_since is not None and now - self._stuck_since > patience:
            CUT_OFF.labels("slow reader").inc()
            self.transport.abort()
        elif self._is_waiting:
            if self._head_began_at is not None and now - self._head_began_at > patience:
                self._give_up_on_the_head()
        else:
            self._head_began_at = None
            self._look_at_the_body(now)

    @property
    def _is_waiting(self) -> bool:
        """Whether no call is being answered and none has come whole."""
        return self._waiter is not None and not self._waiter.done()

    def _give_up_on_the_head(self) -> None:
        CUT_OFF.labels("slow head").inc()
        if self._came_bytes and self.transport is not None:
            self.transport.write(_late())
        self.force_close()

    def _look_at_the_body(self, now: float) -> None:
        """Refuse the rest of a body that comes too slowly, unless it is us who do not read it."""
        request, (since, count) = self._current_request, self._window
        if request is None or request.content.is_eof():
            self._watched = None
            return
        is_ours_to_read = self._reading_paused or self._buffer_paused
        if request is not self._watched or is_ours_to_read:
            self._watched, self._window = request, (now, self._came_bytes)
        elif now - since > self._doorman.patience_seconds:
            if self._came_bytes - count < self._doorman.slowest_bytes:
                CUT_OFF.labels("slow body").inc()
                request.content.set_exception(TooSlow("the rest of the body did not come in time"))
            self._window = (now, self._came_bytes)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP in the body of every refusal. Its bytes stay out of the log.

        So is a call that the library itself could not digest, and never handed to us: it has
        no id yet.
        """
        if not isinstance(exc, HttpProcessingError) and REQUEST_ID in request:
            return super().handle_error(request, status, exc, message)
        request[REQUEST_ID] = uuid4().hex
        REQUESTS.labels("", "", HTTPStatus.BAD_REQUEST.value).inc()
        LOG.info("a malformed call", request_id=request[REQUEST_ID], reason=type(exc).__name__)
        detail = f"the head or the framing of the request is malformed: {type(exc).__name__}"
        body = problem(request, HTTPStatus.BAD_REQUEST, code="bad_request", detail=detail)
        response = answer(body, HTTPStatus.BAD_REQUEST)
        dress(response, request[REQUEST_ID])
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; one that the library made by itself in the body of every refusal."""
        if isinstance(resp, web.HTTPError):
            request.setdefault(REQUEST_ID, uuid4().hex)
            resp = from_http(request, resp)
            dress(resp, request[REQUEST_ID])
        return await super().finish_response(request, resp, start_time)

    def log_exception(self, *args: Any, **named: Any) -> None:
        """Leave a trace in the log of defects, and none of what peers do."""
        error = named.get("exc_info")
        if not isinstance(error, Refusal | web.RequestPayloadError | ConnectionError):
            super().log_exception(*args, **named)


def _unasked(status: HTTPStatus, code: str, detail: str, *headers: str) -> Callable[[], bytes]:
    """An answer to a peer whose call was not read: written by ourselves, as the library has none.

    It carries what every answer does.
    """

    def written() -> bytes:
        request_id = uuid4().hex
        body = {
            "type": f"http://ns.adobe.com/adobecloud/problem/{code.replace('_', '-')}",
            "title": f"HTTP {status.value} {status.phrase}",
            "status": status.value,
            "detail": detail,
            "report": {"code": code, "message": detail, "requestId": request_id},
            "error_code": code,
            "message": detail,
        }
        response = answer(body, status)
        dress(response, request_id)
        assert isinstance(response.body, bytes)
        head = [
            f"HTTP/1.1 {status.value} {status.phrase}",
            *(f"{name}: {value}" for name, value in response.headers.items()),
            *headers,
            f"Content-Length: {len(response.body)}",
            "Connection: close",
        ]
        return "\r\n".join([*head, "", ""]).encode() + response.body

    return written


#: What one connection too many is told, whatever it wanted to say.
_crowded = _unasked(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "unavailable",
    "as many connections are open as may be",
    "Retry-After: 1",
)
_late = _unasked(HTTPStatus.REQUEST_TIMEOUT, "too_slow", "the head did not come in time")
