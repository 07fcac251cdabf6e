"""The results as files: `stream.json` for programs, `stream.md` for people."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.figures import Spread, Target, spread, target_table
from benchmarks.stream.figures import ratios, table
from benchmarks.stream.latency import Latency
from benchmarks.stream.side import Run

OURS = "chopar"
TWO_OF_OURS = "chopar, 2 workers"


class Results:
    """What the rounds that are whole have come to."""

    def __init__(self, asked: int) -> None:
        self.asked, self.rounds = asked, 0
        self.machine = ""
        self.users_1000: list[Run] = []
        self.users_100000: list[Run] = []
        self.latency: list[Latency] = []
        self.archiver: list[dict[str, float]] = []
        self.notifier: list[dict[str, float]] = []

    def add(
        self,
        few: list[Run],
        many: list[Run],
        latency: list[Latency],
        archiver: list[dict[str, float]],
        notifier: list[dict[str, float]],
    ) -> None:
        """One more round."""
        self.rounds += 1
        self.machine = f"{os.cpu_count()} cores, load {os.getloadavg()[2]:.1f}"
        self.users_1000 += few
        self.users_100000 += many
        self.latency += latency
        self.archiver += archiver
        self.notifier += notifier


def targets(results: Results) -> list[Target]:
    """What was asked for, and what was found in this run."""
    few, many = results.users_1000, results.users_100000
    peaks = {(run.side, run.round): run.peak_mb for run in few if run.checked}
    memory = [
        peaks[OURS, n] / peaks["Kafka Streams", n] for _, n in peaks if (OURS, n) in peaks and ("Kafka Streams", n) in peaks
    ]
    return [
        Target("events/s, ÷ Kafka Streams, 1,000 users", 2.5, spread(ratios(few, OURS, "Kafka Streams"))),
        Target("events/s, ÷ the bare confluent-kafka loop", 0.75, spread(ratios(few, OURS, "confluent-kafka"))),
        Target("events/s, ÷ Quix Streams", 4.0, spread(ratios(few, OURS, "Quix Streams"))),
        Target("events/s, ÷ Bytewax", 2.0, spread(ratios(few, OURS, "Bytewax"))),
        Target("events/s, ÷ vanilla Faust", 40.0, spread(ratios(few, OURS, "Faust"))),
        Target("events/s, ÷ Kafka Streams, 100,000 users", 2.0, spread(ratios(many, OURS, "Kafka Streams"))),
        Target("2 workers, ÷ 1 worker", 1.7, spread(ratios(few, TWO_OF_OURS, OURS))),
        Target("archiver, ÷ a bare bulk insert", 0.8, spread(one["chopar"] / one["bare"] for one in results.archiver)),
        Target("notifier, ÷ a windowed confirmed publish", 0.9, spread(one["chopar"] / one["bare"] for one in results.notifier)),
        Target("latency p50, ÷ a bare aiokafka loop's", 1.5, _latency_ratio(results.latency, "p50"), at_most=True),
        Target("latency p99, ÷ a bare aiokafka loop's", 2.0, _latency_ratio(results.latency, "p99"), at_most=True),
        Target("sent → visible in the store, p99 in ms", 100.0, _in_store(results.latency), at_most=True),
        Target("peak memory, ÷ Kafka Streams'", 1.0, spread(memory), at_most=True),
    ]


def _latency_ratio(found: Sequence[Latency], name: str) -> Spread | None:
    by = {(one.side, one.round): getattr(one, name) for one in found if one.to == "output"}
    rounds = {number for side, number in by if side == OURS and ("aiokafka", number) in by}
    return spread(by[OURS, number] / by["aiokafka", number] for number in rounds)


def _in_store(found: Sequence[Latency]) -> Spread | None:
    return spread(one.p99 for one in found if one.to == "store")


def markdown(results: Results) -> list[str]:
    """All tables."""
    return [
        f"{results.rounds} rounds on {results.machine}. Medians; in brackets the least and the greatest of the rounds' ratios.",
        "",
        *target_table(targets(results)),
        "",
        "1,000 users:",
        "",
        *table(results.users_1000, OURS),
        *(["", "100,000 users:", "", *table(results.users_100000, OURS)] if results.users_100000 else []),
        *(["", "Latency at 500 events/s, ms:", "", *_latencies(results.latency)] if results.latency else []),
    ]


def _latencies(found: Sequence[Latency]) -> list[str]:
    lines = ["| side | sent → | p50 | p99 |", "| --- | --- | ---: | ---: |"]
    for side, to in dict.fromkeys((one.side, one.to) for one in found):
        own = [one for one in found if (one.side, one.to) == (side, to)]
        p50, p99 = spread(one.p50 for one in own), spread(one.p99 for one in own)
        lines.append(f"| {side} | {to} | {p50} | {p99} |")
    return lines


def report(results: Results, folder: Path) -> None:
    """Write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stream.json").write_bytes(msgspec.json.format(msgspec.json.encode(vars(results)), indent=1) + b"\n")
    (folder / "stream.md").write_text("\n".join(markdown(results)) + "\n")
