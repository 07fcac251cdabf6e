"""Draws `stream.svg` from `stream.json`, in the benchmarks' own environment: `python -m benchmarks.stream.picture IN OUT`."""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

LIMITS = {"confluent-kafka", "aiokafka"}
NO_CHANGELOG = {*LIMITS, "Bytewax", "FastStream"}


def rates(runs: list[dict[str, Any]]) -> list[tuple[str, float, float, float]]:
    """(side, median, least, greatest), the slowest first."""
    found: dict[str, list[float]] = {}
    for run in runs:
        if run["checked"]:
            found.setdefault(run["side"], []).append(run["events_per_second"])
    return sorted(((side, statistics.median(own), min(own), max(own)) for side, own in found.items()), key=lambda row: row[1])


def draw(results: dict[str, Any], target: Path) -> None:
    """Bars of events a second."""
    rows = rates(results["users_1000"])
    figure, axes = plt.subplots(figsize=(8, 0.5 * len(rows) + 1.2))
    colours = ["#c0392b" if side == "chopar" else "#b0b8c0" if side in LIMITS else "#5b7fa6" for side, *_ in rows]
    names = [f"{side}{' (no changelog)' if side in NO_CHANGELOG else ''}" for side, *_ in rows]
    middle = [row[1] for row in rows]
    error = [[row[1] - row[2] for row in rows], [row[3] - row[1] for row in rows]]
    bars = axes.barh(names, middle, xerr=error, color=colours, ecolor="#444444", capsize=2)
    axes.bar_label(bars, labels=[f"{value:,.0f}" for value in middle], padding=6, fontsize=8)
    axes.set_xlabel("events/s (1,000 users, 8 partitions; every output checked; bars: least and greatest round)", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.15)
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
