"""The HTTP API as the service's own commands call it: as any other client would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import click
from yarl import URL

from service.cli.access import Access

Document = Mapping[str, Any]

#: A new token is asked for this long before the old one ends.
_TOKEN_MARGIN_SECONDS = 60
#: How often a question is asked again when the service did not answer it, and how long is waited
#: before: half a second, then twice as long each time; a restart takes about two seconds.
_TRIES = 5
_FIRST_PAUSE_SECONDS = 0.5

#: Connecting must be quick, answering need not be: an upload is answered when it is on disk.
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=300)

_ASK_AGAIN = frozenset({502, 503, 504})


class Refused(click.ClickException):
    """The service said no. One line, with the id under which the service logged the call."""

    def __init__(self, status: int, body: object) -> None:
        said = body if isinstance(body, Mapping) else {}
        report = said.get("report") if isinstance(said.get("report"), Mapping) else {}
        self.status = status
        self.report: Mapping[str, Any] = report or {}
        self.code = str(report.get("code", said.get("error", "")) if report else "")
        message = said.get("detail") or said.get("error_description") or said.get("message")
        request_id = report.get("requestId") if report else None
        where = f"{status}, request {request_id}" if request_id else f"{status}"
        super().__init__(f"{message or 'the service gave no reason'} ({where})")


class Unreachable(click.ClickException):
    """Nobody answers at the address."""


@dataclass(slots=True)
class _Token:
    text: str
    #: By the monotonic clock.
    good_until: float


class Service:
    """One service, called as one client of it. Made by :meth:`connect`."""

    def __init__(self, access: Access, session: aiohttp.ClientSession) -> None:
        self.access = access
        self._session = session
        self._base = URL(access.base_url)
        self._token: _Token | None = None
        self._asking = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def connect(cls, access: Access) -> AsyncIterator[Self]:
        """Lend a client. Nothing is sent before the first call."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            yield cls(access, session)

    async def get(self, path: str, query: Mapping[str, str | int] | None = None) -> Any:
        """Ask for a document. Asked again a few times when the service is away for a moment."""
        for attempt in range(_TRIES):
            try:
                return await self._call("GET", path, query=query)
            except (Refused, Unreachable) as problem:
                passes = not isinstance(problem, Refused) or problem.status in _ASK_AGAIN
                if not passes or attempt == _TRIES - 1:
                    raise
            await asyncio.sleep(_FIRST_PAUSE_SECONDS * 2**attempt)
        raise AssertionError("the last try answers or raises")

    async def head(self, path: str, query: Mapping[str, str]) -> Mapping[str, str]:
        """Ask for the headers of a file."""
        url = self._url(path, query)
        try:
            async with self._session.head(url, headers=await self._headers()) as response:
                if not response.ok:
                    raise Refused(response.status, None)
                return response.headers
        except aiohttp.ClientConnectionError as problem:
            raise self._unreachable(problem) from problem

    async def post(
        self,
        path: str,
        body: object = None,
        query: Mapping[str, str | int] | None = None,
        *,
        is_trial: bool = False,
    ) -> Any:
        """Create something, or ask; as a trial, have it checked only."""
        headers = {"Pragma": "validate-only"} if is_trial else None
        return await self._call("POST", path, query=query, headers=headers, json=body)

    async def patch(self, path: str, body: object) -> Any:
        return await self._call("PATCH", path, json=body)

    async def delete(self, path: str) -> Any:
        return await self._call("DELETE", path)

    async def upload(self, path: str, content: AsyncIterator[bytes], size_bytes: int) -> None:
        """Send a file of known length, without ever holding it whole."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size_bytes),
        }
        await self._call("PUT", path, data=content, headers=headers)

    async def upload_part(
        self,
        path: str,
        content: AsyncIterator[bytes],
        size_bytes: int,
        *,
        start: int,
        whole_bytes: int,
    ) -> None:
        """Send one part of a file that was announced as a large one."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size_bytes),
            "Content-Range": f"bytes {start}-{start + size_bytes - 1}/{whole_bytes}",
        }
        await self._call("PATCH", path, data=content, headers=headers)

    @asynccontextmanager
    async def download(
        self, path: str, query: Mapping[str, str], *, start: int = 0
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a file for reading from a byte on. The answer's body is the caller's to read.

        A connection that fails or breaks raises :class:`aiohttp.ClientError`: whoever reads knows
        how far it came.
        """
        headers = await self._headers()
        if start:
            headers["Range"] = f"bytes={start}-"
        async with self._session.get(self._url(path, query), headers=headers) as response:
            if not response.ok:
                raise Refused(response.status, await _body(response))
            yield response

    async def token(self) -> str:
        """A token that is good for at least a minute."""
        async with self._asking:
            if self._token is None or self._token.good_until < time.monotonic():
                self._token = await self._ask_for_token()
            return self._token.text

    async def _ask_for_token(self) -> _Token:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.access.client_id,
            "client_secret": self.access.client_secret,
        }
        try:
            async with self._session.post(self._url("/ims/token/v3"), data=form) as response:
                body = await _body(response)
        except aiohttp.ClientError as problem:
            raise self._unreachable(problem) from problem
        if not response.ok:
            raise Refused(response.status, body)
        lasts = float(body["expires_in"]) - _TOKEN_MARGIN_SECONDS
        return _Token(body["access_token"], time.monotonic() + lasts)

    async def _headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {await self.token()}",
            "x-api-key": self.access.client_id,
            "x-gw-ims-org-id": self.access.org_id,
            "x-sandbox-name": self.access.sandbox,
            # Only GrowingIO's dialect heeds it, and would speak Chinese without.
            "language": "US",
        }

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        **what: Any,
    ) -> Any:
        sent = {**await self._headers(), **(headers or {})}
        url = self._url(path, query)
        try:
            async with self._session.request(method, url, headers=sent, **what) as response:
                body = await _body(response)
        except aiohttp.ClientError as problem:
            raise self._unreachable(problem) from problem
        if not response.ok:
            raise Refused(response.status, body)
        return body

    def _url(self, path: str, query: Mapping[str, str | int] | None = None) -> URL:
        url = self._base.joinpath(path.lstrip("/"), encoded=True)
        return url.with_query(dict(query)) if query else url

    def _unreachable(self, problem: Exception) -> Unreachable:
        reason = problem if str(problem) else type(problem).__name__
        return Unreachable(f"no answer from {self.access.base_url}: {reason}")


async def _body(response: aiohttp.ClientResponse) -> Any:
    """The answer's JSON, or nothing where there is none."""
    if not response.content_type.endswith("json"):
        await response.read()
        return None
    return await response.json(content_type=None)
