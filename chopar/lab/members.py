"""The members of one consumer group, and who owns which partitions at the moment.

Kafka tells each member when partitions are taken from it and when it gets some. Experiments and tests wait for that instead
of sleeping: `await group.until(lambda: group.owned["ann"] == {0, 1})`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener

from chopar.lab.kafka import PATIENCE, Lab


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
        self._unheard = set[str]()

    @asynccontextmanager
    async def member(self, name: str) -> AsyncIterator[AIOKafkaConsumer]:
        """Joins, and leaves at the end of the block. Beats often, so that it hears soon of others who join or leave."""
        self.owned[name] = set()
        self._unheard = set(self.owned)
        # Kafka deals partitions out in the order of the members' ids, which begin with the client's.
        consumer = self.lab.consumer(group=self.name, heartbeat_interval_ms=200, client_id=name)
        consumer.subscribe([self.topic], listener=Ownership(self, name))
        async with consumer:
            yield consumer
            del self.owned[name]
            self._unheard = set(self.owned)

    async def settled(self, partitions: int) -> None:
        """Waits until all members have heard of the last one that came or went, and all partitions are dealt out."""
        await self.until(lambda: not self._unheard and sum(map(len, self.owned.values())) == partitions)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until the ownership is as it should be."""
        async with asyncio.timeout(PATIENCE), self.changed:
            await self.changed.wait_for(condition)

    async def tell(self, name: str, what: str, partitions: set[int]) -> None:
        """Notes what a member was told."""
        async with self.changed:
            if name not in self.owned:
                return  # it is on its way out
            self.owned[name] = partitions if what == "assigned" else set()
            if what == "assigned":
                self._unheard.discard(name)
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
