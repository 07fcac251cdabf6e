"""Draws `stream.svg` from `stream.json`, in the benchmarks' own environment: `python -m benchmarks.stream.picture IN OUT`."""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from benchmarks.bars import bars, rates

LIMITS = {"confluent-kafka", "aiokafka"}
NO_CHANGELOG = {*LIMITS, "Bytewax", "FastStream"}


def draw(results: dict[str, Any], target: Path) -> None:
    """Bars of events a second."""
    rows = rates(results["users_1000"], "events_per_second")
    figure, axes = plt.subplots(figsize=(8, 0.5 * len(rows) + 1.2))
    colours = ["#c0392b" if side == "chopar" else "#b0b8c0" if side in LIMITS else "#5b7fa6" for side, *_ in rows]
    names = [f"{side}{' (no changelog)' if side in NO_CHANGELOG else ''}" for side, *_ in rows]
    bars(axes, names, rows, colours)
    axes.set_xlabel("events/s (1,000 users, 8 partitions; every output checked; bars: least and greatest round)", fontsize=8)
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
