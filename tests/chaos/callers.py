"""Callers of the service: they ingest, export, cancel and download, and try again as one does."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from random import Random
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import aiohttp

from catalog.schemas import EVENT_CLASS, PROFILE_CLASS, PROFILE_UNION
from tests.chaos.ledger import AskedJob, Ledger, SentBatch
from tests.chaos.plan import Moment
from tests.chaos.samples import CLICK_FILES, PEOPLE_FILES, Variant

IMPORT = "/data/foundation/import/batches"
EXPORT = "/data/foundation/export"
CATALOG = "/data/foundation/catalog"
REGISTRY = "/data/foundation/schemaregistry/tenant"
JOBS = "/data/core/ups/export/jobs"

STITCHED = "timestampOrdered-pdg-mp"
ALONE = "timestampOrdered-none-mp"
#: Between two looks at something that is not over.
POLL_SECONDS = 0.25
#: A call that is not answered is made again; one that is not answered for so long is a violation.
CALL_SECONDS = 10
GIVE_UP_SECONDS = 300
#: What a caller repeats: nothing was done, or nobody knows.
TRY_AGAIN = {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}
#: Batches that are kept active of each kind: more would only make every export slower.
MOST_ACTIVE = 5
#: Of all jobs and of all batches.
CANCELLED_SHARE = 0.3
GIVEN_UP_SHARE = 0.15
#: Of all reverts those of any batch, for which the store must often be made anew.
YOUNGER_SHARE = 0.4

ENDED = {"SUCCEEDED", "FAILED", "CANCELLED"}


class Refused(Exception):
    """An answer that is no success, for who expects it."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status} {body}")
        self.status = status


