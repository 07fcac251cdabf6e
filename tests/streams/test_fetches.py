"""Records taken by the batch are those that aiokafka gives one by one, and no other position comes of it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_UNCOMMITTED
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.fetches import Batches, _PartitionRecords, read_by_the_batch, whole
from streams.records import Records

TP = TopicPartition("topic", 3)


def stored(first: int, count: int) -> bytes:
    """A batch as a broker keeps it, of `count` records from offset `first`."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for number in range(count):
        assert builder.append(number, 1_000 + number, b"k", b"%d" % (first + number), [("n", b"v")]) is not None
    raw = bytearray(builder.build())
    raw[:8] = first.to_bytes(8, "big")  # the broker numbers it; the checksum does not cover it
    return bytes(raw)


def fetched(sizes: Sequence[int], start: int, kind: Any) -> Any:
    first, parts = 0, []
    for size in sizes:
        parts.append(stored(first, size))
        first += size
    return kind(TP, Records(b"".join(parts)), [], start, None, None, True, READ_UNCOMMITTED)


@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.data())
def test_they_are_the_same_however_they_are_taken(sizes: list[int], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, sizes[0] - 1), "where the consumer stands")
    theirs = list(fetched(sizes, start, _PartitionRecords))
    batches, ours = fetched(sizes, start, Batches), []
    while not batches.finished:
        limit = data.draw(st.none() | st.integers(1, 9), "the most it may take")
        taken = batches.take(limit)
        assert limit is None or len(taken) <= limit
        ours += taken
        assert batches.next_fetch_offset == start + len(ours), "where the consumer stands now"
    assert [whole(TP.topic, TP.partition, record) for record in ours] == theirs


def test_a_broken_batch_is_not_taken() -> None:
    raw = bytearray(stored(0, 5))
    raw[-3] ^= 1
    batches = Batches(TP, Records(bytes(raw)), [], 0, None, None, True, READ_UNCOMMITTED)
    with pytest.raises(CorruptRecordException):
        batches.take(10)
    assert batches.next_fetch_offset == 0


async def test_other_consumers_of_the_process_get_them_as_ever() -> None:
    other = asyncio.new_event_loop()
    other.close()
    read_by_the_batch(other)
    given_here = fetcher.PartitionRecords(TP, Records(stored(0, 2)), [], 0, None, None, True, READ_UNCOMMITTED)
    assert [record.topic for record in given_here] == ["topic", "topic"]
