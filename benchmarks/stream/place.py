"""Where it all runs: brokers of its own, run for load; and the input on them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.stream.events import Input
from benchmarks.stream.side import Work
from benchmarks.stream.topics import BROKERS_TIME, Topics
from brokers.kafka import Kafka
from brokers.node import Node
from brokers.rabbitmq import RabbitMQ

HEAP_MB: Final = 512
GATHER_MS: Final = 3_000
"""Kafka's default. Two workers that start together share the work from the first record on."""


class Urls(msgspec.Struct, frozen=True):
    """Kafka's host:port, RabbitMQ's URL, and that of its management API if it was started here."""

    kafka: str
    rabbit: str
    management: str | None = None


@asynccontextmanager
async def brokers(folder: Path, kafka: str | None = None, rabbit: str | None = None) -> AsyncIterator[Urls]:
    """Both while the block lasts; what is given is not started."""
    own_kafka, own_rabbit = Node(Kafka(folder / "kafka", heap_mb=HEAP_MB, gather_ms=GATHER_MS), folder / "kafka.json"), None
    try:
        if not kafka:
            await own_kafka.start()
            kafka = own_kafka.url.removeprefix("kafka://")
        if not rabbit:
            own_rabbit = Node(RabbitMQ(folder / "rabbit"), folder / "rabbit.json")
            await own_rabbit.start()
            rabbit = own_rabbit.url
        yield Urls(kafka, rabbit, own_rabbit.broker.management_url if own_rabbit else None)
    finally:
        await own_kafka.stop()
        if own_rabbit:
            await own_rabbit.stop()


async def fill_input(topics: Topics, topic: str, given: Input) -> Work:
    """A new `topic` with the events of `given`."""
    await topics.delete((topic,))
    await topics.create(topic, config={**BROKERS_TIME, "max.message.bytes": str(2 * 1024 * 1024)})
    records = await topics.fill(topic, given)
    return Work(topic, records, dict(given.distinct))
