"""Draws `jobs.svg` from `jobs.json`, in the benchmarks' own environment: `python -m benchmarks.jobs.picture IN OUT`."""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from benchmarks.bars import bars, rates

TITLES = {"publish": "publish, confirmed", "consume": "consume (chopar: with ledger)", "mail": "job to SMTP"}


def draw(results: dict[str, Any], target: Path) -> None:
    """Bars of jobs a second for each kind of work."""
    figure, places = plt.subplots(len(TITLES), 1, figsize=(8, 8))
    for axes, (kind, title) in zip(places, TITLES.items(), strict=True):
        rows = rates([run for run in results["runs"] if run["kind"] == kind], "jobs_per_second")
        colours = [{"chopar": "#c0392b", "aio-pika": "#b0b8c0"}.get(side, "#5b7fa6") for side, *_ in rows]
        bars(axes, [side for side, *_ in rows], rows, colours)
        axes.set_title(f"{title}, jobs/s", fontsize=9, loc="left")
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
