"""The demo's own run: the main job from end to end, by the API alone, with the time it took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from catalog.merge_policies import IdentityGraph
from catalog.schemas import Field
from service.cli import batches, datasets, demo_data, exports
from service.cli.access import find_access
from service.cli.api import Service
from service.cli.console import byte_progress
from service.cli.definitions import Definition, define
from service.cli.demo_segment import Members, find_members
from service.cli.demo_service import DemoService
from service.cli.demo_story import Evidence, ProfileStory, interesting_profiles
from service.cli.demo_truth import Truth
from service.cli.export import Exported, download, follow
from service.cli.guesses import guess_sources
from service.cli.sources import Source
from service.engine.inference import infer

#: Rows the schemas of the generated data sets are guessed from: they are all alike.
_ROWS_LOOKED_AT = 5_000
_PROFILES_TOLD = 3
#: Beyond this, explaining profiles row by row would take longer than the demo.
_MOST_EXPLAINED_BYTES = 200_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What goes in: data sets to be, with their fields, in the order of their ingestion."""

    sources: tuple[tuple[Source, tuple[Field, ...]], ...]
    #: What must come out, where that is known.
    truth: Truth | None = None
    #: What was guessed of somebody's own files.
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """One data set, as it went in."""

    source: Source
    batch: batches.Settled


@dataclass(slots=True)
class Stopwatch:
    """How long each stage took, in the order in which they began."""

    milliseconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        self.milliseconds[name] = 0
        try:
            yield
        finally:
            self.milliseconds[name] = (time.perf_counter() - began) * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """What a demo has to show."""

    service: DemoService
    input: Input
    ingested: tuple[Ingested, ...]
    policy_id: str
    exported: Exported
    stories: tuple[ProfileStory, ...]
    #: Null of somebody's own files: a rule would have to be guessed.
    members: Members | None
    milliseconds: dict[str, float]

    def differences(self) -> list[str]:
        """Where the totals are not what the generated people say. Empty where nothing says."""
        truth, metrics = self.input.truth, self.exported.job["metrics"]
        if truth is None:
            return []
        compared: dict[str, tuple[object, object]] = {
            "profiles": (metrics["totalExportedProfileCounter"], truth.profile_count),
            "events": (metrics["totalExportedEventCounter"], truth.event_count),
            "profiles left out": (metrics["excludedProfileCounter"], truth.excluded_count),
            "profiles by namespace": (
                metrics["exportedProfileByNamespaceCounter"],
                truth.profiles_by_namespace,
            ),
        }
        if self.members is not None:
            found = (self.members.exported_count, self.members.member_count)
            compared["members of the segment"] = found
        return [
            f"{what}: {found} were exported, {meant} were meant"
            for what, (found, meant) in compared.items()
            if found != meant
        ]

    def to_json(self) -> dict[str, Any]:
        truth = self.input.truth
        return {
            "base_url": self.service.base_url,
            "pid": self.service.pid,
            "data_dir": str(self.service.data_dir),
            "datasets": [
                {
                    "name": each.source.name,
                    "dataset_id": each.batch.dataset_id,
                    "batch_id": each.batch.id,
                    "is_event": each.source.is_event,
                    "metrics": dict(each.batch.metrics),
                }
                for each in self.ingested
            ],
            "merge_policy_id": self.policy_id,
            "export": self.exported.to_json(),
            "profiles": [story.to_json() for story in self.stories],
            "segment": None if self.members is None else self.members.to_json(),
            "truth": None
            if truth is None
            else {
                "profile_count": truth.profile_count,
                "empty_profile_count": truth.empty_profile_count,
                "excluded_count": truth.excluded_count,
                "event_count": truth.event_count,
                "profiles_by_namespace": truth.profiles_by_namespace,
            },
            "differences": self.differences(),
            "remarks": list(self.input.remarks),
            "milliseconds": {name: round(took) for name, took in self.milliseconds.items()},
        }


def generated_input(folder: Path, people: int) -> Input:
    """Make the files of the shop that does not exist."""
    sources, truth = demo_data.generate(folder, people)
    return Input(sources=tuple((source, _fields_of(source)) for source in sources), truth=truth)


