"""``demo``: the whole job on one machine, from files of customers to files of profiles."""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from service.cli.console import (
    duration,
    messages,
    plain_table,
    print_json,
    results,
    run_client,
    size,
)
from service.cli.demo_segment import NAME, RULE
from service.cli.demo_service import demo_folder, demo_service
from service.cli.demo_story import ProfileStory, shown
from service.cli.demonstration import (
    Demonstration,
    Input,
    Stopwatch,
    demonstrate,
    generated_input,
    own_input,
)
from service.cli.downloads import FILES
from service.cli.export import show as show_export
from service.cli.exports import JOBS
from service.cli.running import json_option

_PEOPLE = 20_000


@click.command()
@click.option(
    "--from",
    "own",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of your own files instead: each file or folder in it is a data set. What "
    "cannot be guessed is said in an identities.json in it.",
)
@click.option(
    "--people",
    type=click.IntRange(min=1),
    default=_PEOPLE,
    show_default=True,
    help="How many customers to generate, with ten events each.",
)
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the exported files. Without it they go when the demo goes.",
)
@click.option("--keep", is_flag=True, help="Leave the service running, with all that is in it.")
@json_option
def demo(*, own: Path | None, people: int, target: Path | None, keep: bool, as_json: bool) -> None:
    """Generate customers, ingest them over HTTP, export their merged profiles and look at them.

    Everything happens in a folder of its own, on a private PostgreSQL, and is gone afterwards.
    """
    try:
        shown_demo = run_client(
            _demo(own=own, people=people, target=target, keep=keep, as_json=as_json)
        )
    except asyncio.CancelledError:
        raise click.Abort from None
    if shown_demo.differences():
        raise SystemExit(1)


async def _demo(
    *, own: Path | None, people: int, target: Path | None, keep: bool, as_json: bool
) -> Demonstration:
    _end_in_order()
    console, stopwatch = messages(), Stopwatch()
    with demo_folder(keep=keep) as folder:
        making = asyncio.create_task(asyncio.to_thread(_input, folder, own, people, stopwatch))
        try:
            async with demo_service(folder, keep=keep, say=console.print) as running:
                stopwatch.milliseconds["start the service"] = running.start_milliseconds
                console.print(f"a service listens on {running.base_url}")
                input = await making
                for remark in input.remarks:
                    console.print(remark, markup=False)
                done = await demonstrate(
                    running, input, target or folder / "export", stopwatch, console
                )
                _show(done, keep=keep, as_json=as_json)
            return done
        finally:
            await asyncio.gather(making, return_exceptions=True)


def _input(folder: Path, own: Path | None, people: int, stopwatch: Stopwatch) -> Input:
    with stopwatch.stage("look at your files" if own else "make customers"):
        return own_input(own) if own else generated_input(folder, people)


