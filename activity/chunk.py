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

    __slots__ = ("_size", "finished", "in_hand", "lost", "partition", "records", "started", "topic")

    def __init__(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        self.topic, self.partition, self.records = topic, partition, list(records)
        self.started = self.in_hand = self.finished = self.lost = False
        self._size = 0  # not known yet: most chunks are never joined

    def joined(self, records: Sequence[Record], most: int, most_bytes: int) -> bool:
        """Take in the records that follow, unless the work on it has begun, or it would have more records or bytes than that."""
        if self.started or self.lost or len(self) + len(records) > most:
            return False
        size = (self._size or _size(self.records)) + _size(records)
        if size > most_bytes:
            return False
        self.records += records
        self._size = size
        return True

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


def _size(records: Sequence[Record]) -> int:
    """Bytes of the records."""
    size = 0
    for record in records:
        size += len(record.key or b"") + len(record.value or b"")
        if record.headers:
            size += sum(len(name) + len(held or b"") for name, held in record.headers)
    return size
