"""Files of a batch over HTTP: what is taken, what is refused, and what is left of them."""

from __future__ import annotations

import asyncio
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from service.storage import streams
from tests.builders import a_dataset
from tests.surfaces.client import problem
from tests.surfaces.uploading import (
    LIMIT,
    act,
    batch,
    batches,
    dataset_id,
    file_url,
    kept,
    put,
    settings,
    stored,
)

__all__ = ["batch", "batches", "dataset_id", "settings"]


async def test_an_upload_is_answered_with_an_empty_object(adobe, db, settings, batch):
    answer = await put(adobe, batch, b"hello")
    assert (answer.status, await answer.json()) == (200, {})
    assert await kept(db, batch) == {"a.parquet": 5}
    assert stored(settings) == [b"hello"]


@hypothesis(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.binary(max_size=LIMIT), is_chunked=st.booleans())
async def test_any_bytes_come_back_as_they_were_sent(adobe, db, settings, batch, data, is_chunked):
    async def chunks():
        for start in range(0, len(data), 1000):
            yield data[start : start + 1000]

    answer = await put(adobe, batch, chunks() if is_chunked else data)
    assert answer.status == 200
    assert stored(settings) == [data]
    assert await db.fetchval("SELECT sha256 FROM uploads") == sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ("part1=a/part2=b/x.parquet", "part1=a/part2=b/x.parquet"),
        ("part1=a%2Fx.parquet", "part1=a/x.parquet"),
        ("a%20b/%C3%BC.json", "a b/ü.json"),
        ("100%25.csv", "100%.csv"),
        ("files/files/x", "files/files/x"),
    ],
)
async def test_a_path_may_have_folders_and_any_spelling(adobe, db, batch, sent, path):
    assert (await put(adobe, batch, path=sent)).status == 200
    assert list(await kept(db, batch)) == [path]


@pytest.mark.parametrize(
    "sent", ["a/%2E%2E/b", "%2Fetc/passwd", "a//b", "a/", "a%00b", "a%0Ab", "x" * 1025]
)
async def test_a_path_that_could_lead_elsewhere_is_refused(adobe, settings, batch, sent):
    answer = await put(adobe, batch, path=sent)
    assert problem(await answer.json())[0] == 400
    assert stored(settings) == []


@pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data; boundary=x"])
async def test_files_are_sent_as_bytes_and_nothing_else(adobe, settings, batch, media_type):
    answer = await put(adobe, batch, headers={"Content-Type": media_type})
    assert problem(await answer.json()) == (415, "unsupported_media")
    assert stored(settings) == []


async def test_a_missing_media_type_is_tolerated(adobe, batch):
    answer = await adobe.put(file_url(batch), data=b"bytes", skip_auto_headers=["Content-Type"])
    assert answer.status == 200


async def test_a_file_of_the_limit_is_taken_and_one_byte_more_leaves_nothing(
    adobe, db, settings, batch
):
    async def in_chunks(size):
        yield b"x" * (size - 1)
        yield b"x"

    for data in (b"x" * (LIMIT + 1), in_chunks(LIMIT + 1)):
        answer = await put(adobe, batch, data)
        assert problem(await answer.json()) == (413, "too_large")
    assert (await kept(db, batch), stored(settings)) == ({}, [])
    for data in (b"x" * LIMIT, in_chunks(LIMIT)):
        assert (await put(adobe, batch, data)).status == 200


async def test_a_repeat_replaces_the_file_and_its_bytes(adobe, db, settings, batch):
    for data in (b"one", b"three"):
        await put(adobe, batch, data)
    assert await kept(db, batch) == {"a.parquet": 5}
    assert stored(settings) == [b"three"]


async def test_repeats_that_race_leave_one_whole_file(adobe, db, settings, batch):
    sent = [str(n).encode() * 900 for n in range(5)]
    answers = await asyncio.gather(*(put(adobe, batch, data) for data in sent))
    assert [answer.status for answer in answers] == [200] * 5
    (left,) = stored(settings)
    assert left in sent
    assert await db.fetchval("SELECT sha256 FROM uploads") == sha256(left).hexdigest()


async def test_a_client_that_goes_away_leaves_nothing(
    adobe, running, db, settings, batch, monkeypatch
):
    begun, ended, store = asyncio.Event(), asyncio.Event(), streams.store

    async def watched(files, key, chunks, *, at_most):
        async def passing():
            async for chunk in chunks:
                begun.set()
                yield chunk

        try:
            return await store(files, key, passing(), at_most=at_most)
        finally:
            ended.set()

    monkeypatch.setattr(streams, "store", watched)
    _, writer = await asyncio.open_connection(running.host, running.port)
    lines = [f"{name}: {value}" for name, value in adobe.session.headers.items()]
    head = f"PUT {file_url(batch)} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
    writer.write((head + "\r\n".join(lines) + "\r\n\r\n").encode() + b"x" * 100)
    await begun.wait()
    writer.close()
    await ended.wait()
    assert (await kept(db, batch), stored(settings)) == ({}, [])


async def test_a_completed_batch_takes_no_more_files(adobe, settings, batch):
    await act(adobe, batch, "COMPLETE")
    answer = await put(adobe, batch)
    body = await answer.json()
    assert problem(body) == (409, "conflict")
    assert "is loaded: it takes no more files" in body["detail"]
    assert stored(settings) == []


async def test_a_file_that_arrives_while_its_batch_is_completed_is_not_kept(
    adobe, db, settings, batch
):
    begun, completed = asyncio.Event(), asyncio.Event()

    async def slowly():
        yield b"x"
        begun.set()
        await completed.wait()
        yield b"y"

    upload = asyncio.create_task(put(adobe, batch, slowly()))
    await begun.wait()
    # The head has left the client; the server may still be looking the batch up.
    assert (await act(adobe, batch, "COMPLETE")).status == 200
    completed.set()
    assert problem(await (await upload).json()) == (409, "conflict")
    assert (await kept(db, batch), stored(settings)) == ({}, [])


async def test_a_file_for_another_data_set_than_the_batchs_is_refused(adobe, db, scope, batch):
    other = await a_dataset(db, scope)
    answer = await put(adobe, batch, dataset_id=other)
    assert problem(await answer.json()) == (404, "not_found")
