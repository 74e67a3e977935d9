"""Data Access over HTTP: section 4 of the contract sheet."""

from __future__ import annotations

from hashlib import sha256

import aiohttp
import pytest

from catalog.batches import NewDatasetFile
from catalog.store.batches import BatchStore
from tests.builders import a_loaded_batch
from tests.surfaces.client import problem

EXPORT = "/data/foundation/export"
NAME = "part 0.parquet"
CONTENT = bytes(range(256)) * 9000  # more than one piece of the stream


async def an_active_batch(db, scope, files, *contents, name=NAME):
    """A batch whose files hold these bytes."""
    batch = await a_loaded_batch(db, scope)
    new = []
    for number, content in enumerate(contents):
        key = f"jobs/{batch.id}/{number}"
        with files.create(key) as file:
            file.write(content)
        new.append(
            NewDatasetFile(
                batch_id=batch.id,
                name=name,
                key=key,
                size_bytes=len(content),
                row_count=number,
                sha256=sha256(content).hexdigest(),
            )
        )
    await BatchStore(db).activate(batch.job_id, files=new, metrics={})
    return batch


@pytest.fixture
async def batch(db, scope, files):
    return await an_active_batch(db, scope, files, CONTENT)


@pytest.fixture
def url(batch):
    return f"{EXPORT}/files/{batch.id}-1?path=part+0.parquet"


async def test_the_files_of_a_batch_are_listed_as_documented(adobe, running, batch):
    answer = await adobe.get(f"{EXPORT}/batches/{batch.id}/files")
    body = await answer.json()
    (file,) = body["data"]
    assert body == {"data": [file], "_page": {"limit": 100, "count": 1}}
    created = file["created"]
    assert abs(int(created) - batch.created_at.timestamp() * 1000) < 60_000
    assert file == {
        "dataSetFileId": f"{batch.id}-1",
        "dataSetViewId": batch.dataset_id,
        "version": "1.0.0",
        "created": created,
        "updated": created,
        "isValid": True,
        "records": "0",
        "size": str(len(CONTENT)),
        "_links": {"self": {"href": str(running.make_url(f"{EXPORT}/files/{batch.id}-1"))}},
    }


async def test_the_links_lead_from_the_batch_to_the_bytes(adobe, batch):
    listing = await (await adobe.get(f"{EXPORT}/batches/{batch.id}/files")).json()
    described = await follow(adobe, listing["data"][0]["_links"]["self"]["href"])
    (file,) = (await described.json())["data"]
    assert (file["name"], file["length"]) == (NAME, str(len(CONTENT)))
    bytes_of_it = await follow(adobe, file["_links"]["self"]["href"])
    assert await bytes_of_it.read() == CONTENT


async def follow(client, href):
    """Get an absolute link, as a client that knows nothing but the link."""
    answer = await client.session.get(href)
    assert answer.status == 200
    return answer


async def test_links_lead_to_the_host_that_was_asked_and_believe_no_proxy(adobe, batch):
    forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    answer = await adobe.get(
        f"{EXPORT}/files/{batch.id}-1", headers={**forged, "Host": "exports.example:8443"}
    )
    (file,) = (await answer.json())["data"]
    assert file["_links"]["self"]["href"] == (
        f"http://exports.example:8443{EXPORT}/files/{batch.id}-1?path=part%200.parquet"
    )


async def test_a_long_listing_is_walked_by_its_links(adobe, db, scope, files):
    batch = await an_active_batch(db, scope, files, b"a", b"b", b"c", b"d", b"e")
    here = str(adobe.make_url(f"{EXPORT}/batches/{batch.id}/files"))
    found, href, pages = [], f"{here}?limit=2", 0
    while href:
        page = await (await follow(adobe, href)).json()
        assert page["_page"] == {"limit": 2, "count": 5}
        assert page["_links"]["page"] == {
            "href": here + "?start={start}&limit={limit}",
            "templated": True,
        }
        found += [file["dataSetFileId"] for file in page["data"]]
        href = page["_links"].get("next", {}).get("href")
        pages += 1
    assert found == [f"{batch.id}-{number}" for number in range(1, 6)]
    assert pages == 3


async def test_past_the_end_there_is_nothing(adobe, batch):
    answer = await adobe.get(f"{EXPORT}/batches/{batch.id}/files?start=7")
    assert await answer.json() == {"data": [], "_page": {"limit": 100, "count": 1}}


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "start=-1", "start=x"])
async def test_pages_have_a_hundred_files_at_most(adobe, batch, query):
    for path in (f"batches/{batch.id}/files", f"files/{batch.id}-1"):
        answer = await adobe.get(f"{EXPORT}/{path}?{query}")
        assert problem(await answer.json()) == (400, "invalid_field")


