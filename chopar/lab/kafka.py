"""A corner of a Kafka for an experiment or a test: topics and groups with names that nobody else has, and plain aiokafka clients.

The clients are aiokafka's, with two defaults turned round so that an experiment says what it relies on: a consumer begins at a
topic's beginning, and it commits only when it is told to.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from activity.errors import Unreachable
from activity.settings import Settings
from streams.topics import kafka_address

PATIENCE = 60.0


class Lab:
    """`topic()` makes one, `send()` fills it, `consumer()` and `producer()` are for `async with`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._topics: list[str] = []

    def name(self, what: str) -> str:
        """A name that nobody else uses."""
        return f"learn-{what}-{uuid.uuid4().hex[:8]}"

    async def topic(self, partitions: int = 1) -> str:
        """A new topic's name."""
        topic = self.name("topic")
        async with self.admin() as admin:
            await admin.create_topics([NewTopic(topic, partitions, 1)])
        self._topics.append(topic)
        return topic

    async def clear(self) -> None:
        """Takes away the topics that were made."""
        async with self.admin() as admin:
            await admin.delete_topics(self._topics)

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        """A client that creates and describes."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()

    def producer(self, **options: Any) -> AIOKafkaProducer:
        """Waits for all replicas, as aiokafka doesn't unless it is told."""
        return AIOKafkaProducer(bootstrap_servers=self.address, **{"acks": "all", **options})

    def consumer(self, *topics: str, group: str | None = None, **options: Any) -> AIOKafkaConsumer:
        """Reads from the beginning, or from where its group has committed; never commits by itself."""
        settings = {"auto_offset_reset": "earliest", "enable_auto_commit": False, **options}
        return AIOKafkaConsumer(*topics, bootstrap_servers=self.address, group_id=group, **settings)

    async def send(self, topic: str, values: Iterable[str], key: str | None = None, partition: int | None = None) -> None:
        """Sends them in this order; all are stored when it returns."""
        async with self.producer() as producer:
            for value in values:
                await producer.send_and_wait(topic, value.encode(), key=key and key.encode(), partition=partition)

    async def everything(self, topic: str, **options: Any) -> list[ConsumerRecord]:
        """All that lies in a topic, as a consumer without a group sees it, once no transaction is open any more.

        The broker answers that one has ended before it has marked the end on each partition.
        """
        async with self.consumer(topic, **options) as consumer, self.consumer(topic) as impatient:
            partitions = list(consumer.assignment())
            async with asyncio.timeout(PATIENCE):
                while await consumer.end_offsets(partitions) != await impatient.end_offsets(partitions):  # noqa: ASYNC110  (the broker tells nobody)
                    await asyncio.sleep(0.05)
            return await to_end(consumer)


@asynccontextmanager
async def corner(url: str) -> AsyncIterator[Lab]:
    """A `Lab` on the Kafka at `url`; its topics are gone when it ends. Raises Unreachable."""
    address = kafka_address(Settings(kafka_url=url))
    lab = Lab(address)
    try:
        yield lab
    except KafkaError as error:
        problem = str(error) or type(error).__name__
        raise Unreachable("CHOPAR_KAFKA_URL", address, problem, "is Kafka up? `chopar up` starts one") from None
    finally:
        with suppress(KafkaError):
            await lab.clear()


async def take(consumer: AIOKafkaConsumer, count: int) -> list[ConsumerRecord]:
    """The next `count` records."""
    async with asyncio.timeout(PATIENCE):
        return [await consumer.getone() for _ in range(count)]


async def to_end(consumer: AIOKafkaConsumer) -> list[ConsumerRecord]:
    """All records up to what is now the end of the consumer's partitions."""
    found: list[ConsumerRecord] = []
    async with asyncio.timeout(PATIENCE):
        ends = await consumer.end_offsets(list(consumer.assignment()))
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
    return found


def texts(records: Iterable[ConsumerRecord]) -> list[str]:
    """The records' values."""
    return [record.value.decode() for record in records]


def numbered(first: int, last: int) -> list[str]:
    """`m01`, `m02` … : messages of which one sees at once what is missing, twice or out of order."""
    return [f"m{number:02}" for number in range(first, last + 1)]
