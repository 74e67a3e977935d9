"""Measures our engine beside its peers, on the same rows in the same session: ``make bench``.

Every contender runs in a fresh process, in turns, with the files in the page cache. See
``benchmarks/README.md`` for what is measured and how honest it is.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import making
import outputs
import report
from measuring import Failed, Limits, run
from results import AT_HOME, COMPACTION, LABELLED, OURS, PROMOTION, Results, Row
from rich.console import Console
from scenarios import Scenario, scenarios
from workload import Workload

RESULTS = Path(__file__).parent / "results"
#: By the name in the table. Ours first: its output is what the others' is compared with.
SCRIPTS = {
    OURS: "ours.py",
    LABELLED: "ours_labelled.py",
    AT_HOME: "ours_at_home.py",
    "DuckDB": "duckdb_sql.py",
    "Polars": "polars_lazy.py",
    "PySpark": "spark_sql.py",
    "floor": "floor.py",
}
QUICK_PROFILES, PROFILES = 50_000, 1_000_000
QUICK_RUNS, RUNS = 1, 5
#: Above this load others are at work too, and times mean little.
QUIET_LOAD = 0.7

console = Console()


@dataclass(frozen=True, kw_only=True)
class Session:
    """What was asked for on the command line."""

    scratch: Path
    runs: int
    #: Of what is not the main scenario.
    variant_runs: int
    limits: Limits
    contenders: tuple[str, ...]
    #: Workloads that need not be promoted again.
    promoted: set[Path]


def main() -> None:
    asked = _arguments()
    session = Session(
        scratch=asked.scratch,
        runs=asked.runs or (QUICK_RUNS if asked.quick else RUNS),
        variant_runs=asked.variant_runs or asked.runs or (QUICK_RUNS if asked.quick else RUNS),
        limits=Limits(seconds=asked.timeout, memory_bytes=_memory_bytes() * 8 // 10),
        contenders=tuple(asked.contenders),
        promoted=_kept_stores(asked.scratch) if asked.keep_store else set(),
    )
    profiles = asked.profiles or (QUICK_PROFILES if asked.quick else PROFILES)
    chosen = [s for s in scenarios(profiles) if not asked.variants or s.name in asked.variants]
    session.scratch.mkdir(parents=True, exist_ok=True)
    if asked.tune:
        for peer in ("DuckDB", "Polars"):
            _tune(session, chosen[0], peer)
        return
    results = Results(profiles=profiles, machine=_machine(session))
    for scenario in chosen:
        _measure(session, scenario, results)
    report.show(results, console)
    console.print(f"Written, beside .json and .png, to {report.write(results, asked.results)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [scenario.name for scenario in scenarios(1)]
    parser.add_argument("--profiles", type=int, help=f"how many profiles (default {PROFILES:,})")
    parser.add_argument("--runs", type=int, help=f"runs, whose median counts (default {RUNS})")
    parser.add_argument("--variant-runs", type=int, help="runs of all variants but the first")
    parser.add_argument("--variants", nargs="*", choices=names, help="only these")
    parser.add_argument("--contenders", nargs="*", choices=SCRIPTS, default=list(SCRIPTS))
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK_PROFILES:,} profiles, {QUICK_RUNS} run"
    )
    parser.add_argument(
        "--tune", action="store_true", help="measure the ways in which the peers can be written"
    )
    parser.add_argument(
        "--keep-store", action="store_true", help="do not promote again what was promoted before"
    )
    parser.add_argument("--timeout", type=float, default=1800, help="seconds a run may take")
    folder = Path(tempfile.gettempdir()) / "profile-exports-bench"
    parser.add_argument("--scratch", type=Path, default=folder, help="where the data is kept")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def _measure(session: Session, scenario: Scenario, results: Results) -> None:
    """Run all contenders of a scenario in turns and compare what they wrote."""
    console.rule(f"{scenario.name}: {scenario.shows}")
    with console.status("making the data"):
        workload = making.make(scenario.parameters, session.scratch)
    folder = session.scratch / "runs" / scenario.parameters.name / scenario.name
    shutil.rmtree(folder, ignore_errors=True)
    results.rows += _promoted(session, scenario, workload, folder)
    rows = {
        name: Row(scenario=scenario.name, contender=name) for name in _invited(session, scenario)
    }
    results.rows += rows.values()
    with console.status("reading everything once"):
        _warm(workload)
    for number in range(session.runs if scenario.is_main else session.variant_runs):
        for name, row in _in_turn(rows, number):
            _run_once(session, scenario, workload, row, folder / f"{name}-{number}", folder)
            console.print(_said(row, number))
    for row in rows.values():
        if scenario.request.segments:
            row.is_equal, difference = _same_members(row, rows.get(OURS))
        else:
            row.is_equal, difference = _compared(row, scenario, folder)
        row.note = row.note or difference
    shutil.rmtree(folder, ignore_errors=True)


def _promoted(
    session: Session, scenario: Scenario, workload: Workload, folder: Path
) -> Iterator[Row]:
    """Promote the workload, unless an earlier scenario did or its store may be kept."""
    if workload.folder in session.promoted:
        return
    session.promoted.add(workload.folder)
    row = Row(scenario=scenario.name, contender=PROMOTION)
    with console.status("promoting"):
        measured = run(
            "ours_promotion.py", workload, scenario.request, folder / "promotion", session.limits
        )
    row.runs.append(measured)
    row.note = f"{measured.taken.details['rows_per_second']:,.0f} rows/s, once"
    console.print(_said(row, 0))
    yield row
    if scenario.is_compacted:
        yield _compacted(session, scenario, workload, folder)


def _compacted(session: Session, scenario: Scenario, workload: Workload, folder: Path) -> Row:
    """Compact the store as workers do between two exports."""
    row = Row(scenario=scenario.name, contender=COMPACTION)
    with console.status("compacting"):
        measured = run(
            "ours_compaction.py", workload, scenario.request, folder / "compaction", session.limits
        )
    row.runs.append(measured)
    details = measured.taken.details
    row.note = f"{details['files_before']} store files became {details['files']}, once"
    console.print(_said(row, 0))
    return row


def _kept_stores(scratch: Path) -> set[Path]:
    return {store.parents[1] for store in scratch.glob("*/store/store.json")}


def _invited(session: Session, scenario: Scenario) -> list[str]:
    """Name who takes part: everybody in the main scenario, those that can in the others."""
    names = [name for name in SCRIPTS if name in session.contenders]
    if not scenario.is_main:
        names = [name for name in names if name != "PySpark"]
    if scenario.request.is_stitched:
        names = [name for name in names if name != "Polars"]
    else:
        names = [name for name in names if name not in {LABELLED, AT_HOME}]
    if scenario.request.segments:
        names = [name for name in names if name in {OURS, "DuckDB"}]
    return names


def _in_turn(rows: dict[str, Row], number: int) -> Iterator[tuple[str, Row]]:
    """Yield the contenders, another one first each time; ours in the first run, since the floor
    and the comparison need its output."""
    names = list(rows)
    start = number % len(names)
    for name in names[start:] + names[:start]:
        if not rows[name].note:
            yield name, rows[name]


def _run_once(
    session: Session,
    scenario: Scenario,
    workload: Workload,
    row: Row,
    output: Path,
    folder: Path,
) -> None:
    if row.contender == "PySpark" and (reason := _why_no_spark()):
        row.note = reason
        return
    reference = folder / f"{OURS}-0"
    if row.contender == "floor" and not reference.exists():
        row.note = "has no output of ours to write again"
        return
    try:
        with console.status(row.contender):
            measured = run(
                SCRIPTS[row.contender],
                workload,
                scenario.request,
                output,
                session.limits,
                reference=reference if row.contender == "floor" else None,
            )
    except Failed as failed:
        row.note = str(failed)
        return
    finally:
        if not output.name.endswith("-0"):
            shutil.rmtree(output, ignore_errors=True)
    row.runs.append(measured)


def _compared(row: Row, scenario: Scenario, folder: Path) -> tuple[bool | None, str]:
    """Compare what a contender wrote first with what ours did."""
    if not row.runs or row.contender == OURS:
        return None, _determinism(row)
    ours = folder / f"{OURS}.digests"
    if not ours.exists():
        if not (folder / f"{OURS}-0").exists():
            return None, ""
        outputs.digest(folder / f"{OURS}-0", scenario.request, ours)
    theirs = folder / f"{row.contender}.digests"
    with console.status(f"comparing {row.contender}"):
        outputs.digest(folder / f"{row.contender}-0", scenario.request, theirs)
        comparison = outputs.compare(ours, theirs)
    return comparison.is_equal, "" if comparison.is_equal else str(comparison)


def _same_members(row: Row, ours: Row | None) -> tuple[bool | None, str]:
    """Compare how many members each segment has."""
    if not row.runs or row.contender == OURS:
        return None, _determinism(row)
    if ours is None or not ours.runs:
        return None, ""
    first, second = (each.runs[0].taken.details["members"] for each in (ours, row))
    differing = [f"{n}: {a} and {b}" for n, (a, b) in enumerate(zip(first, second)) if a != b]  # noqa: B905
    return not differing and len(first) == len(second), "; ".join(differing[:5])


def _determinism(row: Row) -> str:
    """Say whether all runs of ours wrote the same bytes."""
    checksums = {tuple(measured.taken.details["sha256"]) for measured in row.runs}
    if not checksums:
        return ""
    same = "same bytes" if len(checksums) == 1 else "NOT the same bytes"
    return f"{same} in {len(row.runs)} runs"


def _tune(session: Session, scenario: Scenario, peer: str) -> None:
    """Measure every form of a peer once."""
    workload = making.make(scenario.parameters, session.scratch)
    _warm(workload)
    forms = importlib.import_module(SCRIPTS[peer].removesuffix(".py")).FORMS
    for form in forms:
        output = session.scratch / "runs" / "tune"
        shutil.rmtree(output, ignore_errors=True)
        try:
            measured = run(
                SCRIPTS[peer], workload, scenario.request, output, session.limits, form=form
            )
        except Failed as failed:
            console.print(f"{peer:8} {form:28} {failed}")
            continue
        taken = measured.taken
        console.print(
            f"{peer:8} {form:28} {taken.seconds:7.2f} s {taken.cpu_seconds:7.2f} CPU"
            f" {taken.peak_bytes / 2**30:6.2f} GiB"
        )


def _warm(workload: Workload) -> None:
    """Read all files once, so that nobody waits for the disk."""
    for kind in ("*.parquet", "*.arrow"):
        for path in workload.folder.rglob(kind):
            with path.open("rb") as file:
                while file.read(1 << 24):
                    pass


def _why_no_spark() -> str:
    if importlib.util.find_spec("pyspark") is None:
        return "left out: pyspark is not installed (pip install pyspark)"
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        return "left out: there is no Java"
    return ""


def _machine(session: Session) -> dict[str, object]:
    load = os.getloadavg()[0]
    if load > QUIET_LOAD:
        console.print(f"[red]The machine is not quiet (load {load:.1f}): times will mean little.")
    libraries = ["pyarrow", "numpy", "duckdb", "polars"]
    if not _why_no_spark():
        libraries.append("pyspark")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory": f"{_memory_bytes() / 2**30:.0f} GiB",
        "processor": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "libraries": ", ".join(f"{name} {version(name)}" for name in libraries),
        "runs": f"{session.runs}, medians; load at the start {load:.1f}",
    }


def _memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _said(row: Row, number: int) -> str:
    if not row.runs:
        return f"  {row.contender:14} {row.note}"
    taken = row.runs[-1].taken
    return (
        f"  {row.contender:14} run {number + 1}: {taken.seconds:7.2f} s,"
        f" {taken.cpu_seconds:7.2f} CPU, {taken.peak_bytes / 2**30:5.2f} GiB {row.note}"
    )


if __name__ == "__main__":
    sys.exit(main())
