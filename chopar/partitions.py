"""Reading the topics as they stand, partition by partition, without being a member of any group."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from time import monotonic, time
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
)

from activity.accounts import Span
from activity.chunk import Record
from activity.errors import Unreachable
from activity.settings import PREFIX, Settings
from streams.records import read_any_header
from streams.topics import kafka_address

BUSY: Final = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)
"""For a moment, above all on a new Kafka, which first has to create the topic that it keeps its groups in."""
PATIENCE: Final = 15.0
FETCH: Final = 8 * 1024 * 1024
SILENCE: Final = 30.0
"""Seconds without a record after which Kafka counts as away."""


class Partitions:
    """The topics of an installation; each has the same number of partitions. All raise Unreachable when Kafka is away."""

    def __init__(self, consumer: AIOKafkaConsumer, where: str, count: int) -> None:
        self._consumer, self._where, self._count = consumer, where, count

    async def ends(self, topic: str) -> list[int]:
        """The offset behind the last record of each partition."""
        return await self._offsets(topic, self._consumer.end_offsets)

    async def spans(self, topic: str) -> list[Span]:
        """What stands of each partition now."""
        begins, ends = await self._offsets(topic, self._consumer.beginning_offsets), await self.ends(topic)
        return [
            Span(begin, end, await self._first_time(topic, number, begin, end) if begin else 0)
            for number, (begin, end) in enumerate(zip(begins, ends, strict=True))
        ]

    async def committed(self, group: str, topic: str) -> list[int | None]:
        """How far a group has come on each partition; None: it has not begun."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._where)
        try:
            await admin.start()
            found = await _offsets_of(admin, group)
        except KafkaError as error:
            raise unreachable(self._where, error) from None
        finally:
            await admin.close()
        offsets = [found.get(TopicPartition(topic, number)) for number in range(self._count)]
        return [None if entry is None or entry.offset < 0 else int(entry.offset) for entry in offsets]

    async def batches(self, topic: str, partition: int, begin: int, end: int) -> AsyncGenerator[Sequence[Record], None]:
        """The records from offset `begin` to before `end` that there are, in their order."""
        if begin >= end:
            return
        place, heard = TopicPartition(topic, partition), monotonic()
        try:
            self._consumer.assign([place])
            self._consumer.seek(place, begin)
            while await self._consumer.position(place) < end:
                for batch in (await self._consumer.getmany(place, timeout_ms=1000)).values():
                    heard = monotonic()
                    last = len(batch)
                    while last and batch[last - 1].offset >= end:
                        last -= 1
                    yield batch[:last]
                if monotonic() - heard > SILENCE:
                    raise KafkaError(f"no record of {topic}/{partition} came for {SILENCE:.0f} s")
        except KafkaError as error:
            raise unreachable(self._where, error) from None

    async def _first_time(self, topic: str, partition: int, begin: int, end: int) -> int:
        async with aclosing(self.batches(topic, partition, begin, end)) as batches:
            async for batch in batches:
                if batch:
                    return batch[0].timestamp
        return int(time() * 1000) - await self._retention(topic)

    async def _retention(self, topic: str) -> int:
        """Milliseconds after which Kafka deletes the records of a topic."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._where)
        try:
            await admin.start()
            responses: Sequence[Any] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        except KafkaError as error:
            raise unreachable(self._where, error) from None
        finally:
            await admin.close()
        entries = [entry for response in responses for resource in response.resources for entry in resource[4]]
        return next((int(entry[1]) for entry in entries if entry[0] == "retention.ms"), 0)

    async def _offsets(self, topic: str, ask: Any) -> list[int]:
        places = [TopicPartition(topic, number) for number in range(self._count)]
        try:
            found = await ask(places)
        except KafkaError as error:
            raise unreachable(self._where, error) from None
        return [int(found[place]) for place in places]


async def _offsets_of(admin: AIOKafkaAdminClient, group: str) -> Mapping[TopicPartition, Any]:
    deadline = monotonic() + PATIENCE
    while True:
        try:
            return dict(await admin.list_consumer_group_offsets(group))
        except BUSY:
            if monotonic() > deadline:
                raise
        await asyncio.sleep(0.2)


@asynccontextmanager
async def reading_partitions(settings: Settings) -> AsyncIterator[Partitions]:
    """The topics that the settings name. Raises Unreachable when Kafka does not answer."""
    where = kafka_address(settings)
    read_any_header()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=where,
        client_id="chopar-reading",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH,
        fetch_max_wait_ms=100,
    )
    try:
        await consumer.start()
    except KafkaError as error:
        await consumer.stop()
        raise unreachable(where, error) from None
    try:
        yield Partitions(consumer, where, settings.partitions)
    finally:
        await consumer.stop()


def unreachable(where: str, error: Exception) -> Unreachable:
    """What to say of an error of the Kafka client."""
    return Unreachable(f"{PREFIX}KAFKA_URL", where, str(error) or type(error).__name__, "is Kafka up? `chopar up` starts one")