def own_input(folder: Path) -> Input:
    """Take somebody's own files for data sets, and say what was guessed of them."""
    guesses = guess_sources(folder)
    return Input(
        sources=tuple((guess.source, guess.fields) for guess in guesses.found),
        remarks=(
            *(guess.in_words() for guess in guesses.found),
            *(f"left out: {reason}" for reason in guesses.left_out),
        ),
    )


#: What GrowingIO's clients can ask for of the shop that does not exist.
DEFINITIONS = (
    Definition(key="$crm_id", name="客户编号", namespace="crmId"),
    Definition(key="usr_first_name", name="名字", path="person.name.firstName"),
    Definition(key="usr_city", name="城市", path="homeAddress.city"),
    Definition(key="tag_tier", name="会员等级", path="loyalty.tier"),
)


async def demonstrate(
    running: DemoService,
    input: Input,
    target: Path,
    stopwatch: Stopwatch,
    console: Console,
) -> Demonstration:
    """Ingest, merge, export and download, and work out why some profiles are as they are."""
    access = find_access({}, data_dir=running.data_dir)
    async with Service.connect(access) as service:
        with stopwatch.stage("ingest"):
            ingested = await _ingest(service, input, console)
            if input.truth is not None:
                await define(service, DEFINITIONS)
        with stopwatch.stage("export"):
            policy_id = await exports.policy_for(service, IdentityGraph.PRIVATE)
            job = await exports.submit(
                service,
                exports.Wanted(
                    dataset_id=await datasets.export_dataset(service),
                    event_fields="",
                    merge_policy_id=policy_id,
                ),
            )
            job = await follow(service, int(job["id"]), console)
            exports.must_have_succeeded(job)
        with stopwatch.stage("download"):
            files = await download(service, job, target, console)
        members = None
        if input.truth is not None:
            with stopwatch.stage("find and export a segment"):
                members = await find_members(service, policy_id)
    exported = Exported(job=job, files=files)
    with stopwatch.stage("explain"):
        stories = await asyncio.to_thread(_stories, input, exported)
    return Demonstration(
        service=running,
        input=input,
        ingested=ingested,
        policy_id=policy_id,
        exported=exported,
        stories=stories,
        members=members,
        milliseconds=stopwatch.milliseconds,
    )


async def _ingest(service: Service, input: Input, console: Console) -> tuple[Ingested, ...]:
    """Send every source in order; the service promotes one while the next is on its way."""
    sent = []
    with byte_progress(console) as progress:
        for source, fields in input.sources:
            task = progress.add_task(source.name, total=source.files.size_bytes)
            dataset_id = await datasets.make_dataset(service, source, fields)
            batch_id = await batches.send(
                service,
                dataset_id,
                source.files,
                on_bytes=partial(progress.advance, task),
            )
            sent.append((source, batch_id))
    ingested = []
    for source, batch_id in sent:
        with console.status(f"{source.name} is being promoted"):
            batch = await batches.settled(service, batch_id)
        if not batch.is_active:
            raise click.ClickException(f"{source.name} could not be ingested: {_reasons(batch)}")
        ingested.append(Ingested(source=source, batch=batch))
    return tuple(ingested)


def _fields_of(source: Source) -> tuple[Field, ...]:
    texts = frozenset(identity.path for identity in source.identities)
    files = source.files
    return infer(files.paths, files.format, texts=texts, row_limit=_ROWS_LOOKED_AT).fields


def _stories(input: Input, exported: Exported) -> tuple[ProfileStory, ...]:
    sources = [source for source, _ in input.sources]
    if sum(each.files.size_bytes for each in sources if not each.is_event) > _MOST_EXPLAINED_BYTES:
        return ()
    files = [file.path for file in exported.files]
    return tuple(interesting_profiles(Evidence(sources), files, _PROFILES_TOLD))


def _reasons(batch: batches.Settled) -> str:
    return "; ".join(str(error.get("description")) for error in batch.errors) or batch.status
