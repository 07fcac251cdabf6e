"""What the pure rules cost: `make bench`. No broker; µs an event for each step, and for a whole chunk.

Figures of one machine mean nothing on another: compare two revisions in one run, interleaved, at least three times.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from activity import order
from activity.chunk import Chunk
from activity.events import Event, decode
from activity.hand import QUICKEST, Hand, core_of
from activity.order import State, advance
from activity.sequencing import Step, sequence


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record as the transport hands it on."""

    key: bytes
    value: bytes
    offset: int
    timestamp: int
    headers: tuple[tuple[str, bytes], ...] = ()


class Memory:
    """The states of one partition."""

    def __init__(self) -> None:
        self.states: dict[bytes, bytes] = {}
        self.get = self.states.get
        self.waiting: Mapping[bytes, float] = {}


def records(events: int, users: int) -> list[Record]:
    """Events of ~200 bytes, `users` in turn, after every twentieth a repeat, every fiftieth pair swapped."""
    found: list[Record] = []
    for number in range(events):
        user, n = f"u-{number % users}", number // users + 1
        value = (
            f'{{"specversion":"1.0","id":"{user}-{n}","source":"/web","type":"page.viewed","subject":"{user}",'
            f'"sequence":"{n}","time":"2026-01-31T09:30:00Z","data":{{"page":"/products/{number}"}}}}'
        )
        found.append(Record(user.encode(), value.encode(), number, 1_000 + number // 50))  # a batch of the broker has one time
    for at in range(0, events - 2 * users, 50 * users):
        found[at], found[at + users] = found[at + users], found[at]
    found = [one for at, record in enumerate(found) for one in ((record,) if at % 20 else (record, found[max(0, at - 50)]))]
    return [msgspec.structs.replace(record, offset=offset) for offset, record in enumerate(found)]


def timed(name: str, count: int, work: Callable[[], object]) -> None:
    """Print the best of three rounds."""
    best = float("inf")
    for _ in range(3):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    sys.stdout.write(f"{name:<34} {best / count * 1e6:7.2f} µs an event   {count / best:10,.0f} events/s\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--users", type=int, default=1_000)
    parser.add_argument("--chunk", type=int, default=500)
    arguments = parser.parse_args()
    given = records(arguments.events, arguments.users)
    events = [event for record in given if isinstance(event := decode(record.key, record.value), Event)]

    def all_decoded() -> None:
        for record in given:
            decode(record.key, record.value, record.headers)

    def all_advanced() -> None:
        states: dict[str, State] = {}
        for event in events:
            states[event.user], _ = advance(states.get(event.user) or State(), event, 0.0)

    def all_sequenced(hand: type[Hand]) -> None:
        memory = Memory()
        for at in range(0, len(given), arguments.chunk):
            step: Step = sequence(Chunk("activity.events", 0, given[at : at + arguments.chunk]), memory, lambda _: 0, hand)
            memory.states.update(step.states)

    full = State()
    for n in range(1, 400):
        full, _ = advance(full, msgspec.structs.replace(events[0], sequence=n, id=str(n)), 0.0)
    value = order.encode(full, 0)

    timed("decode an event", len(given), all_decoded)
    timed("advance a state", len(events), all_advanced)
    timed(
        f"read and write a state ({len(value):,} B)",
        20_000,
        lambda: [order.encode(order.decode(value), 0) for _ in range(20_000)],
    )
    for hand in dict.fromkeys((Hand, QUICKEST)):
        timed(f"{arguments.chunk} records a chunk, {core_of(hand)} core", len(given), partial(all_sequenced, hand))


if __name__ == "__main__":
    main()
