"""Bars for the pictures, in the benchmarks' own environment."""

import statistics
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

Row = tuple[str, float, float, float]


def rates(runs: list[dict[str, Any]], figure: str) -> list[Row]:
    """(side, median, least, greatest) of `figure` in the runs that were checked, the slowest first."""
    found: dict[str, list[float]] = {}
    for run in runs:
        if run["checked"]:
            found.setdefault(run["side"], []).append(run[figure])
    return sorted(((side, statistics.median(own), min(own), max(own)) for side, own in found.items()), key=lambda row: row[1])


def bars(axes: plt.Axes, names: list[str], rows: list[Row], colours: list[str]) -> None:
    """A bar a row, with its least and greatest round."""
    middle = [row[1] for row in rows]
    error = [[row[1] - row[2] for row in rows], [row[3] - row[1] for row in rows]]
    drawn = axes.barh(names, middle, xerr=error, color=colours, ecolor="#444444", capsize=2)
    axes.bar_label(drawn, labels=[f"{value:,.0f}" for value in middle], padding=6, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.15)
