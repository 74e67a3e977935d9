"""What ``segments`` asks of the API, asked of the real application; and what it says by itself."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from catalog.jobs import JobError, JobEvent
from catalog.store.database import Connection
from catalog.store.jobs import JobStore
from service.cli import exports, main, segmentations
from service.cli.api import Refused, Service
from service.cli.console import messages
from service.cli.export import submit
from service.cli.segments import _pointing_into
from tests.builders import LEASE, WORKER

RULE = '_id = "1"'


async def define(api: Service, name: str, rule: str = RULE) -> segmentations.Segment:
    made: segmentations.Segment = await api.post(
        segmentations.DEFINITIONS, segmentations.body(name, rule)
    )
    return made


async def end(db: Connection, event: JobEvent, **how: object) -> None:
    async with db.transaction():
        job = await JobStore(db).claim_next(WORKER, lease=LEASE)
        assert job is not None
        await JobStore(db).move(job, event, actor=WORKER, **how)  # type: ignore[arg-type]


def counted(id: str, *, stayed: int) -> dict[str, object]:
    count = {"entered": 2, "stayed": stayed, "left": 1, "by_namespace": {}}
    return {
        "profiles": {"timestampOrdered-none-mp": 9},
        "segments": {id: count},
        "evaluation_started_ms": 1,
        "evaluation_finished_ms": 2,
    }


async def test_a_segment_is_found_by_whatever_it_is_called(api: Service, monkeypatch):
    monkeypatch.setattr(segmentations, "_PAGE", 2)
    made = [await define(api, f"segment {number}") for number in range(5)]
    assert [each["id"] for each in await segmentations.every(api)] == [
        each["id"] for each in reversed(made)
    ]
    for word in (made[0]["id"], made[0]["key"], made[0]["name"]):
        assert await segmentations.find(api, word) == made[0]
    with pytest.raises(click.ClickException, match="no segment has the id, the key or the name x"):
        await segmentations.find(api, "x")


async def test_an_export_is_of_segments_by_whatever_they_are_called(api: Service):
    made = [await define(api, name) for name in ("x", "y")]
    wanted = dict.fromkeys(("merge_policy_id", "graph", "dataset_id", "event_fields", "since"))
    wanted |= {"segments": ("x", made[1]["key"]), "fields": "", "empty_profiles": False}
    job = await api.get(f"{exports.JOBS}/{await submit(api, wanted, messages())}")
    assert job["filter"]["segments"] == [{"segmentId": each["id"]} for each in made]


async def test_a_rule_is_tried_without_being_kept(api: Service):
    await api.post(segmentations.DEFINITIONS, segmentations.body("x", RULE), is_trial=True)
    assert await segmentations.every(api) == []


async def test_a_refused_rule_is_shown_with_a_mark_where_it_is_wrong(api: Service):
    rule = '_id = "1" and\n\t_di = "2"'
    with pytest.raises(click.ClickException) as refused, _pointing_into(rule):
        await define(api, "x", rule)
    assert "did you mean _id?" in refused.value.message
    assert refused.value.message.endswith('\n\n   _di = "2"\n   ^')


async def test_other_refusals_are_told_as_they_are(api: Service):
    await define(api, "x")
    with pytest.raises(Refused, match="the name 'x' already") as refused, _pointing_into(RULE):
        await define(api, "x")
    assert "\n" not in refused.value.message


async def test_members_are_counted_by_the_last_job_that_succeeded(api: Service, db: Connection):
    segment, other = await define(api, "x"), await define(api, "y")
    assert await segmentations.last_success(api, segment["id"]) is None
    for stayed in (3, 5):
        job = await segmentations.submit(api, [segment["id"]])
        await end(db, JobEvent.COMPLETE, metrics=counted(segment["id"], stayed=stayed))
    followed = await segmentations.follow(api, job["id"])
    segmentations.must_have_succeeded(followed)
    await segmentations.submit(api, None)
    last = await segmentations.last_success(api, segment["id"])
    assert last == followed
    assert segmentations.member_counts(followed) == {segment["id"]: (7, 1)}
    assert await segmentations.last_success(api, other["id"]) is None


async def test_a_job_that_did_not_succeed_says_why(api: Service, db: Connection):
    await define(api, "x")
    job = await segmentations.submit(api, None)
    await end(db, JobEvent.FAIL, failure=JobError(code="engine", message="the disk is full"))
    seen: list[segmentations.Job] = []
    failed = await segmentations.follow(api, job["id"], on_look=seen.append)
    assert seen == [failed]
    with pytest.raises(click.ClickException, match="is failed: the disk is full"):
        segmentations.must_have_succeeded(failed)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["segments", *arguments])


def test_a_rule_is_said_in_words_and_written_in_full_without_a_service(tmp_path: Path):
    path = tmp_path / "rule.pql"
    path.write_text('person.city   =  "Rome"\n')
    for argument in ('person.city   =  "Rome"', f"@{path}"):
        said = call("explain", argument)
        assert said.exit_code == 0
        words, _, rule = said.output.partition("\n\n")
        assert words.startswith("Profiles of which")
        assert rule == 'person.city = "Rome"\n'


def test_a_rule_is_turned_into_a_tree_and_back():
    tree = call("explain", 'person.city = "Rome"', "--tree").output
    assert json.loads(tree)["fnName"] == "="
    said = call("explain", tree, "--format", "pql/json")
    assert said.exit_code == 0
    assert said.output.endswith('\n\nperson.city = "Rome"\n')


def test_a_rule_that_cannot_be_understood_is_shown_with_a_mark():
    said = call("explain", 'person.city = "Rome" nad')
    assert said.exit_code == 1
    assert said.output.endswith(f'\n\n  person.city = "Rome" nad\n  {" " * 21}^\n')


def test_files_that_cannot_be_read_end_with_2(tmp_path: Path):
    said = call("explain", "@" + str(tmp_path / "nowhere"))
    assert said.exit_code == 2
    assert "cannot be read: No such file" in said.output
    (tmp_path / "bytes").write_bytes(b"\xff")
    assert "is not UTF-8" in call("explain", f"@{tmp_path / 'bytes'}").output
