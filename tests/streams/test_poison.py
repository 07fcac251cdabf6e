"""Records that are hard to read or to put away, on a real Kafka: they end on `activity.dead`, and hold nobody up."""

import struct
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.record.util import calc_crc32c

from activity import names
from streams.topics import partition_of
from tests.installation import Installation, send
from tests.streams.test_outage import events

CRC_AT, AFTER_CRC = 17, 21
NAME, BROKEN = b"HEADERNAME", b"\xff\xfeADERNAME"


async def send_raw(kafka_url: str, user: str, value: bytes, *, compression: str | None = None, broken: bool = False) -> None:
    """One record to the user's partition; `broken`: with a header whose name is no UTF-8."""
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka_url.removeprefix("kafka://"), compression_type=compression, max_request_size=10**8
    )
    await producer.start()
    try:
        batch = producer.create_batch()
        headers = [(NAME.decode(), b"x")] if broken else []
        batch.append(key=user.encode(), value=value, timestamp=None, headers=headers)
        if broken:
            raw = bytearray(batch._build())
            at = raw.index(NAME)
            raw[at : at + len(NAME)] = BROKEN
            raw[CRC_AT:AFTER_CRC] = struct.pack(">I", calc_crc32c(bytes(raw[AFTER_CRC:])))
            batch._buffer = bytes(raw)
        await (await producer.send_batch(batch, names.EVENTS, partition=partition_of(user.encode(), 8)))
    finally:
        await producer.stop()


async def dead_of(kafka_url: str, user: str) -> Sequence[Any]:
    """The user's records on `activity.dead`."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka_url.removeprefix("kafka://"), auto_offset_reset="earliest", max_partition_fetch_bytes=4_000_000
    )
    await consumer.start()
    try:
        tp = TopicPartition(names.DEAD, partition_of(user.encode(), 8))
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        found: list[Any] = []
        while await consumer.position(tp) < end:
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                found += [record for record in batch if record.key == user.encode()]
        return found
    finally:
        await consumer.stop()


@pytest.mark.parametrize(
    ("value", "options", "reason", "kept"),
    [
        (b'"' + b"x" * 3_000_000 + b'"', {"compression": "gzip"}, b"too-big", 64 * 1024),
        (b"x" * (2 * 1024 * 1024 - 150), {}, b"too-big", 64 * 1024),
        (b"junk", {"broken": True}, b"not-json", 4),
    ],
    ids=["compressed to fit", "at the topic's limit", "a header name that is no UTF-8"],
)
async def test_it_is_put_away_and_those_behind_it_are_stored(
    kafka_url: str, tmp_path: Path, value: bytes, options: dict[str, Any], reason: bytes, kept: int
) -> None:
    user = f"p{uuid.uuid4().hex[:8]}"
    ours = Installation(tmp_path, kafka_url)
    async with ours.running(ours.worker):
        await send_raw(kafka_url, user, value, **options)
        await send(kafka_url, events([user], 1, 9), rate=10_000)
        await ours.until(lambda: ours.stored(user) == 9, "those behind it stored")
        assert ours.worker.running
    (record,) = await dead_of(kafka_url, user)
    headers = dict(record.headers)
    assert headers["chopar-reason"] == reason
    assert record.value == value[:kept]
    assert (names.CUT_HEADER in headers) == (len(value) > kept)
    if options.get("broken"):
        assert headers["\\xff\\xfeADERNAME"] == b"x"


async def test_an_event_with_such_a_header_is_an_event(kafka_url: str, tmp_path: Path) -> None:
    user = f"p{uuid.uuid4().hex[:8]}"
    ours = Installation(tmp_path, kafka_url)
    async with ours.running(ours.worker):
        value = f'{{"specversion":"1.0","id":"1","source":"/web","type":"t","subject":"{user}"}}'
        await send_raw(kafka_url, user, value.encode(), broken=True)
        await ours.until(lambda: ours.stored(user) == 1, "stored")
