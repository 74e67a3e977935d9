"""Shows results: as a table for people, as Markdown, as JSON and as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import aims
from plot import draw
from results import COMPACTION, OURS, PROMOTION, Results, Row
from rich.console import Console
from rich.table import Table

#: With how they are aligned.
HEADINGS: dict[str, Literal["left", "right"]] = {
    "contender": "left",
    "time (s)": "right",
    "CPU (s)": "right",
    "peak (GiB)": "right",
    "tree (GiB)": "right",
    "times ours": "right",
    "same output": "left",
    "note": "left",
}
PEERS = ("DuckDB", "Polars", "PySpark")
GIB = 2**30


def show(results: Results, console: Console) -> None:
    """Print the table and how it stands with the aims."""
    for scenario in _scenarios(results):
        table = Table(title=f"{scenario}, {results.profiles:,} profiles", title_justify="left")
        for heading, side in HEADINGS.items():
            table.add_column(heading, justify=side)
        for row in results.rows:
            if row.scenario == scenario:
                style = "bold" if row.contender == OURS else None
                table.add_row(*_cells(results, row), style=style)
        console.print(table)
    for outcome in aims.outcomes(results):
        mark = "[green]met" if outcome.is_met else "[red]missed"
        console.print(f"{mark}[/]: {outcome.asked}: {outcome.measured}")
    for line in _breakevens(results):
        console.print(line)


def write(results: Results, folder: Path) -> Path:
    """Write Markdown, JSON and PNG, named by the number of profiles; gives the first."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / str(results.profiles)
    stem.with_suffix(".json").write_text(json.dumps(results.to_json(), indent=1) + "\n")
    stem.with_suffix(".md").write_text(_markdown(results))
    draw(results, stem.with_suffix(".png"))
    return stem.with_suffix(".md")


def _cells(results: Results, row: Row) -> list[str]:
    if not row.runs:
        return [row.contender, *[""] * 6, row.note]
    ratio = results.times(row.scenario, row.contender, row.scenario, OURS)
    return [
        row.contender,
        f"{row.seconds:.2f}",
        f"{row.cpu_seconds:.2f}",
        f"{row.peak_bytes / GIB:.2f}",
        f"{row.tree_bytes / GIB:.2f}",
        f"{ratio:.2f}" if ratio and row.contender not in {PROMOTION, COMPACTION} else "",
        {None: "", True: "yes", False: "NO"}[row.is_equal],
        row.note,
    ]


def _markdown(results: Results) -> str:
    lines = [f"# {results.profiles:,} profiles, {results.profiles * 10:,} events", ""]
    lines += [f"* {name}: {value}" for name, value in results.machine.items()]
    for scenario in _scenarios(results):
        lines += ["", f"## {scenario}", "", f"| {' | '.join(HEADINGS)} |"]
        sides = ("---:" if side == "right" else "---" for side in HEADINGS.values())
        lines += [f"| {' | '.join(sides)} |"]
        rows = [row for row in results.rows if row.scenario == scenario]
        lines += [f"| {' | '.join(_cells(results, row))} |" for row in rows]
    if outcomes := aims.outcomes(results):
        lines += [
            "",
            "## What was asked for",
            "",
            "| asked for, at a million profiles on two cores | measured | met |",
        ]
        lines += ["| --- | ---: | --- |"]
        lines += [f"| {o.asked} | {o.measured} | {'yes' if o.is_met else 'NO'} |" for o in outcomes]
    lines += ["", *_breakevens(results)]
    return "\n".join(lines).rstrip() + "\n"


def _scenarios(results: Results) -> list[str]:
    return list(dict.fromkeys(row.scenario for row in results.rows))


def _breakevens(results: Results) -> list[str]:
    return [
        f"Our promotion is paid for after {exports:.1f} exports beside {peer}."
        for peer in PEERS
        if (exports := results.breakeven(peer))
    ]
