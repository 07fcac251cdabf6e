"""One side's run: a process of its own, its whole output checked before its figure counts."""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec

from benchmarks.process import Process
from benchmarks.stream.checker import Checker
from benchmarks.stream.topics import Topics

STALLED: Final = 60.0
"""Seconds without a new record of the output after which a side is given up."""


class Side(msgspec.Struct, frozen=True):
    """Chopar or a peer. It reads `input`, writes `output` as `group`, and ends on SIGTERM.

    `output` and `group` may have `{run}` in them, which is different for each run. `owns`: beginnings of the names of topics
    that it makes. `commits`: whether its offsets stand in the group.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = {}
    output: str = "bench.{run}.out"
    group: str = "bench.{run}"
    owns: tuple[str, ...] = ("bench.{run}",)
    commits: bool = True
    short: bool = False
    processes: int = 1

    @property
    def slug(self) -> str:
        """Its name as a part of names on Kafka."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower())


class Work(msgspec.Struct, frozen=True):
    """An input that lies on Kafka."""

    topic: str
    records: int
    distinct: Mapping[str, int]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of a side came to; the figures are those of whole processes."""

    side: str
    round: int
    work: str
    records: int
    events_per_second: float
    cpu_us: float
    peak_mb: float
    seconds: float
    checked: bool
    problems: list[str] = []


def start(side: Side, place: Mapping[str, str], folder: Path) -> Process:
    """A process of `side`, with a new `folder` of its own."""
    folder.mkdir(parents=True)
    env = {name: value.format(folder=folder, kafka=place["KAFKA"]) for name, value in side.env.items()}
    told = {f"BENCH_{name}": value for name, value in {**place, "FOLDER": str(folder)}.items()}
    return Process(side.command, {**env, **told}, folder)


async def _nothing() -> None:
    """Nothing has to be there before the side."""


async def run(
    side: Side,
    work: Work,
    number: int,
    topics: Topics,
    kafka: str,
    folder: Path,
    prepare: Callable[[], Awaitable[None]] = _nothing,
) -> Run:
    """Run `side` once on `work`, alone, after `prepare`, and check all that it wrote."""
    run_id = f"{side.slug}-{number}-{os.urandom(3).hex()}"
    output, group = side.output.format(run=run_id), side.group.format(run=run_id)
    owns = tuple(name.format(run=run_id) for name in side.owns)
    await topics.delete(owns)
    await topics.create(output)
    await prepare()
    await topics.rewind(group, work.topic)
    place = {"KAFKA": kafka, "INPUT": work.topic, "OUTPUT": output, "GROUP": group}
    began = monotonic()
    processes = [start(side, place, folder / f"{run_id}-{index}") for index in range(side.processes)]
    try:
        problem = await _until_done(side, work, topics, output, group, processes)
        seconds = monotonic() - began
        peak = sum(process.peak_mb() for process in processes)
        cpu = sum([await process.stop() for process in processes])
    finally:
        for process in processes:
            process.kill()
    checker = Checker(work.distinct)
    took = await topics.check(output, checker)
    problems = [*([f"{problem}\n{processes[0].tail()}"] if problem else []), *checker.problems()]
    await topics.delete(owns)
    return Run(
        side=side.name,
        round=number,
        work=f"{work.records:,} records, {len(work.distinct):,} users",
        records=work.records,
        events_per_second=work.records / took if took else 0.0,
        cpu_us=cpu / work.records * 1e6,
        peak_mb=peak,
        seconds=seconds,
        checked=not problems,
        problems=problems,
    )


async def _until_done(side: Side, work: Work, topics: Topics, output: str, group: str, processes: list[Process]) -> str | None:
    """Returns once all is on the output and committed; gives what went wrong, if something did."""
    wanted, before, since = sum(work.distinct.values()), -1, monotonic()
    while True:
        length = await topics.length(output)
        if length >= wanted and (not side.commits or await topics.committed(group, work.topic) >= work.records):
            return None
        if any(process.ended for process in processes):
            return "it ended by itself"
        if length != before:
            before, since = length, monotonic()
        elif monotonic() - since > STALLED:
            return f"no progress for {STALLED:.0f} s at {length:,} of {wanted:,} records"
        await asyncio.sleep(0.1)
