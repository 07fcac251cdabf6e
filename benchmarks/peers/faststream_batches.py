"""The peer on FastStream, in batches (one by one it is fifty times slower). Its states live in memory only."""

import asyncio
from collections import defaultdict
from typing import Any

from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaPublishMessage
from faststream.kafka.annotations import KafkaMessage

from benchmarks.peers.rule import State, advance, decode, place

BATCH = 1_000
"""Messages in one publish; more would not fit into its batch."""

where = place()
broker = KafkaBroker(where.kafka, enable_idempotence=True, max_batch_size=512 * 1024, apply_types=True)
app = FastStream(broker)
users: defaultdict[str, State] = defaultdict(State)


async def undecoded(message: Any) -> list[bytes]:
    """FastStream would read each body as JSON first."""
    return [record.value for record in message.raw_message]


@broker.subscriber(
    where.input,
    batch=True,
    decoder=undecoded,
    group_id=where.group,
    auto_offset_reset="earliest",
    ack_policy=AckPolicy.NACK_ON_ERROR,
    max_records=4000,
    batch_timeout_ms=50,
    max_partition_fetch_bytes=4 * 1024 * 1024,
)
async def sequencer(message: KafkaMessage) -> None:
    """A batch of any partitions: publish what it leads to, confirmed, by partition; then it is committed."""
    out: defaultdict[int, list[Any]] = defaultdict(list)
    for record in message.raw_message:
        event = decode(record.value)
        for raw in advance(users[event.subject], int(event.sequence), record.value):
            out[record.partition].append(KafkaPublishMessage(raw, key=record.key))
    deliveries = [
        await broker.publish_batch(*messages[at : at + BATCH], topic=where.output, partition=partition, no_confirm=True)
        for partition, messages in out.items()
        for at in range(0, len(messages), BATCH)
    ]
    await asyncio.gather(*deliveries)


if __name__ == "__main__":
    asyncio.run(app.run())
