"""What the runs come to: medians, and ratios between sides of one round, which a busy machine disturbs least."""

from collections.abc import Sequence

from benchmarks.figures import spread
from benchmarks.stream.side import Run


def ratios(runs: Sequence[Run], side: str, other: str) -> list[float]:
    """`side`'s rate by `other`'s, for each round in which both were checked."""
    rates = {(run.side, run.round): run.events_per_second for run in runs if run.checked}
    rounds = sorted({number for _, number in rates})
    return [rates[side, n] / rates[other, n] for n in rounds if (side, n) in rates and rates.get((other, n))]


def table(runs: Sequence[Run], ours: str) -> list[str]:
    """A table in Markdown, the fastest side first. A side that failed its check in a round has no figure from it."""
    lines = [
        f"| side | events/s | {ours} is … times as fast | CPU µs an event | peak MB | input | checked |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    rows = []
    for side in dict.fromkeys(run.side for run in runs):
        own = [run for run in runs if run.side == side]
        good = [run for run in own if run.checked]
        rate, cpu, peak = (spread(getattr(run, name) for run in good) for name in ("events_per_second", "cpu_us", "peak_mb"))
        times = "1" if side == ours else str(spread(ratios(runs, ours, side)) or "-")
        if rate and cpu and peak:
            line = f"| {side} | {rate.median:,.0f} | {times} | {cpu.median:.1f} | {peak.median:,.0f} | {own[0].records:,} | "
            rows.append((-rate.median, f"{line}{len(good)} of {len(own)} |"))
        else:
            rows.append((0.0, f"| {side} | - | - | - | - | {own[0].records:,} | 0 of {len(own)} |"))
    return [*lines, *(line for _, line in sorted(rows))]
