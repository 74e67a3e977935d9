"""Files of a batch that are brought into a folder."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import click
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from service.cli.access import Access
from service.cli.api import Service
from service.cli.downloads import Fetched, Remote, fetch, list_files

CLIENT = "client"
CONTENT = bytes(range(256)) * 5_000


@dataclass
class Batch:
    """A batch on a server that does nothing else but serve it, and may be told to misbehave."""

    files: dict[str, bytes] = field(default_factory=dict)
    #: What was asked for: method, name, range.
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    #: The next download ends after so many bytes.
    breaks_after: int | None = None
    says_sha256: str | None = None

    async def token(self, _request: web.Request) -> web.Response:
        return web.json_response({"access_token": "t", "expires_in": 3600})

    async def listing(self, request: web.Request) -> web.Response:
        start = int(request.query["start"])
        entries = [{"dataSetFileId": f"b-{number}"} for number in range(len(self.files))]
        return web.json_response(
            {"data": entries[start : start + 2], "_page": {"limit": 2, "count": len(entries)}}
        )

    async def file(self, request: web.Request) -> web.StreamResponse:
        name = list(self.files)[int(request.match_info["id"].removeprefix("b-"))]
        content = self.files[name]
        if "path" not in request.query:
            entry = {"name": name, "length": str(len(content))}
            return web.json_response({"data": [entry], "_page": {"limit": 100, "count": 1}})
        asked = request.headers.get("Range", "")
        self.calls.append((request.method, name, asked))
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        sha256 = self.says_sha256 or hashlib.sha256(content).hexdigest()
        response = web.StreamResponse(status=206 if start else 200, headers={"ETag": f'"{sha256}"'})
        response.content_length = len(content) - start
        await response.prepare(request)
        if request.method == "GET":
            until = len(content)
            if self.breaks_after is not None:
                until, self.breaks_after = start + self.breaks_after, None
            await response.write(content[start:until])
            if until < len(content):
                assert request.transport is not None
                request.transport.close()
        return response

    def downloads(self) -> list[tuple[str, str]]:
        return [(name, asked) for method, name, asked in self.calls if method == "GET"]


@pytest.fixture
def batch() -> Batch:
    return Batch(files={"part-00000.parquet": CONTENT})


@pytest.fixture
async def service(batch: Batch) -> AsyncIterator[Service]:
    app = web.Application()
    app.add_routes(
        [
            web.post("/ims/token/v3", batch.token),
            web.get("/data/foundation/export/batches/{id}/files", batch.listing),
            web.get("/data/foundation/export/files/{id}", batch.file),
        ]
    )
    async with TestServer(app) as server:
        access = Access(
            base_url=str(server.make_url("/")).rstrip("/"),
            org_id="o",
            client_id=CLIENT,
            client_secret=CLIENT,
        )
        async with Service.connect(access) as service:
            yield service


async def fetch_all(service: Service, folder) -> tuple[list[Fetched], list[int]]:
    seen: list[int] = []
    files = await list_files(service, "b")
    return await fetch(service, files, folder, on_bytes=seen.append), seen


async def test_every_file_of_every_page_is_fetched(service, batch, tmp_path):
    batch.files = {f"part-{number}.parquet": bytes([number]) * 1000 for number in range(5)}
    fetched, seen = await fetch_all(service, tmp_path)
    assert {file.path.name: file.path.read_bytes() for file in fetched} == batch.files
    assert sum(seen) == 5000


async def test_a_second_run_fetches_nothing_again(service, batch, tmp_path):
    await fetch_all(service, tmp_path)
    batch.calls.clear()
    (fetched,), seen = await fetch_all(service, tmp_path)
    assert fetched.was_there
    assert sum(seen) == len(CONTENT)
    assert batch.downloads() == []


async def test_another_file_of_the_same_length_is_replaced(service, tmp_path):
    (tmp_path / "part-00000.parquet").write_bytes(b"x" * len(CONTENT))
    (fetched,), _ = await fetch_all(service, tmp_path)
    assert not fetched.was_there
    assert fetched.path.read_bytes() == CONTENT


async def test_a_download_that_broke_goes_on_where_it_broke(service, batch, tmp_path):
    batch.breaks_after = 300_000
    (fetched,), seen = await fetch_all(service, tmp_path)
    assert fetched.path.read_bytes() == CONTENT
    assert sum(seen) == len(CONTENT)
    first, second = batch.downloads()
    assert first == ("part-00000.parquet", "")
    assert 0 < int(second[1].removeprefix("bytes=").removesuffix("-")) <= 300_000


async def test_what_an_interrupted_run_left_is_gone_on_with(service, batch, tmp_path):
    (tmp_path / ".part-00000.parquet.b-0.partial").write_bytes(CONTENT[:1000])
    (fetched,), _ = await fetch_all(service, tmp_path)
    assert fetched.path.read_bytes() == CONTENT
    assert batch.downloads() == [("part-00000.parquet", "bytes=1000-")]
    assert [path.name for path in tmp_path.iterdir()] == ["part-00000.parquet"]


async def test_what_arrives_damaged_is_not_kept(service, batch, tmp_path):
    batch.says_sha256 = "0" * 64
    with pytest.raises(click.ClickException, match="arrived damaged"):
        await fetch_all(service, tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_a_file_of_another_length_than_announced_is_not_kept(service, tmp_path):
    remote = Remote(file_id="b-0", name="part-00000.parquet", size_bytes=len(CONTENT) + 1)
    with pytest.raises(click.ClickException, match="were announced"):
        await fetch(service, [remote], tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../part.parquet", "/etc/part.parquet", "a/b.parquet", ".."])
async def test_a_server_cannot_choose_another_folder(service, batch, tmp_path, name):
    batch.files = {name: b"x"}
    with pytest.raises(click.ClickException, match="that is no file name"):
        await fetch_all(service, tmp_path / "folder")
    assert list((tmp_path / "folder").iterdir()) == []
