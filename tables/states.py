"""Where the states of a worker's users live: the interface, and the one in memory. `tables/disk.py` is the other."""

from collections.abc import Iterator, Mapping
from heapq import nsmallest
from typing import Protocol

from activity.order import peek


class States(Protocol):
    """The states of one partition's users; users of another partition are not in it, even if this worker has both."""

    @property
    def offset(self) -> int | None:
        """The offset in the changelog up to which nothing is missing here; None: nothing was read."""

    @property
    def newest(self) -> int:
        """The highest offset of `activity.events` that a state ever put here knows of; -1: none was."""

    @property
    def waiting(self) -> Mapping[bytes, float]:
        """The users for whom an event waits, and since when (Unix seconds)."""

    def get(self, user: bytes) -> bytes | None:
        """The user's state; None: there is none."""

    def put(self, states: Mapping[bytes, bytes | None], offset: int | None) -> None:
        """Keep `states` and `offset` (None: the one that was), all or, if the process is killed, nothing. A None is taken out."""

    def each(self) -> Iterator[tuple[bytes, bytes]]:
        """Each user with their state. What is put meanwhile may be in it or not."""

    def page(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """At most `limit` users behind `after`, in the order of their bytes, each with their state."""


class Shelf(Protocol):
    """Holds the states of the partitions that are a worker's, each apart."""

    def open(self, partition: int) -> States:
        """What is here of `partition`, which may be behind the changelog, but never ahead of it."""

    def drop(self, partition: int) -> None:
        """`partition` is another worker's; what `open` gave is not used any more."""


class Overview:
    """What is known of a partition's states without looking at each."""

    def __init__(self, offset: int | None = None, newest: int = -1) -> None:
        self.offset, self.newest = offset, newest
        self.waiting: dict[bytes, float] = {}

    def note(self, states: Mapping[bytes, bytes | None], offset: int | None) -> None:
        """Take in what was put."""
        if offset is not None:
            self.offset = offset
        newest, waiting = self.newest, self.waiting
        for user, value in states.items():
            known, since = (-1, None) if value is None else peek(value)
            if known > newest:
                newest = known
            if since is not None:
                waiting[user] = since
            elif waiting:
                waiting.pop(user, None)
        self.newest = newest


class MemoryStates(Overview):
    """States in a dict: the quickest, as long as they fit."""

    def __init__(self) -> None:
        super().__init__()
        self._states: dict[bytes, bytes] = {}
        self.get = self._states.get

    def put(self, states: Mapping[bytes, bytes | None], offset: int | None) -> None:
        for user, value in states.items():
            if value is None:
                self._states.pop(user, None)
            else:
                self._states[user] = value
        self.note(states, offset)

    def each(self) -> Iterator[tuple[bytes, bytes]]:
        for user in list(self._states):
            value = self._states.get(user)
            if value is not None:
                yield user, value

    def page(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return [(user, self._states[user]) for user in nsmallest(limit, filter(after.__lt__, self._states))]


class MemoryShelf:
    """Keeps nothing of a partition that is dropped: who gets it again reads the changelog from its beginning."""

    def __init__(self) -> None:
        self._partitions: dict[int, MemoryStates] = {}

    def open(self, partition: int) -> MemoryStates:
        return self._partitions.setdefault(partition, MemoryStates())

    def drop(self, partition: int) -> None:
        self._partitions.pop(partition, None)
