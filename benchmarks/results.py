"""What was measured: rows of runs, and the figures that are worked out of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

from measuring import Measured

OURS, PROMOTION, COMPACTION = "ours", "our promotion", "our compaction"
#: Ours, when an earlier export saved who is who.
LABELLED = "ours, labelled"
#: The same, when upkeep has brought rows home by what was saved.
AT_HOME = "ours, at home"


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


@dataclass(kw_only=True)
class Results:
    """All rows of one session."""

    profiles: int
    machine: dict[str, object]
    rows: list[Row] = field(default_factory=list)

    def row(self, scenario: str, contender: str) -> Row | None:
        """Find a row that has a result."""
        for row in self.rows:
            if (row.scenario, row.contender) == (scenario, contender) and row.runs:
                return row
        return None

    def times(
        self, scenario: str, contender: str, base_scenario: str, base_contender: str
    ) -> float | None:
        """How many times as long as another row one took; None when either has no result."""
        row, base = self.row(scenario, contender), self.row(base_scenario, base_contender)
        return row.seconds / base.seconds if row and base else None

    def breakeven(self, peer: str) -> float | None:
        """After how many exports of the main scenario our promotion is paid for."""
        ours, promotion = self.row("none", OURS), self.row("none", PROMOTION)
        other = self.row("none", peer)
        if not (ours and promotion and other) or other.seconds <= ours.seconds:
            return None
        return promotion.seconds / (other.seconds - ours.seconds)

    def to_json(self) -> dict[str, Any]:
        """Everything, as it was measured."""
        return {
            "profiles": self.profiles,
            "machine": self.machine,
            "rows": [
                {
                    "scenario": row.scenario,
                    "contender": row.contender,
                    "is_equal": row.is_equal,
                    "note": row.note,
                    "runs": [
                        {
                            "seconds": run.taken.seconds,
                            "cpu_seconds": run.taken.cpu_seconds,
                            "peak_bytes": run.taken.peak_bytes,
                            "tree_bytes": run.tree_bytes,
                            "details": run.taken.details,
                        }
                        for run in row.runs
                    ],
                }
                for row in self.rows
            ],
        }
