"""A worker with and without viewers, interleaved: `make bench-console` writes `benchmarks/results/console.json` and `.md`.

Each round has two parts, with viewers and without, and the order changes from round to round. A steady stream of 2,000
events/s: how long the pages take, and whether all events arrive, and when. Then a backlog, drained as fast as it goes: what
the stream can do.
"""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from activity import names
from activity.errors import ChoparError
from benchmarks.console.report import Capacity, Results, Steady, report
from benchmarks.console.viewers import Seen
from benchmarks.stream import sides
from benchmarks.stream.events import Input
from benchmarks.stream.latency import Pace, measure
from benchmarks.stream.place import Urls, brokers, fill_input
from benchmarks.stream.side import Side, Work, run
from benchmarks.stream.topics import Topics
from brokers.supervisor import until_stopped
from rabbit.topology import declare

RATE: Final = 2_000
USERS: Final = 1_000
WEB: Final = f"http://127.0.0.1:{sides.WORKER.env['CHOPAR_WEB_PORT']}"


def tell(text: str) -> None:
    """Progress, for who waits."""
    sys.stderr.write(text + "\n")


@asynccontextmanager
async def viewing(folder: Path, clients: int) -> AsyncIterator[Seen]:
    """People look at the worker that runs in `folder`; what they saw is known at the end."""
    command = (sys.executable, "-m", "benchmarks.console.viewers", WEB, str(folder), str(clients))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    seen = Seen({})
    try:
        yield seen
        if process.returncode is None:  # else it has seen a problem, and says which
            process.terminate()
        output, _ = await process.communicate()
        told = msgspec.json.decode(output, type=Seen)
        seen.pages, seen.news, seen.problems = told.pages, told.news, told.problems
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class Rounds:
    """Round after round; `results` has those that are whole."""

    def __init__(self, topics: Topics, urls: Urls, folder: Path, given: argparse.Namespace) -> None:
        self._topics, self._urls, self._folder, self._given = topics, urls, folder, given
        more = {"CHOPAR_RABBIT_URL": urls.rabbit, "CHOPAR_RABBIT_MANAGEMENT_URL": urls.management or ""}
        self._side: Side = msgspec.structs.replace(sides.WORKER, env={**sides.WORKER.env, **more})
        self.results = Results(viewers=given.viewers, rate=RATE)

    async def round(self, number: int) -> None:
        """Both parts, with viewers and without."""
        counts = (0, self._given.viewers) if number % 2 else (self._given.viewers, 0)
        steady = [await self._steady(number, count) for count in counts]
        work = await fill_input(self._topics, names.EVENTS, Input(self._given.events, USERS))
        capacity = [await self._capacity(number, work, count) for count in counts]
        self.results.add(steady, capacity, f"{os.cpu_count()} cores, load {os.getloadavg()[2]:.1f}")

    async def _steady(self, number: int, viewers: int) -> Steady:
        own, pace = self._own(), Pace(RATE, self._given.seconds)
        async with viewing(own, viewers) as seen:
            output, store = await measure(self._side, number, self._topics, self._urls.kafka, own, pace, names.EVENTS, store=True)
        one = Steady(
            round=number,
            viewers=viewers,
            events_per_second=output.events / pace.seconds,
            missing=output.missing + store.missing,
            output_ms=(output.p50, output.p99),
            store_ms=(store.p50, store.p99),
            seen=seen,
        )
        figures = (
            f"{one.events_per_second:,.0f} events/s, {one.missing} missing, store p50 {store.p50:.0f} p99 {store.p99:.0f} ms"
        )
        tell(f"round {number}, {viewers} viewers: {figures}, {sum(map(len, seen.pages.values()))} pages {seen.problems[:3]}")
        return one

    async def _capacity(self, number: int, work: Work, viewers: int) -> Capacity:
        own = self._own()
        async with viewing(own, viewers) as seen:
            one = await run(self._side, work, number, self._topics, self._urls.kafka, own)
        tell(f"round {number}, {viewers} viewers: {one.events_per_second:,.0f} events/s drained {one.problems or ''}")
        return Capacity(round=number, viewers=viewers, run=one, seen=seen)

    def _own(self) -> Path:
        """A new folder for one run: its store is the only one in it."""
        own = self._folder / "run"
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir()
        return own


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--viewers", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=15.0, help="of the steady stream (default: %(default)s)")
    parser.add_argument("--events", type=int, default=1_000_000, help="in the backlog (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=sides.ROOT / "benchmarks" / "results")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chopar-bench-") as name:
        async with brokers(Path(name)) as urls, Topics.opened(urls.kafka) as topics:
            await declare(urls.rabbit)
            rounds = Rounds(topics, urls, Path(name), given)
            for number in range(1, given.rounds + 1):
                await rounds.round(number)
                report(rounds.results, given.results)  # a run that is cut short has the rounds it finished


if __name__ == "__main__":
    try:
        asyncio.run(until_stopped(main()))
    except ChoparError as error:
        sys.exit(str(error))
