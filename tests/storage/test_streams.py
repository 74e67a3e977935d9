"""Streams: bytes go in and come out the same, and what ends early leaves nothing."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from catalog.errors import TooLarge, Unavailable
from service.storage import streams
from service.storage.files import Files, Writing

KEY = "folder/file"


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path / "files")


def on_disk(files):
    """Every file there is, unfinished ones included."""
    return [path.name for path in files.root.rglob("*") if path.is_file()]


async def arriving(*chunks, then=None):
    for chunk in chunks:
        yield chunk
        await asyncio.sleep(0)
    if then is not None:
        raise then


async def read(files, start, length):
    return b"".join([piece async for piece in streams.stream(files, KEY, start, length)])


@hypothesis(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(chunks=st.lists(st.binary(max_size=50), max_size=8), data=st.data())
def test_what_is_stored_comes_back_the_same(tmp_path, monkeypatch, chunks, data):
    monkeypatch.setattr(streams, "PIECE_BYTES", 16)
    whole = b"".join(chunks)
    start = data.draw(st.integers(0, len(whole)))
    length = data.draw(st.integers(0, len(whole) - start))

    async def there_and_back():
        files = Files(tmp_path / "files")
        files.delete(KEY)
        written = await streams.store(files, KEY, arriving(*chunks), at_most=1000)
        assert written.size_bytes == len(whole)
        assert written.sha256 == hashlib.sha256(whole).hexdigest()
        assert await read(files, start, length) == whole[start : start + length]

    asyncio.run(there_and_back())


async def test_a_stream_of_exactly_the_limit_is_kept_and_one_byte_more_is_not(files):
    await streams.store(files, KEY, arriving(b"x" * 600, b"x" * 400), at_most=1000)
    with pytest.raises(TooLarge, match="more than 1000 bytes"):
        await streams.store(files, "folder/other", arriving(b"x" * 600, b"x" * 401), at_most=1000)
    assert on_disk(files) == ["file"]


async def test_a_stream_that_breaks_off_leaves_nothing(files):
    lost = ConnectionResetError("gone")
    with pytest.raises(ConnectionResetError) as raised:
        await streams.store(files, KEY, arriving(b"x" * 10, then=lost), at_most=1000)
    assert raised.value is lost
    assert on_disk(files) == []


async def test_a_cancelled_upload_leaves_nothing(files):
    came, never = asyncio.Event(), asyncio.Event()

    async def stalling():
        yield b"x" * streams.PIECE_BYTES
        came.set()
        await never.wait()
        yield b"x"

    upload = asyncio.create_task(streams.store(files, KEY, stalling(), at_most=2**30))
    await came.wait()
    assert on_disk(files) != []
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert on_disk(files) == []


async def test_a_disk_that_refuses_is_reported_as_it_is(files):
    files.root.mkdir()
    (files.root / "folder").write_text("in the way")
    with pytest.raises(FileExistsError):
        await streams.store(files, KEY, arriving(b"x"), at_most=10)


async def test_a_file_shorter_than_promised_is_noticed(files):
    await streams.store(files, KEY, arriving(b"0123456789"), at_most=10)
    with pytest.raises(EOFError, match="ends 5 bytes early"):
        await read(files, 5, 10)


async def test_a_missing_file_is_noticed_before_any_byte(files):
    with pytest.raises(FileNotFoundError):
        await anext(streams.stream(files, KEY, 0, 1))


async def test_a_full_disk_is_told_and_nothing_is_left_of_the_file(files, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Writing, "write", refuse)
    with pytest.raises(Unavailable, match="No space left"):
        await streams.store(files, KEY, arriving(b"rows"), at_most=100)
    assert on_disk(files) == []


async def test_a_disk_that_does_not_give_what_it_has_is_told(files, monkeypatch):
    await streams.store(files, KEY, arriving(b"rows"), at_most=100)

    def refuse(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(files, "read", refuse)
    with pytest.raises(Unavailable, match="Input/output error"):
        await read(files, 0, 4)