async def test_a_batch_that_is_not_active_lists_no_file(adobe, db, scope):
    batch = await a_loaded_batch(db, scope)
    answer = await adobe.get(f"{EXPORT}/batches/{batch.id}/files")
    assert await answer.json() == {"data": [], "_page": {"limit": 100, "count": 0}}


async def test_a_file_is_sent_whole_with_what_describes_it(adobe, url):
    answer = await adobe.get(url)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/parquet"
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["ETag"] == f'"{sha256(CONTENT).hexdigest()}"'
    assert await answer.read() == CONTENT


async def test_a_head_describes_the_file_and_sends_none_of_it(adobe, batch, url):
    answer = await adobe.head(url, headers={"Range": "bytes=0-99"})
    assert answer.status == 200
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Type"] == "application/parquet"
    assert await answer.read() == b""
    assert (await adobe.head(f"{EXPORT}/files/{batch.id}-1")).status == 400


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-99", 0, 100),
        ("bytes=-100", len(CONTENT) - 100, len(CONTENT)),
        ("bytes=1000000-", 1000000, len(CONTENT)),
        ("bytes=5-999999999", 5, len(CONTENT)),
        (f"bytes={len(CONTENT) - 1}-", len(CONTENT) - 1, len(CONTENT)),
    ],
)
async def test_a_range_is_sent_as_part_of_the_file(adobe, url, asked, start, stop):
    answer = await adobe.get(url, headers={"Range": asked})
    assert answer.status == 206
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(CONTENT)}"
    assert answer.headers["Content-Length"] == str(stop - start)
    assert await answer.read() == CONTENT[start:stop]


@pytest.mark.parametrize("asked", [f"bytes={len(CONTENT)}-", "bytes=-0"])
async def test_a_range_beyond_the_end_is_refused_with_the_size(adobe, url, asked):
    answer = await adobe.get(url, headers={"Range": asked})
    assert problem(await answer.json()) == (416, "range_not_satisfiable")
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize("asked", ["bytes=9-5", "bytes=0-1,5-6", "lines=0-1", "bytes=x"])
async def test_a_range_that_means_nothing_is_ignored(adobe, url, asked):
    answer = await adobe.get(url, headers={"Range": asked})
    assert (answer.status, await answer.read()) == (200, CONTENT)


async def test_a_download_goes_on_only_if_the_file_is_still_the_same(adobe, url):
    etag = (await adobe.head(url)).headers["ETag"]
    for known, status in ((etag, 206), ('"other"', 200), (f"W/{etag}", 200)):
        answer = await adobe.get(url, headers={"Range": "bytes=0-9", "If-Range": known})
        assert answer.status == status


async def test_a_file_the_caller_has_is_not_sent_again(adobe, url):
    etag = (await adobe.head(url)).headers["ETag"]
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        answer = await adobe.get(url, headers={"If-None-Match": known})
        assert (answer.status, await answer.read()) == (304, b"")
        assert answer.headers["ETag"] == etag
    assert (await adobe.get(url, headers={"If-None-Match": '"other"'})).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "batches/nothing/files",
        "files/nothing",
        "files/{}-0",
        "files/{}-2",
        "files/{}-01",
        "files/{}-99999999999999999999",
        "files/{}",
        "files/{}-1?path=other.parquet",
        "files/{}-1?path=",
        "files/{}-1?path=../part+0.parquet",
    ],
)
async def test_what_is_not_there_is_not_found(adobe, batch, path):
    answer = await adobe.get(f"{EXPORT}/{path.format(batch.id)}")
    assert problem(await answer.json()) == (404, "not_found")


async def test_another_organisation_finds_no_file(foreign, batch, url):
    for asked in (f"{EXPORT}/batches/{batch.id}/files", f"{EXPORT}/files/{batch.id}-1", url):
        answer = await foreign.get(asked)
        assert problem(await answer.json()) == (404, "not_found")


async def test_a_file_of_a_batch_that_is_not_active_is_not_found(adobe, db, scope):
    batch = await a_loaded_batch(db, scope)
    await db.execute(
        "INSERT INTO dataset_files VALUES ($1, 1, 'early', 'k', 1, 1, '00', now())", batch.id
    )
    for query in ("", "?path=early"):
        answer = await adobe.get(f"{EXPORT}/files/{batch.id}-1{query}")
        assert problem(await answer.json()) == (404, "not_found")


async def test_a_file_that_is_gone_from_the_disk_is_a_defect_and_never_half_an_answer(
    adobe, files, batch, url
):
    files.delete(f"jobs/{batch.id}/0")
    answer = await adobe.get(url)
    assert problem(await answer.json()) == (500, "defect")


async def test_a_file_that_is_cut_off_on_the_disk_breaks_the_answer_off(adobe, files, batch, url):
    key = f"jobs/{batch.id}/0"
    files.delete(key)
    with files.create(key) as file:
        file.write(CONTENT[:-1])
    with pytest.raises(aiohttp.ClientPayloadError):
        await (await adobe.get(url)).read()
