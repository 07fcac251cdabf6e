"""Runs Chopar's stream side and its peers, interleaved, and writes `benchmarks/results/`: `make bench-stream`."""

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from activity import names
from activity.errors import ChoparError
from benchmarks.stream import sides
from benchmarks.stream.events import Input
from benchmarks.stream.latency import Latency, Pace, measure
from benchmarks.stream.place import Urls, brokers, fill_input
from benchmarks.stream.report import Results, report
from benchmarks.stream.side import Run, Side, Work, run
from benchmarks.stream.topics import Topics
from brokers.supervisor import until_stopped

FEW: Final = 1_000
MANY: Final = 100_000
RATE: Final = 500


def tell(text: str) -> None:
    """Progress, for who waits."""
    sys.stderr.write(text + "\n")


class Rounds:
    """Runs round after round; `results` has those that are whole."""

    def __init__(self, topics: Topics, urls: Urls, folder: Path, given: argparse.Namespace) -> None:
        self._topics, self._urls, self._folder, self._given = topics, urls, folder, given
        self.results = Results(given.rounds)

    async def round(self, number: int) -> None:
        """Everything once, side by side."""
        given, topics = self._given, self._topics
        short = await fill_input(topics, "bench.short", Input(min(given.events, given.short), FEW))
        work = await fill_input(topics, names.EVENTS, Input(given.events, FEW))
        chosen = [side for side in [*sides.everyone(), sides.TWO] if not given.only or side.name in given.only.split(",")]
        few = [await self._run(number, side, short if side.short else work) for side in chosen]
        if given.only:
            self.results.add(few, [], [], [], [])
            return
        work = await fill_input(topics, names.EVENTS, Input(given.events, MANY))
        many = [await self._run(number, side, work) for side in (sides.CHOPAR, sides.kafka_streams())]
        latency = await self._latency(number)
        archiver = await beside("benchmarks.stream.archiving", "--rounds", "1", "--records", str(given.events // 20))
        arguments = ("--rabbit", self._urls.rabbit, "--rounds", "1", "--records", "10000")
        notifier = await beside("benchmarks.stream.notifying", *arguments)
        self.results.add(few, many, latency, archiver, notifier)

    async def _run(self, number: int, side: Side, work: Work) -> Run:
        own = self._folder / "runs"
        one = await run(side, work, number, self._topics, self._urls.kafka, own)
        shutil.rmtree(own, ignore_errors=True)
        figures = f"{one.events_per_second:>9,.0f} events/s  {one.cpu_us:6.1f} µs CPU an event  {one.peak_mb:4.0f} MB"
        tell(f"round {number}  {one.side:<18} {figures}  {'checked' if one.checked else '; '.join(one.problems)}")
        return one

    async def _latency(self, number: int) -> list[Latency]:
        """At a steady rate, sent to output; for a whole worker also sent to visible in the store."""
        found = []
        for side, input, store in (
            (sides.AIOKAFKA, "bench.latency", False),
            (sides.CHOPAR, names.EVENTS, False),
            (sides.WORKER, names.EVENTS, True),
            (sides.kafka_streams(), "bench.latency", False),
        ):
            pace = Pace(RATE, self._given.seconds)
            some = await measure(side, number, self._topics, self._urls.kafka, self._folder, pace, input, store=store)
            for one in some:
                figures = f"p50 {one.p50:.1f} ms, p99 {one.p99:.1f} ms, {one.missing} missing"
                tell(f"round {number}  {one.side:<18} → {one.to}: {figures}")
            found += some
        return found


async def beside(module: str, *arguments: str) -> list[dict[str, float]]:
    """The rounds of a comparison that runs in a process of its own."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, *arguments, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    found: list[dict[str, float]] = msgspec.json.decode(output)
    ratios = ", ".join(f"{one['chopar'] / one['bare']:.2f}" for one in found)
    tell(f"{module}: {ratios} of the bare one")
    return found


def picture(folder: Path) -> None:
    """Draw what stands in `folder`."""
    arguments = (str(folder / "stream.json"), str(folder / "stream.svg"))
    subprocess.run((sides.PEERS, "-m", "benchmarks.stream.picture", *arguments), check=True, cwd=sides.ROOT)  # noqa: S603


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stream", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--short", type=int, default=30_000, help="the input of vanilla Faust (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="how long latency is measured (default: %(default)s)")
    parser.add_argument("--only", help="sides, by their names and commas: compare just these, with 1,000 users, and nothing else")
    parser.add_argument("--results", type=Path, default=sides.ROOT / "benchmarks" / "results")
    parser.add_argument("--kafka", help="host:port of a Kafka to use in place of one of its own")
    parser.add_argument("--rabbit", help="URL of a RabbitMQ to use in place of one of its own")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chopar-bench-") as name:
        async with brokers(Path(name), given.kafka, given.rabbit) as urls, Topics.opened(urls.kafka) as topics:
            rounds = Rounds(topics, urls, Path(name), given)
            for number in range(1, given.rounds + 1):
                await rounds.round(number)
                report(rounds.results, given.results)  # a run that is cut short has the rounds it finished
                await asyncio.to_thread(picture, given.results)


if __name__ == "__main__":
    try:
        asyncio.run(until_stopped(main()))
    except ChoparError as error:
        sys.exit(str(error))
