"""Large files over HTTP: section 3 of the contract sheet, with the bodies section 12.3 demands."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from service.settings import HttpSettings
from tests.builders import a_dataset
from tests.surfaces.client import problem, usual_settings
from tests.surfaces.uploading import BATCHES, act, file_url, kept, put, stored

CHUNK = 4096


@pytest.fixture
def settings(tmp_path):
    http = HttpSettings(upload_bytes=10, chunk_bytes=CHUNK)
    return usual_settings().at(tmp_path / "data").model_copy(update={"http": http})


@pytest.fixture
async def batch(adobe, db, scope):
    new = {"datasetId": await a_dataset(db, scope)}
    return await (await adobe.post(BATCHES, json=new)).json()


async def on_file(client, batch, action, path="a.json"):
    return await client.post(file_url(batch, path).with_query(action=action))


def send(client, batch, content_range, data, path="a.json", media="application/octet-stream"):
    headers = {"Content-Type": media}
    if content_range is not None:
        headers["Content-Range"] = content_range
    return client.patch(file_url(batch, path), data=data, headers=headers)


async def come(client, batch, path="a.json"):
    answer = await client.head(file_url(batch, path))
    assert answer.status == 200
    return answer.headers.get("Range")


async def test_the_documented_calls_bring_a_file_in(adobe, db, settings, batch):
    begun = await on_file(adobe, batch, "INITIALIZE")
    assert (begun.status, await begun.json()) == (201, {"name": "a.json", "sizeInBytes": 0})
    assert await come(adobe, batch) is None
    sent = await send(adobe, batch, "bytes 5-9/10", b"world")
    assert (sent.status, await sent.json()) == (200, {"name": "a.json", "sizeInBytes": 5})
    assert sent.headers["Range"] == "bytes=5-9"
    sent = await send(adobe, batch, "bytes 0-4/10", b"hello")
    assert (sent.headers["Range"], await come(adobe, batch)) == ("bytes=0-9", "bytes=0-9")
    for _ in range(2):
        done = await on_file(adobe, batch, "complete")
        assert (done.status, await done.json()) == (201, {"name": "a.json", "sizeInBytes": 10})
    assert await kept(db, batch) == {"a.json": 10}
    assert await db.fetchval("SELECT sha256 FROM uploads") == sha256(b"helloworld").hexdigest()
    assert stored(settings) == [b"helloworld"]
    assert await come(adobe, batch) == "bytes=0-9"
    assert (await act(adobe, batch, "COMPLETE")).status == 200
    assert (await on_file(adobe, batch, "COMPLETE")).status == 201


@hypothesis(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.binary(min_size=1, max_size=900), cuts=st.sets(st.integers(1, 900)), order=st.data())
async def test_chunks_in_any_order_make_the_same_file(adobe, settings, batch, data, cuts, order):
    await on_file(adobe, batch, "INITIALIZE")
    ends = [0, *sorted(cut for cut in cuts if cut < len(data))[:6], len(data)]
    spans = order.draw(st.permutations(list(pairwise(ends))))
    for start, end in spans:
        sent = await send(adobe, batch, f"bytes {start}-{end - 1}/{len(data)}", data[start:end])
        assert sent.status == 200
    assert (await on_file(adobe, batch, "COMPLETE")).status == 201
    assert stored(settings) == [data]


async def test_gaps_and_overlaps_are_only_refused_in_the_end_and_can_be_put_right(
    adobe, settings, batch
):
    await on_file(adobe, batch, "INITIALIZE")
    await send(adobe, batch, "bytes 4-5/6", b"ef")
    await send(adobe, batch, "bytes 0-1/6", b"ab")
    refused = await on_file(adobe, batch, "COMPLETE")
    body = await refused.json()
    assert problem(body) == (400, "invalid")
    assert body["detail"] == "file a.json: bytes 2-3 are missing"
    assert await come(adobe, batch) == "bytes=0-1,4-5"

    assert (await send(adobe, batch, "bytes 1-3/6", b"bcd")).status == 200
    assert (await on_file(adobe, batch, "COMPLETE")).status == 400
    assert (await send(adobe, batch, "bytes 0-0/6", b"a")).status == 200
    assert (await on_file(adobe, batch, "COMPLETE")).status == 201
    assert stored(settings) == [b"abcdef"]


async def test_a_chunk_that_is_sent_again_replaces_the_one_before(adobe, settings, batch):
    await on_file(adobe, batch, "INITIALIZE")
    for data in (b"one", b"two"):
        await send(adobe, batch, "bytes 0-2/*", data)
    assert stored(settings) == [b"two"]
    await on_file(adobe, batch, "COMPLETE")
    assert stored(settings) == [b"two"]


async def test_beginning_again_forgets_the_chunks_and_keeps_what_was_complete(
    adobe, settings, batch
):
    await put(adobe, batch, b"old", path="a.json")
    await on_file(adobe, batch, "INITIALIZE")
    await send(adobe, batch, "bytes 0-8/9", b"abandoned")
    assert stored(settings) == [b"abandoned", b"old"]
    await on_file(adobe, batch, "INITIALIZE")
    assert stored(settings) == [b"old"]
    await send(adobe, batch, "bytes 0-2/3", b"new")
    await on_file(adobe, batch, "COMPLETE")
    assert stored(settings) == [b"new"]


async def test_a_file_sent_in_one_call_takes_the_place_of_one_that_was_begun(
    adobe, settings, batch
):
    await on_file(adobe, batch, "INITIALIZE")
    await send(adobe, batch, "bytes 0-1/9", b"ab")
    await put(adobe, batch, b"whole", path="a.json")
    assert (await come(adobe, batch), stored(settings)) == ("bytes=0-4", [b"whole"])
    assert (await act(adobe, batch, "COMPLETE")).status == 200


async def test_completing_a_file_at_once_from_two_sides_is_done_once(adobe, settings, batch):
    await on_file(adobe, batch, "INITIALIZE")
    for start in range(0, 50, 10):
        await send(adobe, batch, f"bytes {start}-{start + 9}/50", b"0123456789")
    answers = await asyncio.gather(*(on_file(adobe, batch, "COMPLETE") for _ in range(5)))
    assert {answer.status for answer in answers} == {201}
    assert stored(settings) == [b"0123456789" * 5]


async def test_a_batch_waits_for_the_files_that_were_begun(adobe, batch):
    await on_file(adobe, batch, "INITIALIZE")
    body = await (await act(adobe, batch, "COMPLETE")).json()
    assert problem(body) == (409, "conflict")
    assert body["detail"] == f"file a.json of batch {batch['id']} is not complete yet"
    assert (await act(adobe, batch, "ABORT")).status == 200


@pytest.mark.parametrize(
    ("content_range", "data", "status"),
    [
        (None, b"abc", 400),
        ("bytes 0-2", b"abc", 400),
        ("items 0-2/3", b"abc", 400),
        ("bytes 2-0/3", b"abc", 400),
        ("bytes 0-3/3", b"abcd", 400),
        ("bytes 0-99999999999999999/*", b"abc", 400),
        ("bytes 0-9007199254740992/*", b"abc", 400),
        ("bytes 0-3/9", b"abc", 400),
        ("bytes 0-1/9", b"abc", 400),
        (f"bytes 0-{CHUNK}/*", b"x" * (CHUNK + 1), 413),
    ],
)
async def test_a_chunk_that_is_not_what_it_says_leaves_nothing(
    adobe, settings, batch, content_range, data, status
):
    await on_file(adobe, batch, "INITIALIZE")
    answer = await send(adobe, batch, content_range, data)
    assert problem(await answer.json())[0] == status
    assert (stored(settings), await come(adobe, batch)) == ([], None)


@pytest.mark.parametrize("sent", [b"x", b"xxx"])
async def test_a_chunk_of_another_length_than_it_says_leaves_nothing(adobe, settings, batch, sent):
    async def unannounced():
        yield sent

    await on_file(adobe, batch, "INITIALIZE")
    answer = await send(adobe, batch, "bytes 0-1/9", unannounced())
    assert problem(await answer.json())[0] in {400, 413}
    assert stored(settings) == []


async def test_a_chunk_of_the_limit_is_taken(adobe, batch):
    await on_file(adobe, batch, "INITIALIZE")
    sent = await send(adobe, batch, f"bytes 0-{CHUNK - 1}/*", b"x" * CHUNK)
    assert sent.status == 200


async def test_a_file_is_begun_before_and_not_after(adobe, batch):
    assert problem(await (await send(adobe, batch, "bytes 0-0/1", b"a")).json())[0] == 404
    assert problem(await (await on_file(adobe, batch, "COMPLETE")).json())[0] == 404
    assert (await adobe.head(file_url(batch, "a.json"))).status == 404
    await on_file(adobe, batch, "INITIALIZE")
    await send(adobe, batch, "bytes 0-0/1", b"a")
    await on_file(adobe, batch, "COMPLETE")
    assert problem(await (await send(adobe, batch, "bytes 0-0/1", b"b")).json())[0] == 409


async def test_what_is_no_action_media_or_path_is_refused(adobe, batch):
    assert (await on_file(adobe, batch, "ABORT")).status == 400
    assert (await on_file(adobe, batch, "INITIALIZE", path="a//b")).status == 400
    await on_file(adobe, batch, "INITIALIZE")
    sent = await send(adobe, batch, "bytes 0-0/1", b"a", media="application/json")
    assert problem(await sent.json()) == (415, "unsupported_media")


async def test_another_organisation_can_do_nothing_with_a_file(adobe, foreign, batch):
    await on_file(adobe, batch, "INITIALIZE")
    await send(adobe, batch, "bytes 0-0/1", b"a")
    for answer in (
        await on_file(foreign, batch, "INITIALIZE"),
        await on_file(foreign, batch, "COMPLETE"),
        await send(foreign, batch, "bytes 0-0/1", b"b"),
        await foreign.head(file_url(batch, "a.json")),
    ):
        assert answer.status == 404
    assert await come(adobe, batch) == "bytes=0-0"


async def test_a_batch_that_was_completed_takes_no_more_chunks(adobe, batch):
    await act(adobe, batch, "ABORT")
    for answer in (
        await on_file(adobe, batch, "INITIALIZE"),
        await send(adobe, batch, "bytes 0-0/1", b"a"),
    ):
        assert problem(await answer.json()) == (409, "conflict")
