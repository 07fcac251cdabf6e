"""A bare loop on aiokafka, in whole batches: what its public interface allows. Its states live in memory only."""

import asyncio
import signal
from collections import defaultdict
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.peers.rule import Place, State, advance, decode, place

COMMIT_EVERY = 0.5


async def run(where: Place) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    consumer = AIOKafkaConsumer(
        where.input,
        bootstrap_servers=where.kafka,
        group_id=where.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=4 * 1024 * 1024,
        check_crcs=False,
    )
    producer = AIOKafkaProducer(bootstrap_servers=where.kafka, enable_idempotence=True, max_batch_size=256 * 1024)
    users: defaultdict[str, State] = defaultdict(State)
    committed = monotonic()
    async with producer, consumer:
        while not stopped.is_set():
            deliveries: list[Any] = []
            for partition, records in (await consumer.getmany(timeout_ms=50, max_records=4000)).items():
                out = [pair for record in records for pair in outputs(users, record)]
                deliveries += await send(producer, where.output, partition.partition, out)
            await asyncio.gather(*deliveries)
            if monotonic() - committed > COMMIT_EVERY:
                await consumer.commit()
                committed = monotonic()


def outputs(users: defaultdict[str, State], record: Any) -> list[tuple[bytes, bytes]]:
    """The records that `record` leads to."""
    event = decode(record.value)
    return [(record.key, out) for out in advance(users[event.subject], int(event.sequence), record.value)]


async def send(producer: Any, topic: str, partition: int, pairs: list[tuple[bytes, bytes]]) -> list[Any]:
    """Queue them in order; gives what to wait for."""
    sent, batch = [], producer.create_batch()
    for key, value in pairs:
        if batch.append(key=key, value=value, timestamp=None) is None:
            sent.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None)
    if batch.record_count():
        sent.append(await producer.send_batch(batch, topic, partition=partition))
    return sent


if __name__ == "__main__":
    asyncio.run(run(place()))
