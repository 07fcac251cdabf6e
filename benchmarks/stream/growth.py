"""Cost as work grows: `make bench-growth`. Events a second and memory, by how many users are busy and how many are known."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from activity import names, order
from activity.events import Event
from activity.order import State, advance
from benchmarks.stream import sides
from benchmarks.stream.events import Input, Sent, partition_of
from benchmarks.stream.place import brokers, fill_input
from benchmarks.stream.side import Run, Work, run
from benchmarks.stream.topics import PARTITIONS, Topics
from brokers.supervisor import until_stopped

BUSY: Final = (1, 10, 100, 1_000)
"""Users a partition that send."""
KNOWN: Final = (1_000, 100_000, 1_000_000)
"""Users whose states lie in the table; those that send are new to it."""


def states(known: int) -> list[Sent]:
    """The changelog of a table that knows `known` users of one event each."""
    found = []
    for number in range(known):
        user = f"k-{number}"
        state, _ = advance(State(), Event(f"{user}-1", "/web", user, 1, b"{}"), 0.0)
        found.append(Sent(user, partition_of(user, PARTITIONS), order.encode(state, -1)))
    return found


async def measure(address: str, folder: Path, events: int, workers: tuple[int, ...]) -> list[dict[str, object]]:
    """One run for each place in the table."""
    found: list[dict[str, object]] = []
    async with Topics.opened(address) as topics:
        for known in KNOWN:
            changelog = states(known)
            for busy in BUSY:
                work = await fill_input(topics, names.EVENTS, Input(events, busy * PARTITIONS))
                for processes in workers:
                    one = await _run(topics, address, folder, work, changelog, processes)
                    found.append({"known": known, "busy": busy, "workers": processes, **msgspec.to_builtins(one)})
                    tell = f"{known:>9,} known {busy:>5,} busy {processes} workers {one.events_per_second:>9,.0f}/s"
                    sys.stderr.write(f"{tell} {one.peak_mb:>5.0f} MB {one.seconds:5.1f} s {one.problems or ''}\n")
    return found


async def _run(topics: Topics, address: str, folder: Path, work: Work, changelog: list[Sent], processes: int) -> Run:
    async def prepare() -> None:
        await topics.create(names.USERS_CHANGELOG, config={"cleanup.policy": "compact"})
        await topics.fill(names.USERS_CHANGELOG, changelog)

    return await run(sides.TWO if processes == 2 else sides.CHOPAR, work, 1, topics, address, folder, prepare)


def table(found: list[dict[str, object]]) -> list[str]:
    """In Markdown."""
    lines = [
        "| users known | busy users a partition | 1 worker: events/s | MB | s from start to end | 2 workers: events/s | MB |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    by = {(row["known"], row["busy"], row["workers"]): row for row in found}
    for known in KNOWN:
        for busy in BUSY:
            cells = [f"{known:,}", f"{busy:,}"]
            for workers in (1, 2):
                row = by.get((known, busy, workers))
                cells += [f"{row['events_per_second']:,.0f}", f"{row['peak_mb']:,.0f}"] if row else ["-", "-"]
                cells += [f"{row['seconds']:.0f}" if row else "-"] if workers == 1 else []
            lines.append(f"| {' | '.join(cells)} |")
    return lines


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--kafka", help="host:port of a Kafka to use in place of one of its own")
    parser.add_argument("--results", type=Path, default=sides.ROOT / "benchmarks" / "results")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chopar-bench-") as name:
        async with brokers(Path(name), given.kafka, rabbit="not needed") as urls:
            found = await measure(urls.kafka, Path(name), given.events, (1, 2))
    given.results.mkdir(exist_ok=True)
    (given.results / "growth.json").write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    (given.results / "growth.md").write_text("\n".join(table(found)) + "\n")


if __name__ == "__main__":
    asyncio.run(until_stopped(main()))
