"""What the users' states cost in memory and on disk: `python -m benchmarks.states`. No broker.

Prints bytes a user, and what a chunk's deciding and putting costs with states in memory and in RocksDB, in turn, in CPU time.
"""

import argparse
import gc
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from activity.chunk import Chunk
from activity.sequencing import sequence
from benchmarks.rules import records
from benchmarks.start import SHARES, state, users
from tables.disk import DiskShelf
from tables.states import MemoryShelf, States

PARTITIONS: Final = 8
ROUNDS: Final = 3


def resident() -> int:
    """Bytes of memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def bytes_a_user(count: int, kind: str) -> tuple[float, float]:
    """What a user takes in memory, and how long the state is."""
    gc.collect()
    before, size, chance, shelf = resident(), 0, random.Random(1), MemoryShelf()  # noqa: S311  (not for secrets)
    for number, user in enumerate(users(count)):
        value = state(kind, number, chance)
        size += len(value)
        shelf.open(number % PARTITIONS).put({user: value}, None)
    return (resident() - before) / count, size / count


def microseconds(states: States, events: int, of_users: int, chunk: int) -> float:
    """CPU time an event, to decide it and to put its state."""
    given = records(events, of_users)
    begin = time.process_time()
    for at in range(0, len(given), chunk):
        step = sequence(Chunk("activity.events", 0, given[at : at + chunk]), states, lambda _: 0)
        states.put(dict(step.states), at)
    return (time.process_time() - begin) / len(given) * 1e6


def compare(events: int, of_users: int, chunk: int) -> None:
    """Print the costs of both, and their ratio, in rounds."""
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="chopar-states-") as folder:
            shelf = DiskShelf(Path(folder) / "states")
            shelf.start("benchmark")
            memory, on_disk = (microseconds(made.open(0), events, of_users, chunk) for made in (MemoryShelf(), shelf))
            shelf.stop()
        sys.stdout.write(
            f"{of_users:>9,} users, chunks of {chunk}: memory {memory:5.1f} µs, rocksdb {on_disk:5.1f} µs an event, "
            f"ratio {memory / on_disk:.2f}\n"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--states", choices=SHARES, help="only the memory of these")
    arguments = parser.parse_args()
    if arguments.states:
        taken, size = bytes_a_user(arguments.users, arguments.states)
        sys.stdout.write(f"{arguments.users:,} users, {arguments.states}: {taken:,.0f} B a user, {size:,.0f} B a state\n")
        return
    for of_users in (100, 10_000):
        for chunk in (500, 4000):
            compare(100_000, of_users, chunk)


if __name__ == "__main__":
    main()
