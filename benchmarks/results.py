"""What was measured: kept as JSON, shown as a table, and held against what was asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from measuring import Measured

OURS, PROMOTION = "ours", "our promotion"


@dataclass(kw_only=True)
class Row:
    """One contender in one scenario."""

    scenario: str
    contender: str
    runs: list[Measured] = field(default_factory=list)
    #: Whether its output is that of ours; null when it was not compared.
    is_equal: bool | None = None
    #: Why there is no result, or what else is to be said.
    note: str = ""

    @property
    def seconds(self) -> float:
        return median(run.taken.seconds for run in self.runs)

    @property
    def cpu_seconds(self) -> float:
        return median(run.taken.cpu_seconds for run in self.runs)

    @property
    def peak_bytes(self) -> int:
        return max(run.taken.peak_bytes for run in self.runs)

    @property
    def tree_bytes(self) -> int:
        return max(run.tree_bytes for run in self.runs)


@dataclass(frozen=True, kw_only=True)
class Aim:
    """One thing that was asked for, and what came of it."""

    asked: str
    measured: str
    is_met: bool


@dataclass(kw_only=True)
class Results:
    """All rows of one session."""

    profiles: int
    machine: dict[str, Any]
    rows: list[Row] = field(default_factory=list)

    def row(self, scenario: str, contender: str) -> Row | None:
        """Find a row that has a result."""
        for row in self.rows:
            if (row.scenario, row.contender) == (scenario, contender) and row.runs:
                return row
        return None

    def ratio(self, row: Row) -> float | None:
        """How many times as long as ours it took."""
        ours = self.row(row.scenario, OURS)
        return row.seconds / ours.seconds if ours and row.runs else None

    def breakeven(self, scenario: str, peer: str) -> float | None:
        """After how many exports our promotion is paid for."""
        rows = [self.row(scenario, name) for name in (OURS, peer, PROMOTION)]
        if any(row is None for row in rows):
            return None
        ours, other, promotion = (row.seconds for row in rows if row)
        return promotion / (other - ours) if other > ours else None

    def cells(self) -> list[list[str]]:
        """The table, as text: one list a row, in the order of :data:`HEADINGS`."""
        return [self._cells_of(row) for row in self.rows]

    def _cells_of(self, row: Row) -> list[str]:
        if not row.runs:
            return [row.scenario, row.contender, "–", "–", "–", "–", "–", "–", row.note]
        ratio = self.ratio(row)
        equal = {None: "–", True: "yes", False: "NO"}[row.is_equal]
        return [
            row.scenario,
            row.contender,
            f"{row.seconds:.2f}",
            f"{row.cpu_seconds:.2f}",
            f"{row.peak_bytes / 2**30:.2f}",
            f"{row.tree_bytes / 2**30:.2f}",
            f"{ratio:.2f}" if ratio and row.contender != PROMOTION else "–",
            equal,
            row.note,
        ]

    def aims(self) -> list[Aim]:
        """Hold the results against what was asked for at a million profiles."""
        aims = []
        for peer, least in (("DuckDB", 4.5), ("Polars", 2.5)):
            if (row := self.row("none", peer)) and (ratio := self.ratio(row)):
                asked = f"at least {least} times faster than {peer}"
                aims.append(Aim(asked=asked, measured=f"{ratio:.2f}", is_met=ratio >= least))
        ours = self.row("none", OURS)
        if ours is None:
            return aims
        if floor := self.row("none", "floor"):
            times = ours.seconds / floor.seconds
            asked = "at most 1.8 times the floor"
            aims.append(Aim(asked=asked, measured=f"{times:.2f}", is_met=times <= 1.8))
        peak = ours.peak_bytes / 1e9
        asked = "peak memory of the engine child at most 1.2 GB"
        aims.append(Aim(asked=asked, measured=f"{peak:.2f} GB", is_met=peak <= 1.2))
        for name, most, asked in (
            ("pdg-linked", 3.0, "pdg without a saved labelling at most 3 times none"),
            ("pdg-namespaces", 3.0, "every source in its own namespace at most 3 times none"),
            ("small-batches", 1.3, "200 small batches at most 1.3 times the 27"),
        ):
            if row := self.row(name, OURS):
                times = row.seconds / ours.seconds
                aims.append(Aim(asked=asked, measured=f"{times:.2f}", is_met=times <= most))
        if promotion := self.row("none", PROMOTION):
            rate = promotion.runs[0].taken.details["rows_per_second"]
            asked = "promotion of at least 200,000 rows/s (Parquet)"
            aims.append(Aim(asked=asked, measured=f"{rate:,.0f}", is_met=rate >= 200_000))
        return aims

    def markdown(self) -> str:
        lines = [f"# {self.profiles:,} profiles, {self.profiles * 10:,} events", ""]
        lines += [f"* {name}: {value}" for name, value in self.machine.items()]
        lines += ["", f"| {' | '.join(HEADINGS)} |", f"|{' --- |' * len(HEADINGS)}"]
        lines += [f"| {' | '.join(cells)} |" for cells in self.cells()]
        if aims := self.aims():
            lines += ["", "| asked for, at a million profiles on two cores | measured | met |"]
            lines += ["| --- | --- | --- |"]
            lines += [f"| {a.asked} | {a.measured} | {'yes' if a.is_met else 'NO'} |" for a in aims]
        for peer in ("DuckDB", "Polars", "PySpark"):
            if exports := self.breakeven("none", peer):
                lines += ["", f"Our promotion is paid for after {exports:.1f} exports beside {peer}."]
        return "\n".join(lines) + "\n"

    def to_json(self) -> dict[str, Any]:
        return {
            "profiles": self.profiles,
            "machine": self.machine,
            "rows": [asdict(row) for row in self.rows],
            "aims": [asdict(aim) for aim in self.aims()],
        }


HEADINGS = (
    "scenario",
    "contender",
    "time (s)",
    "CPU (s)",
    "peak memory (GiB)",
    "process tree (GiB)",
    "times ours",
    "same output",
    "note",
)
