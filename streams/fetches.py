"""Taking a fetch's records by the batch: aiokafka makes two Python objects of each record and passes it through three frames.

That is a quarter of what an event costs. The consumers of an event loop that called `read_by_the_batch` get the records as
the decoder in C has made them: `key`, `value`, `offset`, `timestamp`, `headers`; topic and partition are those of the fetch.
"""

import asyncio
from collections.abc import Iterator
from typing import Any
from weakref import WeakSet

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.structs import ConsumerRecord

from streams.records import read_any_header

_PartitionRecords, _FetchResult = fetcher.PartitionRecords, fetcher.FetchResult
_loops: WeakSet[asyncio.AbstractEventLoop] = WeakSet()


def read_by_the_batch(loop: asyncio.AbstractEventLoop) -> None:
    """Have the consumers that run in `loop` read so. They must not ask for committed transactions only."""
    read_any_header()
    _loops.add(loop)
    fetcher.PartitionRecords = _records
    fetcher.FetchResult = Result


def whole(topic: str, partition: int, record: Any) -> ConsumerRecord[bytes, bytes]:
    """A record with all that aiokafka's own have."""
    key, value = record.key, record.value
    return ConsumerRecord(
        topic=topic,
        partition=partition,
        offset=record.offset,
        timestamp=record.timestamp,
        timestamp_type=record.timestamp_type,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=-1 if key is None else len(key),
        serialized_value_size=-1 if value is None else len(value),
        headers=tuple(record.headers),
    )


def _records(*given: Any) -> Any:
    return Batches(*given) if asyncio.get_running_loop() in _loops else _PartitionRecords(*given)


class Batches(_PartitionRecords):  # type: ignore[valid-type,misc]  # aiokafka has no types
    """The records of one partition in one fetch."""

    next_fetch_offset: int

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._rest: list[Any] = []
        self._read_up_to = self.next_fetch_offset
        self.finished = False

    def take(self, limit: int | None) -> list[Any]:
        """The next records, at most `limit`; `next_fetch_offset` is then that of the one after them."""
        taken = self._rest
        while limit is None or len(taken) < limit:
            batch = next(self._records_iterator, None)
            if batch is None:
                self.finished = True
                break
            taken += batch
        taken, self._rest = (taken, []) if limit is None else (taken[:limit], taken[limit:])
        self.next_fetch_offset = self._rest[0].offset if self._rest else self._read_up_to
        return taken

    def _unpack_records(self) -> Iterator[list[Any]]:
        while self._records.has_next():
            batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {self._tp}")
            records = [] if batch.is_control_batch else batch.all()
            if records and records[0].offset < self._read_up_to:  # a fetch begins where a batch does
                records = [record for record in records if record.offset >= self._read_up_to]
            self._read_up_to = batch.next_offset  # also where its last records were compacted away
            if records:
                yield records


class Result(_FetchResult):  # type: ignore[valid-type,misc]  # aiokafka has no types
    """What is left of a fetch."""

    _partition_records: Any

    def getall(self, max_records: int | None = None) -> list[Any]:
        records = self._partition_records
        if not isinstance(records, Batches):
            return list(super().getall(max_records))
        if not self.check_assignment(self._topic_partition):
            return []
        taken = records.take(max_records)
        self._update_position()
        if records.finished:
            self._partition_records = None
        return taken
