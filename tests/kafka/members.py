"""The members of one consumer group, and who owns which partitions at the moment.

Kafka tells each member when partitions are taken from it and when it gets some. A test waits for that instead of
sleeping: `await group.until(lambda: group.owned["ann"] == {0, 1})`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener

from tests.kafka.lab import PATIENCE, Lab


class Group:
    """One group that reads one topic."""

    def __init__(self, lab: Lab, topic: str) -> None:
        self.lab = lab
        self.topic = topic
        self.name = lab.name("group")
        self.owned: dict[str, set[int]] = {}
        """What each member owns now."""
        self.told: list[tuple[str, str, set[int]]] = []
        """All that members were told so far: the member, `revoked` or `assigned`, partitions."""
        self.changed = asyncio.Condition()

    @asynccontextmanager
    async def member(self, name: str) -> AsyncIterator[AIOKafkaConsumer]:
        """Joins, and leaves at the end of the block. Beats often, so that it hears soon of others who join or leave."""
        self.owned[name] = set()
        consumer = self.lab.consumer(group=self.name, heartbeat_interval_ms=200)
        consumer.subscribe([self.topic], listener=Ownership(self, name))
        async with consumer:
            yield consumer
        del self.owned[name]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until the ownership is as it should be."""
        async with asyncio.timeout(PATIENCE), self.changed:
            await self.changed.wait_for(condition)

    async def tell(self, name: str, what: str, partitions: set[int]) -> None:
        """Notes what a member was told."""
        async with self.changed:
            self.owned[name] = partitions if what == "assigned" else set()
            self.told.append((name, what, partitions))
            self.changed.notify_all()


class Ownership(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Passes on what Kafka tells one member."""

    def __init__(self, group: Group, name: str) -> None:
        self.group = group
        self.name = name

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Taken away, all of them: this is the last moment to commit."""
        await self.group.tell(self.name, "revoked", {partition.partition for partition in revoked})

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """What it owns from now on."""
        await self.group.tell(self.name, "assigned", {partition.partition for partition in assigned})