class Callers:
    """All callers of one run, who share one client and one ledger."""

    def __init__(self, base_url: str, credentials: dict[str, str], seed: int) -> None:
        self.ledger = Ledger()
        self.in_progress: Counter[Moment] = Counter()
        self._base_url = base_url
        self._headers = {
            "Authorization": f"Bearer {credentials['access_token']}",
            "x-api-key": credentials["client_id"],
            "x-gw-ims-org-id": credentials["org_id"],
            "x-sandbox-name": credentials["sandbox"],
        }
        self._seed = seed
        self._session: aiohttp.ClientSession | None = None
        self._datasets: dict[str, str] = {}
        self._destination = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._is_over = asyncio.Event()
        #: When somebody last had an answer that counts, by :func:`time.monotonic`.
        self.answered_at = time.monotonic()

    async def prepare(self) -> None:
        """Make the data sets and fill them with as much as stays in them; nothing is attacked."""
        self._session = aiohttp.ClientSession(
            self._base_url,
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=CALL_SECONDS),
        )
        nickname = {"nickname": {"type": "string"}}
        people = await self._schema("People", PROFILE_CLASS, nickname)
        clicks = await self._schema("Clicks", EVENT_CLASS, {})
        self._datasets = {
            "people": await self._dataset("people", people),
            "clicks": await self._dataset("clicks", clicks),
        }
        self._destination = await self._dataset("exported", PROFILE_UNION)
        sent = [await self._ingest(variant) for variant in (*PEOPLE_FILES, *CLICK_FILES)]
        for id in sent:
            if await self._follow_batch(id) != "success":
                raise RuntimeError(f"batch {id} failed before anything was attacked")

    def start(self) -> None:
        """Let everybody call until :meth:`finish`."""
        doing = [self._ingesting] * 2 + [self._exporting] * 3 + [self._reading, self._snooping]
        self._tasks = [
            asyncio.create_task(self._until_over(each, Random(f"chaos {self._seed} caller {n}")))
            for n, each in enumerate(doing)
        ]

    async def finish(self) -> None:
        """Begin nothing new, and follow what was begun to its end."""
        self._is_over.set()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                self.ledger.accuse(f"a caller gave up: {ended!r}")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _until_over(self, do: Callable[[Random], Awaitable[None]], rng: Random) -> None:
        while not self._is_over.is_set():
            await do(rng)
            await asyncio.sleep(rng.uniform(0, 0.3))

    async def _ingesting(self, rng: Random) -> None:
        variant = rng.choice((*PEOPLE_FILES, *CLICK_FILES))
        id = await self._ingest(variant, give_up=rng.random() < GIVEN_UP_SHARE, rng=rng)
        await self._follow_batch(id)
        active = [
            id
            for id, sent in self.ledger.batches.items()
            if sent.variant.kind == variant.kind and sent.is_completed
            if not (sent.is_reverted or sent.is_given_up)
        ]
        # Some stay of each kind: exports would have nothing to do.
        while len(active) > MOST_ACTIVE:
            is_any = rng.random() < YOUNGER_SHARE
            await self._revert(active.pop(rng.randrange(len(active)) if is_any else 0))

    async def _ingest(
        self, variant: Variant, *, give_up: bool = False, rng: Random | None = None
    ) -> str:
        dataset_id = self._datasets[variant.kind]
        new = {"datasetId": dataset_id, "inputFormat": {"format": "json"}}
        with self._doing(Moment.OPENING):
            id: str = (await self.call("POST", IMPORT, new, is_once=True))["id"]
        sent = self.ledger.batches[id] = SentBatch(variant=variant)
        path = f"{IMPORT}/{id}/datasets/{dataset_id}/files/rows.json"
        with self._doing(Moment.UPLOADING):
            await self.call("PUT", path, variant.content())
        with self._doing(Moment.COMPLETING):
            await self.call("POST", f"{IMPORT}/{id}?action=COMPLETE")
        sent.is_completed = True
        if give_up and rng is not None:
            await asyncio.sleep(rng.expovariate(2))
            try:
                await self.call("POST", f"{IMPORT}/{id}?action=ABORT", expect=(409,))
            except Refused:
                return id  # it was active before we could
            sent.is_given_up = True
        return id

    async def _follow_batch(self, id: str) -> str:
        """Wait until a batch has ended; return how."""
        while True:
            shown = (await self.call("GET", f"{CATALOG}/batches/{id}"))[id]
            if shown["status"] in {"success", "failed", "aborted"}:
                if shown["status"] == "success" and self.ledger.batches[id].is_given_up:
                    self.ledger.accuse(f"batch {id} was given up and is active")
                return str(shown["status"])
            await asyncio.sleep(POLL_SECONDS)

    async def _revert(self, id: str) -> None:
        self.ledger.batches[id].is_reverted = True
        try:
            await self.call("POST", f"{IMPORT}/{id}?action=REVERT", expect=(409,))
        except Refused:
            self.ledger.batches[id].is_reverted = False  # it failed: there is nothing to revert

    async def export(self) -> str:
        """Export once and wait for the end; return it."""
        id, job = await self._submit(stitched=True, events=True)
        await self._follow_job(id, job)
        return job.shown[-1]

    async def _exporting(self, rng: Random) -> None:
        id, job = await self._submit(stitched=rng.random() < 0.6, events=rng.random() < 0.6)
        if rng.random() < CANCELLED_SHARE:
            await asyncio.sleep(rng.expovariate(0.7))
            await self._cancel(id, job)
        await self._follow_job(id, job)
        if job.shown[-1] == "SUCCEEDED":
            await self._download(job.batch_id, rng)
        else:
            await self._find_nothing(job.batch_id)

    async def _submit(self, *, stitched: bool, events: bool) -> tuple[int, AskedJob]:
        order: dict[str, Any] = {
            "destination": {"datasetId": self._destination},
            "schema": {"name": "_xdm.context.profile"},
            "mergePolicy": {"id": STITCHED if stitched else ALONE},
        }
        if events:
            order["additionalFields"] = {"eventList": {}}
        with self._doing(Moment.SUBMITTING):
            shown = await self.call("POST", JOBS, order, is_once=True)
        id, batch_id = int(shown["id"]), str(shown["destination"]["batchId"])
        job = AskedJob(batch_id=batch_id, is_stitched=stitched, has_events=events)
        self.ledger.jobs[id] = job
        return id, job

    async def _cancel(self, id: int, job: AskedJob) -> None:
        with self._doing(Moment.CANCELLING):
            try:
                await self.call("DELETE", f"{JOBS}/{id}", expect=(409,))
            except Refused:
                return  # it had ended
        job.is_cancelled = True

    async def _follow_job(self, id: int, job: AskedJob) -> None:
        while True:
            status = (await self.call("GET", f"{JOBS}/{id}"))["status"]
            before = job.shown[-1] if job.shown else None
            if status != before:
                if before in ENDED:
                    self.ledger.accuse(f"job {id} was {before} and became {status}")
                job.shown.append(status)
            if job.is_cancelled and status != "CANCELLED":
                self.ledger.accuse(f"job {id} was cancelled and is {status}")
            if status in ENDED:
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _reading(self, rng: Random) -> None:
        """Read again what somebody has read: it never changes."""
        known = sorted({batch_id for batch_id, _ in self.ledger.downloads})
        if known:
            await self._download(rng.choice(known), rng)

    async def _download(self, batch_id: str, rng: Random) -> None:
        for entry in (await self.call("GET", f"{EXPORT}/batches/{batch_id}/files"))["data"]:
            id = entry["dataSetFileId"]
            (file,) = (await self.call("GET", f"{EXPORT}/files/{id}"))["data"]
            path = f"{EXPORT}/files/{id}?path={quote(file['name'])}"
            with self._doing(Moment.DOWNLOADING):
                content = await self._fetched(
                    path, int(file["length"]), in_parts=rng.random() < 0.5
                )
            if len(content) != int(file["length"]):
                self.ledger.accuse(f"{path} has {len(content)} bytes, not {file['length']}")
            digest = hashlib.sha256(content).hexdigest()
            if self.ledger.downloads.setdefault((batch_id, file["name"]), digest) != digest:
                self.ledger.accuse(f"{path} changed between two downloads")
            self.ledger.download_count += 1

    async def _fetched(self, path: str, length: int, *, in_parts: bool) -> bytes:
        if not in_parts or length < 2:
            return await self.bytes_of(path)
        half = length // 2
        first = await self.bytes_of(path, Range=f"bytes=0-{half - 1}")
        return first + await self.bytes_of(path, Range=f"bytes={half}-")

    async def _snooping(self, rng: Random) -> None:
        """Look for files of a job that did not succeed, at whatever moment it is."""
        if not self.ledger.jobs:
            return
        id, job = rng.choice(list(self.ledger.jobs.items())[-6:])
        listed = await self.call("GET", f"{EXPORT}/batches/{job.batch_id}/files")
        if not listed["data"]:
            return
        status = (await self.call("GET", f"{JOBS}/{id}"))["status"]
        if status != "SUCCEEDED":
            self.ledger.accuse(f"batch {job.batch_id} shows files and job {id} is {status}")

    async def _find_nothing(self, batch_id: str) -> None:
        listed = await self.call("GET", f"{EXPORT}/batches/{batch_id}/files")
        if listed["data"]:
            self.ledger.accuse(f"batch {batch_id} did not succeed and shows files")
        try:
            await self.call("GET", f"{EXPORT}/files/{batch_id}-1", expect=(404,))
        except Refused:
            return
        self.ledger.accuse(f"batch {batch_id} did not succeed and its first file is described")

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        expect: tuple[int, ...] = (),
        is_once: bool = False,
    ) -> Any:
        """Call until there is an answer that counts; return its JSON. ``expect`` is raised.

        With ``is_once`` all repeats of the call together make one thing.
        """
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        media = {"Content-Type": "application/octet-stream"} if isinstance(body, bytes) else {}
        key = {"Idempotency-Key": uuid4().hex} if is_once else {}
        status, content = await self._answered(method, path, sent, media | key)
        if status >= 400:
            if status not in expect:
                self.ledger.accuse(f"{method} {_route(path)}: {status} {content}")
            raise Refused(status, content)
        return content

    async def bytes_of(self, path: str, **headers: str) -> bytes:
        status, content = await self._answered("GET", path, {}, headers)
        if status >= 400 or not isinstance(content, bytes):
            self.ledger.accuse(f"GET {path}: {status} {content!r}")
            raise Refused(status, content)
        return content

    async def _answered(
        self, method: str, path: str, sent: dict[str, Any], headers: dict[str, str]
    ) -> tuple[int, Any]:
        assert self._session is not None
        name = f"{method} {_route(path)}"
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while True:
                try:
                    async with self._session.request(
                        method, path, **sent, headers=headers
                    ) as answer:
                        is_json = answer.content_type == "application/json"
                        content = await (answer.json() if is_json else answer.read())
                except (aiohttp.ClientError, TimeoutError, OSError):
                    self.ledger.answers[name, 0] += 1
                else:
                    self.ledger.answers[name, answer.status] += 1
                    if answer.status not in TRY_AGAIN:
                        self.answered_at = time.monotonic()
                        return answer.status, content
                await asyncio.sleep(POLL_SECONDS)

    @contextmanager
    def _doing(self, moment: Moment) -> Iterator[None]:
        self.in_progress[moment] += 1
        try:
            yield
        finally:
            self.in_progress[moment] -= 1

    async def _schema(self, title: str, class_id: str, properties: dict[str, Any]) -> str:
        inline = {"type": "object", "properties": properties}
        document = {"title": title, "type": "object", "allOf": [{"$ref": class_id}, inline]}
        id = str((await self.call("POST", f"{REGISTRY}/schemas", document))["$id"])
        union = [{"op": "add", "path": "/meta:immutableTags", "value": ["union"]}]
        await self.call("PATCH", f"{REGISTRY}/schemas/{quote(id, safe='')}", union)
        return id

    async def _dataset(self, name: str, schema_id: str) -> str:
        content = "application/vnd.adobe.xed+json;version=1"
        document = {
            "name": name,
            "schemaRef": {"id": schema_id, "contentType": content},
            "tags": {"unifiedProfile": ["enabled:true"], "unifiedIdentity": ["enabled:true"]}
            if schema_id != PROFILE_UNION
            else {},
        }
        (reference,) = await self.call("POST", f"{CATALOG}/dataSets", document)
        return str(reference).rpartition("/")[2]


def _route(path: str) -> str:
    """A path without what is particular in it, for counting."""
    bare = path.partition("?")[0]
    return "/".join("{id}" if any(map(str.isdigit, part)) else part for part in bare.split("/"))
