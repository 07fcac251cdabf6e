"""Topics of a run: made, filled, read, deleted."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.stream.checker import Checker
from benchmarks.stream.events import Sent

PARTITIONS: Final = 8
BROKERS_TIME: Final = {"message.timestamp.type": "LogAppendTime"}
"""Rates are told by the time at which the broker took a record, whatever a side's clock or client does."""


class Topics:
    """What a run does with topics. Use `opened`."""

    def __init__(self, address: str, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> None:
        self._address, self._admin, self._consumer = address, admin, consumer

    @classmethod
    @asynccontextmanager
    async def opened(cls, address: str) -> AsyncIterator["Topics"]:
        """Connected while the block lasts."""
        admin = AIOKafkaAdminClient(bootstrap_servers=address)
        consumer = AIOKafkaConsumer(bootstrap_servers=address, max_partition_fetch_bytes=8 * 1024 * 1024)
        await admin.start()
        await consumer.start()
        try:
            yield cls(address, admin, consumer)
        finally:
            await consumer.stop()
            await admin.close()

    async def create(self, *names: str, config: Mapping[str, str] = BROKERS_TIME) -> None:
        """Make topics that are not there."""
        for _ in range(100):
            response = await self._admin.create_topics(
                [NewTopic(name, PARTITIONS, 1, topic_configs=dict(config)) for name in names]
            )
            if all(error[1] == 0 for error in response.topic_errors):
                break
            names = tuple(error[0] for error in response.topic_errors if error[1])
            await asyncio.sleep(0.1)  # one of the same name is still being deleted
        else:
            raise RuntimeError(f"can't create {', '.join(names)}")
        for _ in range(100):
            described = await self._admin.describe_topics(list(names))
            if all(topic["error_code"] == 0 and len(topic["partitions"]) == PARTITIONS for topic in described):
                return
            await asyncio.sleep(0.1)

    async def delete(self, prefixes: tuple[str, ...]) -> None:
        """Delete the topics whose names begin with one of `prefixes`."""
        names = [name for name in await self._admin.list_topics() if name.startswith(prefixes)]
        if names:
            await self._admin.delete_topics(names)

    async def rewind(self, group: str, topic: str) -> None:
        """Let `group`, which has no members, begin anew."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self._address, group_id=group, enable_auto_commit=False)
        await consumer.start()
        try:
            places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            consumer.assign(places)
            await consumer.commit(dict.fromkeys(places, 0))
        finally:
            await consumer.stop()

    async def fill(self, topic: str, events: Iterable[Sent]) -> int:
        """Send `events`, confirmed; gives how many."""
        producer = AIOKafkaProducer(bootstrap_servers=self._address, acks="all", max_batch_size=512 * 1024)
        count = 0
        async with producer:
            batches: dict[int, Any] = {}
            waiting: set[asyncio.Future[Any]] = set()
            for event in events:
                batch = batches.setdefault(event.partition, producer.create_batch())
                if batch.append(key=event.user.encode(), value=event.value, timestamp=None) is None:
                    waiting.add(await producer.send_batch(batch, topic, partition=event.partition))
                    batch = batches[event.partition] = producer.create_batch()
                    batch.append(key=event.user.encode(), value=event.value, timestamp=None)
                count += 1
            for partition, batch in batches.items():
                waiting.add(await producer.send_batch(batch, topic, partition=partition))
            await asyncio.gather(*waiting)
        return count

    async def length(self, topic: str) -> int:
        """How many records were written to `topic`."""
        ends = await self._consumer.end_offsets([TopicPartition(topic, number) for number in range(PARTITIONS)])
        return sum(ends.values())

    async def committed(self, group: str, topic: str) -> int:
        """How many records of `topic` the group has committed."""
        offsets = await self._admin.list_consumer_group_offsets(group)
        return sum(found.offset for place, found in offsets.items() if place.topic == topic and found.offset > 0)

    async def check(self, topic: str, checker: Checker) -> float:
        """Have `checker` take the whole of `topic`; gives the seconds from its first record to its last."""
        places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        ends = {place: end for place, end in (await self._consumer.end_offsets(places)).items() if end}
        self._consumer.assign(list(ends))
        await self._consumer.seek_to_beginning()
        first, last, left = float("inf"), 0, set(ends)
        while left:
            for place, records in (await self._consumer.getmany(timeout_ms=1000, max_records=20_000)).items():
                for record in records:
                    checker.take(record.key, record.value)
                first, last = min(first, records[0].timestamp), max(last, records[-1].timestamp)
                if records[-1].offset + 1 >= ends[place]:
                    left.discard(place)
        self._consumer.unsubscribe()
        return (last - first) / 1000
