"""Records that are hard to read or to put away, on a real Kafka: they end on `activity.dead`, and hold nobody up."""

import struct
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.record.util import calc_crc32c

from activity import names
from streams.topics import partition_of
from tests.installation import Installation, send
from tests.streams.test_outage import events

CRC_AT, AFTER_CRC = 17, 21
NAME, BROKEN = b"HEADERNAME", b"\xff\xfeADERNAME"


async def send_raw(
    kafka_url: str,
    user: str,
    value: bytes,
    *,
    key: bool = True,
    compression: str | None = None,
    headers: Sequence[tuple[str, bytes]] = (),
    broken: bool = False,
) -> None:
    """One record to the user's partition; `broken`: with a header whose name is no UTF-8."""
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka_url.removeprefix("kafka://"), compression_type=compression, max_request_size=10**8
    )
    await producer.start()
    try:
        batch = producer.create_batch()
        headers = [(NAME.decode(), b"x")] if broken else list(headers)
        batch.append(key=user.encode() if key else None, value=value, timestamp=None, headers=headers)
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
    """The records of the user's partition of `activity.dead`."""
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
                found += batch
        return found
    finally:
        await consumer.stop()


GZIP: Final = {"compression": "gzip"}
TRACE: Final = [("trace", b"x" * 3_000_000), ("mark", b"m")]
POISON: Final[list[tuple[bytes, dict[str, Any], bytes, int]]] = [
    # value, how it is sent; reason, bytes of it that are kept
    (b'"' + b"x" * 3_000_000 + b'"', GZIP, b"too-big", 64 * 1024),
    (b"x" * (2 * 1024 * 1024 - 150), {}, b"too-big", 64 * 1024),
    (b"junk", {"broken": True}, b"not-json", 4),
    (b"JUNK", {**GZIP, "headers": TRACE}, b"not-json", 4),
    (
        b'{"specversion":"1.0","id":"1","source":"/web","type":"t","subject":"away"}',
        {**GZIP, "key": False, "headers": TRACE},
        b"too-big",
        74,
    ),
]


async def test_it_is_put_away_and_those_behind_it_are_stored(kafka_url: str, tmp_path: Path) -> None:
    """What is compressed to fit, what is at the topic's limit, a header name that is no UTF-8, headers that fit nowhere else:
    in a dead letter, and in an event that has to go to its user's partition."""
    user = f"p{uuid.uuid4().hex[:8]}"
    ours = Installation(tmp_path, kafka_url)
    async with ours.running(ours.worker):
        for value, options, _, _ in POISON:
            await send_raw(kafka_url, user, value, **options)
        await send(kafka_url, events([user], 1, 9), rate=10_000)
        await ours.until(lambda: ours.stored(user) == 9, "those behind it stored")
        assert ours.worker.running
    found = (await dead_of(kafka_url, user))[-len(POISON) :]
    for record, (value, options, reason, kept) in zip(found, POISON, strict=True):
        headers = dict(record.headers)
        assert headers["chopar-reason"] == reason
        assert record.key == (user.encode() if options.get("key", True) else None)
        assert record.value == value[:kept]
        assert (names.CUT_HEADER in headers) == (len(value) > kept or "headers" in options)
        assert ("trace" in headers, headers.get("mark")) == (False, b"m" if "headers" in options else None)
        if options.get("broken"):
            assert headers["\\xff\\xfeADERNAME"] == b"x"


async def test_an_event_with_such_a_header_is_an_event(kafka_url: str, tmp_path: Path) -> None:
    user = f"p{uuid.uuid4().hex[:8]}"
    ours = Installation(tmp_path, kafka_url)
    async with ours.running(ours.worker):
        value = f'{{"specversion":"1.0","id":"1","source":"/web","type":"t","subject":"{user}"}}'
        await send_raw(kafka_url, user, value.encode(), broken=True)
        await ours.until(lambda: ours.stored(user) == 1, "stored")
