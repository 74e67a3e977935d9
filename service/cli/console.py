"""How commands speak to people and to machines: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from catalog.errors import Refusal
from service.cli.running import run

Result = TypeVar("Result")


def run_client(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a client's work; a refusal ends it with one readable line and exit code 1."""
    try:
        return run(work)
    except Refusal as refusal:
        raise click.ClickException(str(refusal)) from None


def messages() -> Console:
    """Where progress and remarks go, so that stdout is the result alone."""
    return Console(stderr=True, highlight=False)


def say_to(console: Console) -> Callable[[str], None]:
    """What says one thing after the other to people, word for word and on one line each."""
    return partial(console.print, markup=False, soft_wrap=True)


def results() -> Console:
    """Where results for people go. Not cut to a width when they go to a file."""
    is_terminal = sys.stdout.isatty()
    return Console(highlight=False, soft_wrap=not is_terminal, width=None if is_terminal else 120)


def print_json(document: object) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def byte_progress(console: Console) -> Progress:
    """Bars of bytes; nothing at all where nobody watches."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        DownloadColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def step_progress(console: Console) -> Progress:
    """Bars of counted steps; nothing at all where nobody watches."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def plain_table(*headings: str, title: str | None = None) -> Table:
    """A table without lines; headings that open with ``>`` are of numbers."""
    table = Table(box=None, pad_edge=False, title=title, title_justify="left", header_style="dim")
    for heading in headings:
        is_number = heading.startswith(">")
        table.add_column(
            heading.removeprefix(">"), justify="right" if is_number else "left", no_wrap=is_number
        )
    return table


def size(count: float) -> str:
    """Bytes as people say them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(milliseconds: float) -> str:
    """Time that passed as people say it."""
    seconds = milliseconds / 1000
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"


def instant(milliseconds: int) -> str:
    """A moment, in UTC."""
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S}"
