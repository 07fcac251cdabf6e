"""The results as files: `jobs.json` for programs, `jobs.md` for people."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.figures import Spread, Target, spread, target_table
from benchmarks.jobs.memory import Memory
from benchmarks.jobs.runs import Kind, Run
from benchmarks.jobs.sides import FRAMEWORKS, LIMIT, OURS

KINDS: Final[dict[Kind, str]] = {
    "publish": "Publish, each job confirmed",
    "consume": "Consume (Chopar with its ledger, the others without one)",
    "mail": "Job to SMTP",
}


class Results(msgspec.Struct):
    """What the rounds that are whole have come to."""

    machine: str = ""
    runs: list[Run] = []
    memory: list[Memory] = []

    def add(self, runs: list[Run]) -> None:
        """One more round of one kind of work or several."""
        self.machine = f"{os.cpu_count()} cores, load {os.getloadavg()[2]:.1f}"
        self.runs += runs


def against(runs: Sequence[Run], kind: Kind, others: Iterable[str], figure: str = "jobs_per_second") -> Spread | None:
    """Our figure by the greatest of `others`', for each round in which both were checked."""
    by = {(run.side, run.round): getattr(run, figure) for run in runs if run.kind == kind and run.checked}
    best = {n: max((by[side, n] for side in others if (side, n) in by), default=0.0) for _, n in by}
    return spread(by[OURS, n] / best[n] for n in sorted(best) if best[n] and (OURS, n) in by)


def targets(results: Results) -> list[Target]:
    """What was asked for, and what was found in this run."""
    runs, sure = results.runs, [name for name in FRAMEWORKS if name != "Dramatiq"]
    found = [
        Target("publish, ÷ aio-pika", 0.95, against(runs, "publish", [LIMIT])),
        Target("publish, ÷ the best framework", 1.5, against(runs, "publish", FRAMEWORKS)),
        Target("consume with the ledger, ÷ aio-pika without", 1.0, against(runs, "consume", [LIMIT])),
        *(Target(f"consume with the ledger, ÷ {name}", 2.0, against(runs, "consume", [name])) for name in sure),
        Target("job to SMTP, ÷ the best framework", 2.5, against(runs, "mail", FRAMEWORKS)),
        Target("latency p99, ÷ aio-pika's", 1.5, against(runs, "latency", [LIMIT], "p99"), at_most=True),
    ]
    flat = {one.what: one.growth for one in results.memory}
    return [
        *found,
        *(
            Target(f"a mailer's memory, {what}: end ÷ begin", 1.1, spread([growth]), at_most=True)
            for what, growth in flat.items()
        ),
    ]


def markdown(results: Results) -> list[str]:
    """All tables."""
    lines = [
        f"On {results.machine}. Medians; in brackets the least and the greatest of the rounds' ratios.",
        "",
        *target_table(targets(results)),
    ]
    for kind, title in KINDS.items():
        own = [run for run in results.runs if run.kind == kind]
        if own:
            lines += ["", f"{title}, {_amount(own)}:", "", *_table(own, kind)]
    steady = [run for run in results.runs if run.kind == "latency"]
    if steady:
        lines += [
            "",
            f"Publish → handled at {steady[0].jobs_per_second:.0f} jobs/s, {_amount(steady)}, ms:",
            "",
            *_latencies(steady),
        ]
    if results.memory:
        lines += [
            "",
            "A mailer's memory:",
            "",
            "| work | jobs | MB at a tenth | MB at the end | peak MB |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
        lines += [
            f"| {one.what} | {one.jobs:,} | {one.begin_mb:.0f} | {one.end_mb:.0f} | {one.peak_mb:.0f} |" for one in results.memory
        ]
    return lines


def _amount(runs: Sequence[Run]) -> str:
    return f"{runs[0].jobs:,} jobs, {max(run.round for run in runs)} rounds"


def _table(runs: Sequence[Run], kind: Kind) -> list[str]:
    rows = []
    for side in dict.fromkeys(run.side for run in runs):
        own = [run for run in runs if run.side == side]
        good = [run for run in own if run.checked]
        rate, cpu, peak = (spread(getattr(run, name) for run in good) for name in ("jobs_per_second", "cpu_us", "peak_mb"))
        times = "1" if side == OURS else str(against(runs, kind, [side]) or "-")
        figures = (
            f"{rate.median:,.0f} | {times} | {cpu.median:.0f} | {peak.median:,.0f}" if rate and cpu and peak else "- | - | - | -"
        )
        rows.append((-(rate.median if rate else 0.0), f"| {side} | {figures} | {len(good)} of {len(own)} |"))
    return [
        f"| side | jobs/s | {OURS} is … times as fast | CPU µs a job | peak MB | checked |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
        *(line for _, line in sorted(rows)),
    ]


def _latencies(runs: Sequence[Run]) -> list[str]:
    lines = ["| side | p50 | p99 | checked |", "| --- | ---: | ---: | --- |"]
    for side in dict.fromkeys(run.side for run in runs):
        own = [run for run in runs if run.side == side]
        good = [run for run in own if run.checked]
        p50, p99 = (spread(getattr(run, name) for run in good) for name in ("p50", "p99"))
        lines.append(f"| {side} | {p50 or '-'} | {p99 or '-'} | {len(good)} of {len(own)} |")
    return lines


def report(results: Results, folder: Path) -> None:
    """Write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jobs.json").write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    (folder / "jobs.md").write_text("\n".join(markdown(results)) + "\n")
