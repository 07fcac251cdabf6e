"""The results as files: `console.json` for programs, `console.md` for people."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from benchmarks.console.viewers import PAGES, Seen
from benchmarks.figures import Target, percentile, spread, target_table
from benchmarks.stream.side import Run


class Steady(msgspec.Struct, kw_only=True):
    """A steady stream. `output_ms`, `store_ms`: sent to output, and sent to visible in the store, p50 and p99."""

    round: int
    viewers: int
    events_per_second: float
    missing: int
    output_ms: tuple[float, float]
    store_ms: tuple[float, float]
    seen: Seen


class Capacity(msgspec.Struct, kw_only=True):
    """A backlog, drained; its whole output was checked."""

    round: int
    viewers: int
    run: Run
    seen: Seen


class Results(msgspec.Struct, kw_only=True):
    """What the rounds that are whole have come to."""

    viewers: int
    rate: int
    machine: str = ""
    steady: list[Steady] = []
    capacity: list[Capacity] = []

    def add(self, steady: list[Steady], capacity: list[Capacity], machine: str) -> None:
        """One more round."""
        self.steady += steady
        self.capacity += capacity
        self.machine = machine


def pages(results: Results) -> dict[str, list[float]]:
    """How long each page took, in milliseconds, in order: all that were opened while the stream was steady."""
    looked = [one.seen.pages for one in results.steady if one.viewers]
    return {name: sorted(took for seen in looked for took in seen.get(name, [])) for name in PAGES}


def ratios(figures: Iterable[tuple[int, int, float]]) -> list[float]:
    """Of (round, viewers, figure): with viewers by without, for each round that has both."""
    by = {(number, viewers > 0): figure for number, viewers, figure in figures}
    return [by[number, True] / without for (number, viewed), without in by.items() if not viewed and (number, True) in by]


def targets(results: Results) -> list[Target]:
    """What was asked for, and what was found in this run."""
    medians = [percentile(took, 0.5) for took in pages(results).values()]
    steady = ratios((one.round, one.viewers, one.events_per_second) for one in results.steady)
    drained = ratios((one.round, one.viewers, one.run.events_per_second) for one in results.capacity if one.run.checked)
    at = f"at {results.rate:,} events/s"
    return [
        Target(f"the slowest page's median {at}, ms", 200.0, spread([max(medians)]), at_most=True),
        Target(f"events that arrive {at}, with viewers ÷ without", 0.95, spread(steady)),
        Target("events/s of a backlog, with viewers ÷ without", 0.95, spread(drained)),
    ]


def problems(results: Results) -> list[str]:
    """Wrong answers, wrong output, events that are missing."""
    runs: Sequence[Steady | Capacity] = [*results.steady, *results.capacity]
    found = [problem for one in runs for problem in one.seen.problems]
    found += [f"{one.missing} events are missing in round {one.round}" for one in results.steady if one.missing]
    return found + [problem for one in results.capacity for problem in one.run.problems]


def markdown(results: Results) -> list[str]:
    """All tables."""
    rounds, news = len({one.round for one in results.steady}), sum(one.seen.news for one in results.steady)
    wrong = problems(results)
    told = f"{len(wrong)} problems: {wrong[0]}" if wrong else "All answers and all output were right."
    return [
        f"{rounds} rounds on {results.machine}; {results.viewers} viewers, each with the overview open ({news:,} news came) and "
        f"a page opened each second. {told}",
        "",
        *target_table(targets(results)),
        "",
        "| page | opened | median, ms | p95, ms |",
        "| --- | ---: | ---: | ---: |",
        *(
            f"| {name} | {len(took):,} | {percentile(took, 0.5):.0f} | {percentile(took, 0.95):.0f} |"
            for name, took in pages(results).items()
        ),
        "",
        "| | without viewers | with |",
        "| --- | ---: | ---: |",
        *(f"| {what} | {_median(values, False)} | {_median(values, True)} |" for what, values in _rows(results)),
    ]


def _rows(results: Results) -> list[tuple[str, list[tuple[bool, float]]]]:
    steady = [(one.viewers > 0, one) for one in results.steady]
    return [
        (f"sent → output at {results.rate:,} events/s, p50, ms", [(viewed, one.output_ms[0]) for viewed, one in steady]),
        ("the same, p99", [(viewed, one.output_ms[1]) for viewed, one in steady]),
        ("sent → visible in the store, p50", [(viewed, one.store_ms[0]) for viewed, one in steady]),
        ("the same, p99", [(viewed, one.store_ms[1]) for viewed, one in steady]),
        ("a backlog, events/s", [(one.viewers > 0, one.run.events_per_second) for one in results.capacity]),
        ("its CPU, µs an event", [(one.viewers > 0, one.run.cpu_us) for one in results.capacity]),
    ]


def _median(values: Sequence[tuple[bool, float]], viewed: bool) -> str:
    found = spread(value for is_viewed, value in values if is_viewed == viewed)
    return "-" if found is None else f"{found.median:,.0f}"


def report(results: Results, folder: Path) -> None:
    """Write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "console.json").write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    (folder / "console.md").write_text("\n".join(markdown(results)) + "\n")
