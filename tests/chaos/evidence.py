"""What a run leaves behind, read with clients of this module's own: topics, the store's rows, the queues' jobs.

Nothing of Chopar is imported here, so that no mistake of it can hide itself (`test_checker.py` holds that).
"""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any, Final, NamedTuple

import aio_pika
import msgspec
from aio_pika.exceptions import QueueEmpty
from aiokafka import AIOKafkaConsumer, TopicPartition

QUEUES: Final = ("email.transactional", "email.bulk")


class Seen(NamedTuple):
    """A record as it stands on a topic. `time` is Kafka's, in seconds."""

    partition: int
    offset: int
    time: float
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]


class Row(NamedTuple):
    """A row of the store's activity log."""

    user: str
    position: int
    source: str
    id: str
    verdict: str
    event: bytes
    partition: int
    offset: int
    repeats: int | None


class Evidence(NamedTuple):
    """All of it; `jobs` as they lay in the queues, repeats and all, or None if no notifier ran."""

    events: list[Seen]
    log: list[Seen]
    dead: list[Seen]
    rows: list[Row]
    jobs: list[dict[str, Any]] | None


async def gather(kafka: str, store: Path, rabbit_url: str | None) -> Evidence:
    """Read everything. The queues are empty afterwards."""
    topics = [await read_topic(kafka, topic) for topic in ("activity.events", "activity.log", "activity.dead")]
    rows = await asyncio.to_thread(read_store, store)
    return Evidence(topics[0], topics[1], topics[2], rows, await drain(rabbit_url) if rabbit_url else None)


async def read_topic(kafka: str, topic: str) -> list[Seen]:
    """All that stands on `topic`, each partition in its order."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", max_partition_fetch_bytes=4_000_000)
    await consumer.start()
    found: list[Seen] = []
    try:
        await consumer._client._wait_on_metadata(topic)
        parts = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
        ends = await consumer.end_offsets(parts)
        consumer.assign(parts)
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for tp, batch in (await consumer.getmany(timeout_ms=500)).items():
                found += [
                    Seen(tp.partition, one.offset, one.timestamp / 1000, one.key, one.value, dict(one.headers)) for one in batch
                ]
    finally:
        await consumer.stop()
    return found


def read_store(path: Path) -> list[Row]:
    """The rows of the activity log, by SQLite's own means."""
    database = sqlite3.connect(path, timeout=30)
    try:
        columns = "user_id, position, source, event_id, verdict, event, kafka_partition, kafka_offset, repeats"
        return [Row(*row) for row in database.execute(f"select {columns} from activity")]  # noqa: S608  (constants)
    finally:
        database.close()


async def drain(url: str) -> list[dict[str, Any]]:
    """Every job that waits in a queue."""
    found: list[dict[str, Any]] = []
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        for name in QUEUES:
            queue = await channel.get_queue(name)
            try:
                while (message := await queue.get(no_ack=True)) is not None:
                    found.append(msgspec.json.decode(message.body))
            except QueueEmpty:
                continue
    return found