def _end_in_order() -> None:
    """Take a termination as Ctrl-C is taken: everything is stopped and removed first."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(each, task.cancel)


def _show(done: Demonstration, *, keep: bool, as_json: bool) -> None:
    if as_json:
        print_json(done.to_json())
        return
    console = results()
    for part in (
        _show_input,
        _show_profiles,
        _show_export,
        _show_members,
        _show_truth,
        _show_times,
    ):
        part(done, console)
        console.print()
    _show_how(done, console, keep=keep)


def _show_input(done: Demonstration, console: Console) -> None:
    _heading(console, "What went in")
    table = plain_table("data set", "rows are", ">rows", ">size", "whom they are about")
    for each in done.ingested:
        source = each.source
        named = ", ".join(
            f"{'.'.join(identity.path)} ({identity.namespace})" for identity in source.identities
        )
        table.add_row(
            source.name,
            "events" if source.is_event else "records",
            f"{each.batch.row_count:,}",
            size(source.files.size_bytes),
            named or "identityMap",
        )
    console.print(table)


def _show_profiles(done: Demonstration, console: Console) -> None:
    if not done.stories:
        return
    _heading(console, "Some of the merged profiles, and where each field came from")
    for story in done.stories:
        console.print()
        _show_profile(story, console)


def _show_profile(story: ProfileStory, console: Console) -> None:
    identities = "  ".join(
        f"[dim]{namespace}[/] {', '.join(ids)}" for namespace, ids in story.identities.items()
    )
    console.print(identities)
    records = ", ".join(
        f"{count} of {name}" if count > 1 else name for name, count in story.records.items()
    )
    replaced = f", {story.replaced_count} more replaced by later ones" * bool(story.replaced_count)
    console.print(f"[dim]records:[/] {records}{replaced}  [dim]events:[/] {story.event_count:,}")
    table = plain_table("field", "value", "from", "because")
    for told in story.fields:
        reason = told.because() if told.agrees else "NOT what the records say"
        table.add_row(
            told.path,
            Text(shown(told.value)),
            told.said[0].source if told.said else "",
            Text(reason, style="yellow" if told.is_conflict else "dim"),
        )
    console.print(table)


def _show_export(done: Demonstration, console: Console) -> None:
    _heading(console, f"What came out: batch {done.exported.job['destination']['batchId']}")
    show_export(done.exported, console)


def _show_members(done: Demonstration, console: Console) -> None:
    members = done.members
    if members is None:
        return
    _heading(console, f"A segment: {NAME}")
    console.print(RULE, markup=False, soft_wrap=True)
    console.print(
        f"{members.member_count:,} of {members.profile_count:,} profiles belong to it, and an "
        f"export of it has {members.exported_count:,}."
    )


def _show_truth(done: Demonstration, console: Console) -> None:
    truth = done.input.truth
    if truth is None:
        return
    if differences := done.differences():
        _heading(console, "This is NOT what the generated customers say")
        for difference in differences:
            console.print(difference)
        return
    console.print(
        f"As it must be: the customers were made to be {truth.profile_count:,} profiles with "
        f"{truth.event_count:,} events;\n{truth.empty_profile_count:,} more have events but no "
        f"record, and {truth.excluded_count} has more identities than one person can have."
    )


def _show_times(done: Demonstration, console: Console) -> None:
    _heading(console, "How long it took")
    table = plain_table("stage", ">time")
    for stage, took in done.milliseconds.items():
        table.add_row(stage, duration(took))
    console.print(table)


def _show_how(done: Demonstration, console: Console, *, keep: bool) -> None:
    _heading(console, "The same by hand")
    console.print(_by_hand(done), markup=False, soft_wrap=True)
    console.print()
    if keep:
        folder = shlex.quote(str(done.service.folder))
        console.print(
            f"The service goes on at {done.service.base_url}. Stop it with "
            f"`kill {done.service.pid}`, then remove it with `rm -r {folder}`.",
            soft_wrap=True,
        )
    else:
        console.print("The service is gone now; --keep leaves it running for these lines.")


def _by_hand(done: Demonstration) -> str:
    """The export as lines for a shell."""
    job = done.exported.job
    batch_id = job["destination"]["batchId"]
    body = {
        "schema": job["schema"],
        "destination": {"datasetId": job["destination"]["datasetId"]},
        "mergePolicy": {"id": done.policy_id},
        "additionalFields": {"eventList": {"fields": ""}},
    }
    name = done.exported.files[0].path.name
    credentials = f"{_program()} credentials --data-dir {shlex.quote(str(done.service.data_dir))}"
    return f"""\
BASE={done.service.base_url}
read -r ORG KEY TOKEN < <({credentials} --json | python3 -c '
import json, sys
c = json.load(sys.stdin)
print(c["org_id"], c["client_id"], c["access_token"])')
AUTH=(-H "Authorization: Bearer $TOKEN" -H "x-api-key: $KEY"
      -H "x-gw-ims-org-id: $ORG" -H "x-sandbox-name: prod")
curl -s "${{AUTH[@]}}" -H "Content-Type: application/json" $BASE{JOBS} -d '{json.dumps(body)}'
curl -s "${{AUTH[@]}}" $BASE{JOBS}/{job["id"]}
curl -s "${{AUTH[@]}}" $BASE/data/foundation/export/batches/{batch_id}/files
curl -s "${{AUTH[@]}}" -o {name} "$BASE{FILES}/{batch_id}-1?path={name}"{_as_growingio(done)}"""


def _as_growingio(done: Demonstration) -> str:
    """The same by the other dialect, where the demo has defined what it asks for."""
    if done.input.truth is None:
        return ""
    return """
curl -s "${AUTH[@]}" -H "Content-Type: application/json" \\
     $BASE/v1/api/user_tags/tag_tier/export_jobs -d '{"properties": ["id_$crm_id", "usr_city"]}'"""


def _program() -> str:
    """How this program is called, as short as it can be said from here."""
    script = Path(sys.executable).with_name("profile-exports")
    if not script.exists():
        return f"{shlex.quote(sys.executable)} -m service.cli"
    if script.is_relative_to(Path.cwd()):
        script = script.relative_to(Path.cwd())
    return shlex.quote(str(script))


def _heading(console: Console, text: str) -> None:
    console.print(Text(text, style="bold"))
