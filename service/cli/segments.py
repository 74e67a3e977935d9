"""``segments``: rules that say who belongs to an audience: checked, kept, evaluated, counted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
from rich.console import Console

from catalog.errors import InvalidRule
from service.cli import interrupts, segmentations
from service.cli.access import FindAccess, access_options
from service.cli.api import Refused, Service
from service.cli.console import (
    instant,
    messages,
    plain_table,
    print_json,
    results,
    run_client,
    say_to,
    step_progress,
)
from service.cli.interrupts import Say, seen_through, told_if_interrupted
from service.cli.running import json_option

_FORMATS = ("pql/text", "pql/json")


@click.group()
def segments() -> None:
    """Check, define, evaluate and count segments.

    A RULE is PQL, such as 'person.gender = "female"', or @FILE that holds one. A SEGMENT is the
    id, the key or the name of one.
    """


def _rule(_ctx: click.Context, _param: click.Parameter, rule: str) -> str:
    """A rule, or what is in the file that it names."""
    if not rule.startswith("@"):
        return rule
    try:
        return Path(rule[1:]).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise click.BadParameter(f"{rule[1:]} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise click.BadParameter(f"{rule[1:]} is not UTF-8 text") from None


rule_argument = click.argument("rule", callback=_rule)
format_option = click.option(
    "--format",
    "format_",
    type=click.Choice(_FORMATS),
    default=_FORMATS[0],
    show_default=True,
    help="How the rule is written.",
)


@segments.command()
@rule_argument
@format_option
@json_option
@access_options
def check(*, rule: str, format_: str, as_json: bool, access: FindAccess) -> None:
    """Check a rule against the fields that the service has. Nothing is kept."""

    async def work() -> None:
        async with Service.connect(access()) as service:
            asked = segmentations.body(f"a trial, {uuid4()}", rule, format=format_)
            with _pointing_into(rule):
                await service.post(segmentations.DEFINITIONS, asked, is_trial=True)

    run_client(work())
    if as_json:
        print_json({"rule": rule, "format": format_, "is_valid": True})
    else:
        click.echo("the rule is understood, and the fields it asks for are there")


@segments.command()
@rule_argument
@format_option
@click.option("--tree", "as_tree", is_flag=True, help="Write it as a tree (pql/json).")
def explain(*, rule: str, format_: str, as_tree: bool) -> None:
    """Say in words what a rule asks, and write it in full. Needs no service."""
    from catalog.segments import RuleFormat  # noqa: PLC0415  # other commands need no parser
    from service.operations import rules  # noqa: PLC0415

    try:
        understood = rules.understood(RuleFormat(format_), rule)
    except InvalidRule as refusal:
        raise click.ClickException(
            str(refusal) + _pointer(rule, refusal.line, refusal.column)
        ) from None
    if as_tree:
        print_json(understood.tree)
    else:
        click.echo(f"{understood.words}\n\n{understood.text}")


@segments.command("list")
@json_option
@access_options
def list_(*, as_json: bool, access: FindAccess) -> None:
    """List segments, newest first."""

    async def work() -> list[segmentations.Segment]:
        async with Service.connect(access()) as service:
            return await segmentations.every(service)

    found = run_client(work())
    if as_json:
        print_json(found)
        return
    table = plain_table("segment", "name", "changed (UTC)", "rule")
    for segment in found:
        table.add_row(
            segment["id"],
            segment["name"],
            instant(segment["updateTime"]),
            " ".join(segment["expression"]["value"].split()),
        )
    results().print(table if found else "no segments")


@segments.command()
@click.argument("name")
@rule_argument
@format_option
@click.option("--description", default="", help="What it is, for people.")
@click.option("--merge-policy", "merge_policy_id", metavar="ID", help="Default: the default one.")
@click.option("--ttl-days", type=click.IntRange(min=1), help="How long a membership lasts at most.")
@json_option
@access_options
def create(*, name: str, rule: str, as_json: bool, access: FindAccess, **more: Any) -> None:
    """Define a segment. Nobody belongs to it until it was run."""
    asked = segmentations.body(
        name,
        rule,
        format=more["format_"],
        description=more["description"],
        merge_policy_id=more["merge_policy_id"],
        ttl_days=more["ttl_days"],
    )

    async def work() -> Any:
        say = say_to(messages())
        async with Service.connect(access()) as service:
            with _pointing_into(rule):
                return await seen_through(
                    service.post(segmentations.DEFINITIONS, asked),
                    f"segment {name}",
                    say=say,
                    on_interrupt=partial(_tell_what_was_made, say),
                )

    made = run_client(work())
    if as_json:
        print_json(made)
    else:
        click.echo(f"segment {made['id']} is {made['name']}")
        click.echo("find out who belongs to it with `segments run`")


async def _tell_what_was_made(say: Say, made: segmentations.Segment) -> None:
    say(f"segment {made['id']} is {made['name']}")


@segments.command()
@click.argument("names", metavar="[SEGMENT]...", nargs=-1)
@click.option("--job", "job_id", metavar="ID", help="Go on with a segment job that exists already.")
@click.option("--cancel-on-interrupt", is_flag=True, help="Ctrl-C also cancels the job.")
@json_option
@access_options
def run(
    *,
    names: tuple[str, ...],
    job_id: str | None,
    cancel_on_interrupt: bool,
    as_json: bool,
    access: FindAccess,
) -> None:
    """Find out who belongs to some segments, or to all there are.

    Interrupted, the job goes on without you unless --cancel-on-interrupt is given.
    """
    if job_id and names:
        raise click.UsageError("--job goes on with a job as it was submitted: name no segments")

    async def work() -> tuple[segmentations.Job, Mapping[str, str]]:
        say = say_to(messages())
        async with Service.connect(access()) as service:
            leave = partial(_leave, service, say=say, is_cancelled=cancel_on_interrupt)
            so_far = f"segment job {job_id} goes on" if job_id else "no segment job was submitted"
            with told_if_interrupted(say, so_far):
                every = await segmentations.every(service)
                ids = [segmentations.among(every, name)["id"] for name in names]
            id = job_id or await _submitted(service, ids or None, say, leave)
            job = await _followed(service, id, messages(), leave)
            segmentations.must_have_succeeded(job)
            return job, {segment["id"]: segment["name"] for segment in every}

    job, named = run_client(work())
    if as_json:
        print_json(job)
    else:
        _show(job, named, results())


@segments.command()
@click.argument("name", metavar="SEGMENT")
@json_option
@access_options
def count(*, name: str, as_json: bool, access: FindAccess) -> None:
    """Tell how many belonged to a segment when it was run last."""

    async def work() -> tuple[segmentations.Segment, segmentations.Job | None]:
        async with Service.connect(access()) as service:
            segment = await segmentations.find(service, name)
            return segment, await segmentations.last_success(service, segment["id"])

    segment, job = run_client(work())
    if job is None:
        raise click.ClickException(f"segment {segment['name']} was never run: `segments run` does")
    member_count, left_count = segmentations.member_counts(job)[segment["id"]]
    if as_json:
        print_json(
            {
                "segment_id": segment["id"],
                "segment_job_id": job["id"],
                "updated_ms": job["updateTime"],
                "members": member_count,
                "left": left_count,
            }
        )
    else:
        click.echo(
            f"{member_count:,} belong to {segment['name']} since {instant(job['updateTime'])} UTC"
        )


async def _submitted(
    service: Service, ids: Sequence[str] | None, say: Say, leave: Callable[[str], Awaitable[None]]
) -> str:
    """Submit a job, and take leave of it when that is interrupted."""
    job = await seen_through(
        segmentations.submit(service, ids),
        "the segment job",
        say=say,
        on_interrupt=lambda job: leave(job["id"]),
    )
    return str(job["id"])


async def _leave(service: Service, id: str, *, say: Say, is_cancelled: bool) -> None:
    """Cancel a job that its follower was interrupted at, or say how to go on with it."""
    await interrupts.leave(
        service,
        f"segment job {id}",
        f"{segmentations.JOBS}/{id}",
        say=say,
        is_cancelled=is_cancelled,
        hint=f"Follow it with `segments run --job {id}`",
    )


async def _followed(
    service: Service, id: str, console: Console, leave: Callable[[str], Awaitable[None]]
) -> segmentations.Job:
    """Follow a job with a bar, and take leave of it when the follower is interrupted."""
    try:
        with step_progress(console) as progress:
            task = progress.add_task(f"segment job {id}", total=None, note="")

            def look(job: segmentations.Job) -> None:
                seen = job["metrics"].get("progress") or {}
                progress.update(
                    task,
                    description=f"segment job: {seen.get('phase', job['status'].lower())}",
                    completed=seen.get("percent", 0),
                    total=100 if seen.get("percent") else None,
                )

            return await segmentations.follow(service, id, on_look=look)
    except asyncio.CancelledError:
        await leave(id)
        raise


def _show(job: segmentations.Job, named: Mapping[str, str], console: Console) -> None:
    table = plain_table("segment", ">members", ">left")
    for id, (member_count, left_count) in segmentations.member_counts(job).items():
        table.add_row(named.get(id, id), f"{member_count:,}", f"{left_count:,}")
    console.print(table)
    console.print(f"\nof {job['metrics']['totalProfiles']:,} profiles")


@contextmanager
def _pointing_into(rule: str) -> Iterator[None]:
    """Show beneath a refusal where in the rule it is meant."""
    try:
        yield
    except Refused as refused:
        pointer = _pointer(rule, refused.report.get("line"), refused.report.get("column"))
        if not pointer:
            raise
        raise click.ClickException(refused.message + pointer) from refused


def _pointer(rule: str, line: int | None, column: int | None) -> str:
    """A line of a rule and a mark beneath one of its characters."""
    if line is None or column is None:
        return ""
    text = rule.split("\n")[line - 1].replace("\t", " ")
    return f"\n\n  {text}\n  {' ' * (column - 1)}^"
