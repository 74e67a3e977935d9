"""What Ctrl-C leaves in the service, at each stage, and what is said of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from catalog.batches import FileFormat
from service.cli import INTERRUPTED, batches, datasets, main, segmentations, segments
from service.cli.api import Service, Unreachable
from service.cli.ingest import _tell_what_was_made
from service.cli.interrupts import seen_through, told_if_interrupted
from service.cli.sources import Files, Source, identity
from service.engine.inference import infer

ROW = '{"crmId": "1"}\n'


class Stage:
    """A call that has been made of the service and whose answer the client does not have yet."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.over = asyncio.Event()

    async def hold(self, answer: Any) -> Any:
        self.reached.set()
        await self.over.wait()
        return answer


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def interrupt(work: Coroutine[Any, Any, Any], stage: Stage, *, times: int = 1) -> None:
    """Run work until it is at a stage and press Ctrl-C there; then let the answer come."""
    task, reached = asyncio.create_task(work), asyncio.create_task(stage.reached.wait())
    await asyncio.wait({task, reached}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    stage.over.set()
    with pytest.raises(asyncio.CancelledError):
        await task


def hold_posts(
    monkeypatch: pytest.MonkeyPatch, stage: Stage, is_meant: Callable[[str, Any], bool]
) -> None:
    """Have the service do what some POST says, and keep its answer back."""
    post = Service.post

    async def held(service: Service, path: str, body: object = None, **how: Any) -> Any:
        answer = await post(service, path, body, **how)
        return await stage.hold(answer) if is_meant(path, how.get("query")) else answer

    monkeypatch.setattr(Service, "post", held)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    path = tmp_path / "rows.json"
    path.write_text(ROW)
    return Files(root=tmp_path, paths=(path,), format=FileFormat.JSON)


@pytest.fixture
async def send(api: Service, files: Files, said: list[str]) -> Callable[[], Any]:
    """Sends a batch into a data set that has been made for it."""
    identities = (identity("crmId=crmId"),)
    source = Source(name="Customers", files=files, is_event=False, identities=identities)
    fields = infer(files.paths, files.format).fields
    dataset_id = await datasets.make_dataset(api, source, fields)
    return partial(batches.send, api, dataset_id, files, say=said.append)


async def the_batch(api: Service) -> dict[str, Any]:
    (batch,) = (await api.get(batches.BATCHES)).values()
    return dict(batch)


@pytest.mark.parametrize(
    ("held", "status", "words"),
    [
        (None, "aborted", "is aborted: nothing of it is visible, send it again"),
        ({"action": "COMPLETE"}, "loaded", "is complete and will be promoted without you"),
    ],
)
async def test_a_batch_is_aborted_until_it_is_complete_and_goes_on_from_then_on(
    api, monkeypatch, send, stage, said, held, status, words
):
    hold_posts(
        monkeypatch,
        stage,
        lambda path, asked: path.startswith(batches.IMPORT) and asked == held,
    )
    await interrupt(send(), stage)
    batch = await the_batch(api)
    assert batch["status"] == status
    waiting, left = said
    assert waiting.startswith("interrupted: waiting for the answer about")
    assert left.startswith(f"batch {batch['id']} {words}")


async def test_a_batch_whose_upload_is_interrupted_is_aborted(api, monkeypatch, send, stage, said):
    async def pieces(*_):
        yield ROW.encode()
        await stage.hold(None)

    monkeypatch.setattr(batches, "_pieces", pieces)
    await interrupt(send(), stage)
    batch = await the_batch(api)
    assert batch["status"] == "aborted"
    assert said == [f"batch {batch['id']} is aborted: nothing of it is visible, send it again"]


async def test_a_batch_that_cannot_be_aborted_is_said_to_be_there(api, monkeypatch, send, said):
    """The reason for which it was to be aborted is what the caller gets, not what came after."""
    post = Service.post

    async def away(service: Service, path: str, body: object = None, **how: Any) -> Any:
        if how.get("query"):
            raise Unreachable(f"no answer to {how['query']['action']}")
        return await post(service, path, body, **how)

    monkeypatch.setattr(Service, "post", away)
    with pytest.raises(Unreachable, match="no answer to COMPLETE"):
        await send()
    batch = await the_batch(api)
    assert batch["status"] == "loading"
    (left,) = said
    assert left.startswith(f"batch {batch['id']} could not be aborted: no answer to ABORT")
    assert f"POST {batches.IMPORT}/{batch['id']}?action=ABORT aborts it" in left


async def test_a_second_interruption_while_a_batch_is_aborted_leaves_its_state_unknown(
    api, monkeypatch, send, files, stage, said
):
    hold_posts(monkeypatch, stage, lambda _path, asked: asked == {"action": "ABORT"})
    files.paths[0].unlink()
    await interrupt(send(), stage)
    (left,) = said
    assert left.startswith(f"nobody knows whether batch {(await the_batch(api))['id']} is aborted")


async def test_who_stops_waiting_for_a_batch_is_told_that_it_goes_on(
    api, monkeypatch, send, stage, said
):
    batch_id = await send()
    get = Service.get

    async def held(service: Service, path: str, *more: Any) -> Any:
        return await stage.hold(await get(service, path, *more))

    monkeypatch.setattr(Service, "get", held)
    await interrupt(batches.settled(api, batch_id, say=said.append), stage)
    (words,) = said
    assert words == (
        f"batch {batch_id} is complete and will be promoted without you:"
        f" see GET {batches.BATCHES}/{batch_id}"
    )


async def test_a_data_set_whose_making_is_interrupted_is_made_whole(api, monkeypatch, stage, said):
    hold_posts(monkeypatch, stage, lambda path, _: path == datasets.DATASETS)
    making = seen_through(
        datasets.export_dataset(api),
        "the data set",
        say=said.append,
        on_interrupt=partial(_tell_what_was_made, said.append),
    )
    await interrupt(making, stage)
    (found,) = [each async for each in datasets.every_dataset(api)]
    words = f"made data set {found.id} and sent nothing: say --dataset {found.id} to go on"
    assert said[1:] == [words]


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_a_segment_job_whose_submission_is_interrupted_is_told_of_all_the_same(
    api, monkeypatch, stage, said, is_cancelled
):
    await api.post(segmentations.DEFINITIONS, segmentations.body("x", '_id = "1"'))
    hold_posts(monkeypatch, stage, lambda path, _: path == segmentations.JOBS)
    leave = partial(segments._leave, api, say=said.append, is_cancelled=is_cancelled)
    await interrupt(segments._submitted(api, None, said.append, leave), stage)
    (job,) = (await api.get(segmentations.JOBS))["children"]
    assert job["status"] == ("CANCELLED" if is_cancelled else "NEW")
    goes_on = f"goes on. Follow it with `segments run --job {job['id']}`"
    assert said[1:] == [f"segment job {job['id']} {'is cancelled' if is_cancelled else goes_on}"]


async def test_a_job_that_cannot_be_cancelled_is_told_of_with_the_reason(api, said):
    await segments._leave(api, "gone", say=said.append, is_cancelled=True)
    (words,) = said
    assert words.startswith("segment job gone could not be cancelled: no segment job gone (404")
    assert words.endswith("Follow it with `segments run --job gone`")


async def test_what_is_refused_after_an_interruption_was_not_made(api, stage, said):
    async def refused() -> Any:
        await stage.hold(None)
        return await api.post(segmentations.JOBS, [{"segmentId": "nobody"}])

    async def never(_: Any) -> None:
        raise AssertionError("it was refused")

    asking = seen_through(refused(), "the segment job", say=said.append, on_interrupt=never)
    await interrupt(asking, stage)
    assert said[1].startswith("the segment job was refused: ")


async def test_a_second_interruption_ends_at_once_and_says_that_nobody_knows(stage, said):
    async def never(_: Any) -> None:
        raise AssertionError("nobody waited for it")

    asking = seen_through(stage.hold(1), "the batch", say=said.append, on_interrupt=never)
    await interrupt(asking, stage, times=2)
    assert said[1:] == ["nobody knows what became of the batch"]


async def test_nothing_is_said_of_an_interruption_that_did_not_come(said):
    async def never(_: Any) -> None:
        raise AssertionError("nobody interrupted")

    with told_if_interrupted(said.append, "nothing was made"):
        asking = asyncio.sleep(0, result=7)
        assert await seen_through(asking, "it", say=said.append, on_interrupt=never) == 7
    assert said == []


@pytest.mark.parametrize("name", ["ingest", "segments", "export", "doctor"])
def test_whatever_ctrl_c_ends_ends_as_shells_say_it(monkeypatch, name):
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    command = main.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    monkeypatch.setattr(command, "invoke", interrupted)
    monkeypatch.setattr(command, "parse_args", lambda _context, _arguments: [])
    ended = CliRunner().invoke(main, [name])
    assert (ended.exit_code, ended.output) == (INTERRUPTED, "interrupted\n")
