"""A chunk: the records of one partition that one fetch returned."""

from collections.abc import Iterator, Sequence
from typing import Protocol


class Record(Protocol):
    """A record as it was read. `timestamp` is in milliseconds; on `activity.events` the broker set it."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class Chunk:
    """Records in the order of their offsets, and how far the work on them is: `started`, `in_hand` while an agent works on them.

    Its offsets are committed only after `done()`. Once `lost`, the partition is another worker's (or this one stops):
    whoever waits for a far end lets go, and the records are read again by the next owner.
    """

    __slots__ = ("finished", "in_hand", "lost", "partition", "records", "started", "topic")

    def __init__(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        self.topic, self.partition, self.records = topic, partition, list(records)
        self.started = self.in_hand = self.finished = self.lost = False

    def extend(self, records: Sequence[Record]) -> None:
        """Take in the records that follow, as long as the work on it has not begun."""
        self.records += records

    def done(self) -> None:
        """Everything the records led to is confirmed: their offsets may be committed."""
        self.finished = True
        self.records = []

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        return f"<Chunk {self.topic}/{self.partition}: {len(self.records)} records>"
