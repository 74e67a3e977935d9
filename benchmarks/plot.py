"""Draws the results as bars: time and memory of the main scenario, and our time in all of them."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from results import OURS, PROMOTION, Results

OUR_COLOUR, PEER_COLOUR, FLOOR_COLOUR = "#1b7f5c", "#8a93a6", "#d9b44a"


def draw(results: Results, target: Path) -> None:
    """Write the PNG."""
    main = [row for row in results.rows if row.scenario == "none" and row.runs]
    main = [row for row in main if row.contender != PROMOTION]
    ours = [row for row in results.rows if row.contender == OURS and row.runs]
    figure, (times, memory, variants) = plt.subplots(1, 3, figsize=(15, 3.6))
    names = [row.contender for row in main]
    _bars(times, names, [row.seconds for row in main], "seconds", "{:.1f}")
    _bars(memory, names, [row.peak_bytes / 2**30 for row in main], "peak memory, GiB", "{:.2f}")
    seconds = [row.seconds for row in ours]
    _bars(variants, [row.scenario for row in ours], seconds, "ours, by variant: seconds", "{:.1f}")
    for bar in variants.patches:
        bar.set_color(OUR_COLOUR)
    figure.suptitle(f"Merging and exporting {results.profiles:,} profiles on two cores")
    figure.tight_layout()
    figure.savefig(target, dpi=130)
    plt.close(figure)


def _bars(axes: Axes, names: list[str], values: list[float], title: str, spelt: str) -> None:
    colours = {OURS: OUR_COLOUR, "floor": FLOOR_COLOUR}
    bars = axes.barh(names, values, color=[colours.get(name, PEER_COLOUR) for name in names])
    axes.bar_label(bars, labels=[spelt.format(value) for value in values], padding=3)
    axes.invert_yaxis()
    axes.set_title(title)
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
