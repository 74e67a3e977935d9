"""What was asked of the engine at a million profiles on two cores, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from results import AT_HOME, LABELLED, OURS, PROMOTION, Results

GB = 1e9
PROFILES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One thing that was asked for, and what was measured."""

    asked: str
    measured: str
    is_met: bool


@dataclass(frozen=True, kw_only=True)
class Aim:
    """One thing that is asked for: a figure and its bound."""

    asked: str
    figure: Callable[[Results], float | None]
    at_least: float = 0
    at_most: float = float("inf")
    spelt: str = "{:.2f}"

    def outcome(self, results: Results) -> Outcome | None:
        """Hold results against it; None when they do not have the figure."""
        figure = self.figure(results)
        if figure is None:
            return None
        return Outcome(
            asked=self.asked,
            measured=self.spelt.format(figure),
            is_met=self.at_least <= figure <= self.at_most,
        )


def outcomes(results: Results) -> list[Outcome]:
    """Hold results against all aims they have figures for; none at another size."""
    if results.profiles != PROFILES:
        return []
    return [outcome for aim in AIMS if (outcome := aim.outcome(results))]


def _beside(contender: str) -> Callable[[Results], float | None]:
    """How many times our time a contender takes in the main scenario."""
    return lambda results: results.times("none", contender, "none", OURS)


def _beside_none(scenario: str) -> Callable[[Results], float | None]:
    """How many times the main scenario's time ours takes in another."""
    return lambda results: results.times(scenario, OURS, "none", OURS)


def _peak(results: Results) -> float | None:
    """Of all processes together, and whoever measures: tasks have processes of their own."""
    row = results.row("none", OURS)
    return row.tree_bytes / GB if row else None


def _promotion_rate(results: Results) -> float | None:
    row = results.row("none", PROMOTION)
    return float(row.runs[0].taken.details["rows_per_second"]) if row else None


AIMS = (
    Aim(asked="at least 4.5 times faster than DuckDB", figure=_beside("DuckDB"), at_least=4.5),
    Aim(asked="at least 2.5 times faster than Polars", figure=_beside("Polars"), at_least=2.5),
    Aim(
        asked="at most 1.8 times the floor",
        figure=lambda results: results.times("none", OURS, "none", "floor"),
        at_most=1.8,
    ),
    Aim(
        asked="peak memory of the engine's processes at most 1.2 GB",
        figure=_peak,
        at_most=1.2,
        spelt="{:.2f} GB",
    ),
    Aim(
        asked="pdg with a saved labelling at most 1.6 times none",
        figure=lambda results: results.times("pdg-linked", LABELLED, "none", OURS),
        at_most=1.6,
    ),
    Aim(
        asked="the same after compaction at most 1.6 times none",
        figure=lambda results: results.times("pdg-linked", AT_HOME, "none", OURS),
        at_most=1.6,
    ),
    Aim(
        asked="pdg without a saved labelling at most 3 times none",
        figure=_beside_none("pdg-linked"),
        at_most=3,
    ),
    Aim(
        asked="pdg with every source in a namespace of its own at most 3 times none",
        figure=_beside_none("pdg-namespaces"),
        at_most=3,
    ),
    Aim(
        asked="the same with a saved labelling at most 3 times none",
        figure=lambda results: results.times("pdg-namespaces", LABELLED, "none", OURS),
        at_most=3,
    ),
    Aim(
        asked="200 small batches at most 1.3 times the 27",
        figure=_beside_none("small-batches"),
        at_most=1.3,
    ),
    Aim(
        asked="a hundred segments at most 2.5 times an export of the same fields",
        figure=_beside_none("segments"),
        at_most=2.5,
    ),
    Aim(
        asked="a hundred segments with chained events at most 5 times an export",
        figure=_beside_none("segments-chained"),
        at_most=5,
    ),
    *(
        Aim(
            asked=f"{scenario} faster than DuckDB",
            figure=lambda results, scenario=scenario: results.times(
                scenario, "DuckDB", scenario, OURS
            ),
            at_least=1,
        )
        for scenario in ("segments", "segments-chained")
    ),
    Aim(
        asked="promotion of Parquet at least 200,000 rows/s",
        figure=_promotion_rate,
        at_least=200_000,
        spelt="{:,.0f}",
    ),
)
