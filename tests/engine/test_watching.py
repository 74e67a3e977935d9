"""Children that read what strangers wrote are ended when they take too much."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog.batches import FileFormat
from catalog.schemas import Field
from service.engine.local import LocalRunner
from service.engine.orders import (
    Failed,
    Limits,
    Peeked,
    PeekOrder,
    Progress,
    Promoted,
    PromotionOrder,
    Reading,
    UploadedFile,
)
from service.engine.watching import TOO_MUCH_MEMORY, TOO_SLOW, Watch, own_memory
from service.storage.files import Files
from tests.engine.intake import SECRET, TEXT, lines

MIB = 1 << 20


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
async def runner(tmp_path: Path):
    runner = LocalRunner(tmp_path, silence_seconds=30, has_spare=False)
    yield runner
    await runner.close()


def put(files: Files, content: bytes, path: str = "a") -> UploadedFile:
    with files.create(f"uploads/{path}") as file:
        file.write(content)
    return UploadedFile(path=path, key=file.key, size_bytes=len(content))


def put_endless(files: Files) -> UploadedFile:
    """A file that nobody comes to the end of reading."""
    upload = put(files, b"{}")
    path = files.root / upload.key
    path.unlink()
    os.mkfifo(path)
    return upload


def promotion(upload: UploadedFile, limits: Limits, **changes: Any) -> PromotionOrder:
    return PromotionOrder(
        folder="promoted",
        uploads=(upload,),
        reading=changes.pop("reading", Reading(format=FileFormat.JSON)),
        is_event=False,
        fields=(Field("name", TEXT).to_json(),),
        identities=(),
        unlinked_namespaces=(),
        for_profile=False,
        is_upsert=False,
        secret=SECRET,
        limits=limits,
        **changes,
    )


async def last_answer(runner: LocalRunner, order: Any) -> Any:
    async with runner.run(order) as answers:
        return [answer async for answer in answers][-1]


async def test_a_promotion_within_its_limits_is_left_alone(runner, files):
    limits = Limits(memory_bytes=2048 * MIB, seconds=600, still_seconds=600)
    answer = await last_answer(runner, promotion(put(files, lines({"name": "a"})), limits))
    assert isinstance(answer, Promoted)
    assert answer.output_row_count == 1


async def test_a_promotion_that_takes_too_much_memory_is_ended_for_good(runner, files, tmp_path):
    # A kilobyte that becomes a hundred thousand texts of a kilobyte, at once.
    path = tmp_path / "bomb.parquet"
    names = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), ["x" * 10_000])
    pq.write_table(pa.table({"name": names.cast(pa.string())}), path)
    upload = put(files, path.read_bytes())
    limits = Limits(memory_bytes=90 * MIB)
    order = promotion(upload, limits, reading=Reading(format=FileFormat.PARQUET))
    answer = await last_answer(runner, order)
    assert isinstance(answer, Failed)
    assert (answer.code, answer.is_final) == (TOO_MUCH_MEMORY, True)
    assert answer.message == "reading the files takes more than 90 MiB of memory"


async def test_a_promotion_that_takes_too_long_is_ended_for_good(runner, files):
    answer = await last_answer(runner, promotion(put_endless(files), Limits(seconds=0.001)))
    assert isinstance(answer, Failed)
    assert (answer.code, answer.is_final) == (TOO_SLOW, True)


async def test_a_child_that_gets_no_further_is_ended():
    ended = []
    watch = Watch(1, Limits(still_seconds=0.2), lambda: ended.append(True))
    progress = Progress(phase="reading", done=7, total=9)
    watch.heard(progress)
    watch.heard(progress)
    await watch.keep()
    assert ended == [True]
    assert watch.breach is not None
    assert "after 7 bytes" in watch.breach.message


async def test_a_look_at_files_is_ended_too(runner, files):
    order = PeekOrder(
        uploads=(put_endless(files),),
        reading=Reading(format=FileFormat.JSON),
        row_count=1,
        limits=Limits(seconds=0.001),
    )
    assert isinstance(await last_answer(runner, order), Failed)


async def test_what_cannot_be_read_is_a_refusal_and_no_defect(runner, files):
    order = PeekOrder(
        uploads=(put(files, b"PAR1 and no more"),),
        reading=Reading(format=FileFormat.PARQUET),
        row_count=1,
    )
    answer = await last_answer(runner, order)
    assert isinstance(answer, Failed)
    assert (answer.code, answer.is_final) == ("invalid", True)
    assert answer.message.startswith("file a: not readable as Parquet")


async def test_first_rows_are_shown_as_they_were_sent(runner, files):
    content = b'[{"a": {"b": 1, "c": []}, "d": "x"}, {"d": "' + b"y" * 2000 + b'"}]'
    order = PeekOrder(
        uploads=(put(files, content),), reading=Reading(format=FileFormat.JSON), row_count=5
    )
    peeked = await last_answer(runner, order)
    assert isinstance(peeked, Peeked)
    assert peeked.columns == ("a/b", "a/c", "d")
    first, second = peeked.rows
    assert first == {0: "1", 1: "[]", 2: "x"}
    assert len(second[2]) == 1024


def test_memory_is_what_a_process_has_of_its_own():
    taken = bytearray(64 * MIB)
    assert own_memory(os.getpid()) > len(taken)
    assert own_memory(0) == 0
