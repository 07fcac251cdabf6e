"""How fast a reader of a partition goes, and when it will have caught up. Pure: two looks in, the answer out."""

from collections.abc import Iterable, Mapping
from math import ceil, inf, isinf
from typing import Final

import msgspec

ON_ITS_WAY: Final = 1.0
"""Seconds of reading that are no backlog: a reader commits about twice a second, so it is always a little behind."""


class Look(msgspec.Struct, frozen=True):
    """A partition as it was at `at` (seconds): it holds the offsets from `begin` to before `end`.

    `position`: the offset that its reader goes on from, as it has committed it; None: it has never committed one.
    """

    at: float
    position: int | None
    begin: int
    end: int


class Bounds(msgspec.Struct, frozen=True):
    """A partition holds the offsets from `begin` to before `end`."""

    begin: int
    end: int


class Topic(msgspec.Struct, frozen=True):
    """A topic as Kafka has it. `ours`: Chopar creates it; it has `bounds` by partition, or is missing."""

    name: str
    partitions: int
    ours: bool
    bounds: Mapping[int, Bounds] = {}

    @property
    def records(self) -> int:
        """What it holds at most: compacted topics have holes."""
        return sum(one.end - one.begin for one in self.bounds.values())


class Pace(msgspec.Struct, frozen=True):
    """How a reader stands. `lag`: records it has still to read. `expired`: those that were deleted before it read them.

    `rate`: records that it read in a second, `arrival`: those that came. `catch_up`: seconds until it has read all, if
    both stay as they are; `inf`: never. 0: it has, or what is left is on its way (`ON_ITS_WAY`).
    """

    lag: int
    expired: int
    rate: float
    arrival: float
    catch_up: float


class Standing(msgspec.Struct, frozen=True):
    """A partition as one agent has read it."""

    partition: int
    look: Look
    pace: Pace
    owner: str | None


class Reader(msgspec.Struct, frozen=True):
    """An agent and its partitions. `members`: how many workers its group has."""

    agent: str
    group: str
    topic: str
    state: str
    members: int
    partitions: list[Standing]

    @property
    def all(self) -> Pace:
        """All partitions together."""
        return together(standing.pace for standing in self.partitions)


def next_offset(look: Look) -> int:
    """The record that the reader gets next: of what was deleted it gets nothing."""
    return min(max(look.begin, look.position or 0), look.end)


def pace(before: Look, after: Look) -> Pace:
    """How the reader stands at `after`, by what has happened since `before`. A position that was set back is no speed."""
    seconds = after.at - before.at
    expired = max(0, after.begin - after.position) if after.position is not None else 0
    if seconds <= 0:
        return _pace(after.end - next_offset(after), expired, 0.0, 0.0)
    rate = max(0, next_offset(after) - next_offset(before)) / seconds
    arrival = max(0, after.end - before.end) / seconds
    return _pace(after.end - next_offset(after), expired, rate, arrival)


def together(paces: Iterable[Pace]) -> Pace:
    """The pace of all: they have caught up when the last one has."""
    all_of_them = list(paces)
    return Pace(
        lag=sum(one.lag for one in all_of_them),
        expired=sum(one.expired for one in all_of_them),
        rate=sum(one.rate for one in all_of_them),
        arrival=sum(one.arrival for one in all_of_them),
        catch_up=max((one.catch_up for one in all_of_them), default=0.0),
    )


def duration(seconds: float) -> str:
    """A time span for people, in one or two units."""
    if isinf(seconds):
        return "never"
    left = max(1, ceil(seconds))
    for size, unit, smaller, below in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if left >= size:
            return f"{left // size:,} {unit} {left % size // smaller} {below}"
    return f"{left} s"


def _pace(lag: int, expired: int, rate: float, arrival: float) -> Pace:
    if lag <= rate * ON_ITS_WAY:
        return Pace(lag, expired, rate, arrival, 0.0)
    return Pace(lag, expired, rate, arrival, lag / (rate - arrival) if rate > arrival else inf)
