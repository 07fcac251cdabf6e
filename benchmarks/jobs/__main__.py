"""Runs Chopar's mail side and its peers, interleaved, and writes `benchmarks/results/`: `make bench-jobs`."""

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from activity.errors import ChoparError
from benchmarks.jobs.report import Results, report
from benchmarks.jobs.runs import Bench, Run
from benchmarks.jobs.sides import BIN, ROOT, Side, everyone
from brokers.node import Node
from brokers.rabbitmq import RabbitMQ
from brokers.supervisor import until_stopped

RATE: Final = 200.0
KINDS: Final = "publish,consume,mail,latency"
MEMORY: Final = (("200,000 jobs", 200_000, 200_000), ("1,000,000 queued", 20_000, 1_000_000))


def tell(text: str) -> None:
    """Progress, for who waits."""
    sys.stderr.write(text + "\n")


async def one(bench: Bench, kind: str, side: Side, number: int, given: argparse.Namespace) -> Run:
    """A run, told."""
    match kind:
        case "publish":
            run = await bench.publish(side, number, given.jobs)
        case "consume":
            run = await bench.consume(side, number, given.jobs)
        case "mail":
            run = await bench.mail(side, number, given.jobs)
        case _:
            run = await bench.latency(side, number, RATE, given.seconds)
    figures = f"{run.jobs_per_second:>8,.0f} jobs/s  {run.cpu_us:6.0f} µs CPU a job  {run.peak_mb:4.0f} MB"
    late = "" if run.p50 is None else f"  p50 {run.p50:.1f} ms, p99 {run.p99:.1f} ms"
    tell(f"round {number}  {kind:<8} {run.side:<11}{figures}{late}  {'checked' if run.checked else '; '.join(run.problems)}")
    return run


async def rounds(bench: Bench, folder: Path, given: argparse.Namespace) -> None:
    """Every side at every kind of work, round after round; each round that is whole is written down."""
    file, kinds = given.results / "jobs.json", [kind for kind in given.kinds.split(",") if kind]
    results = msgspec.json.decode(file.read_bytes(), type=Results) if given.keep else Results()
    sides = [side for side in everyone() if not given.only or side.name in given.only.split(",")]
    results.runs = [run for run in results.runs if run.kind not in kinds]
    for number in range(1, given.rounds + 1) if kinds else ():
        found = []
        for kind in kinds:
            for side in sides:
                found.append(await one(bench, kind, side, number, given))
                shutil.rmtree(folder, ignore_errors=True)
        results.add(found)
        report(results, given.results)  # a run that is cut short has the rounds it finished
        await asyncio.to_thread(picture, given.results)
    for what, jobs, queued in MEMORY if given.memory else ():
        results.memory = [old for old in results.memory if old.what != what]
        results.memory.append(await bench.memory(everyone()[0], what, jobs, queued))
        tell(f"memory  {results.memory[-1]}")
        report(results, given.results)


def picture(folder: Path) -> None:
    """Draw what stands in `folder`."""
    arguments = (str(folder / "jobs.json"), str(folder / "jobs.svg"))
    subprocess.run((str(BIN / "python"), "-m", "benchmarks.jobs.picture", *arguments), check=True, cwd=ROOT)  # noqa: S603


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jobs", description=__doc__)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="how long latency is measured (default: %(default)s)")
    parser.add_argument("--only", help="sides, by their names and commas (default: all)")
    parser.add_argument("--kinds", default=KINDS, help="by commas; none of them with '' (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep what stands in the results of kinds that are not run now")
    parser.add_argument("--memory", action="store_true", help="also a mailer's memory, which takes some minutes")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--rabbit", help="URL of a RabbitMQ to use in place of one of its own")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chopar-bench-") as name:
        node, url = None, given.rabbit
        try:
            if url is None:
                node = Node(RabbitMQ(Path(name) / "rabbit"), Path(name) / "rabbit.json")
                await node.start()
                url = node.url
            runs = Path(name) / "runs"
            await rounds(Bench(url, runs), runs, given)
        finally:
            if node is not None:
                await node.stop()


if __name__ == "__main__":
    try:
        asyncio.run(until_stopped(main()))
    except ChoparError as error:
        sys.exit(str(error))
