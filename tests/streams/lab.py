"""A small Faust app over the chunk transport, with topics of its own, run inside a test."""

import asyncio
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import faust
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from faust.tables.manager import TableManager

from activity.chunk import Chunk
from streams.chunks import Chunks, each_chunk
from streams.outage import KafkaOutage


class LabApp(faust.App):
    """The one thing beside Faust's own that the consumer asks its app for."""

    outage = KafkaOutage()


class Lab:
    """One topic `topic`, one group; `app(work)` is a worker that calls `work` for each chunk."""

    def __init__(self, kafka_url: str, partitions: int = 2) -> None:
        self.address = kafka_url.removeprefix("kafka://")
        self.group = f"lab-{uuid.uuid4().hex[:8]}"
        self.topic = f"{self.group}-in"
        self.changelog = f"{self.group}-table-changelog"
        self.partitions = partitions

    async def create(self) -> "Lab":
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        try:
            topics = (self.topic, self.changelog)
            await admin.create_topics([NewTopic(topic, self.partitions, 1) for topic in topics])
        finally:
            await admin.close()
        return self

    def app(self, work: Callable[[Chunk], Awaitable[None]]) -> faust.App:
        """A worker; nothing is started."""
        app = LabApp(
            self.group,
            broker=f"chopar://{self.address}",
            autodiscover=False,
            datadir=str(Path(tempfile.gettempdir()) / self.group),
            topic_disable_leader=True,
            topic_partitions=self.partitions,
            broker_commit_interval=0.2,
            broker_session_timeout=10.0,
            broker_heartbeat_interval=3.0,
            broker_max_poll_records=50,
            web_enabled=False,
            key_serializer="raw",
            value_serializer="raw",
        )
        app.Table("table", partitions=self.partitions, key_type=bytes, value_type=bytes)
        app.agent(app.topic(self.topic, schema=Chunks()), name="lab")(each_chunk(work))
        return app

    @asynccontextmanager
    async def running(self, work: Callable[[Chunk], Awaitable[None]]) -> AsyncIterator[faust.App]:
        """A worker that has joined and recovered."""
        app = self.app(work)
        app.finalize()
        await app.start()
        try:
            await asyncio.wait_for(cast(TableManager, app.tables).recovery.completed.wait(), 60)
            yield app
        finally:
            await app.stop()

    async def send(self, values: list[bytes], partition: int = 0, topic: str | None = None) -> None:
        """Send to one partition of `topic` (the input), confirmed."""
        producer = AIOKafkaProducer(bootstrap_servers=self.address)
        await producer.start()
        try:
            for value in values:
                await producer.send(topic or self.topic, value, key=b"k", partition=partition)
            await producer.flush()
        finally:
            await producer.stop()

    async def committed(self, partition: int = 0) -> int | None:
        """The group's committed offset."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.address, group_id=self.group, enable_auto_commit=False)
        await consumer.start()
        try:
            found: int | None = await consumer.committed(TopicPartition(self.topic, partition))
            return found
        finally:
            await consumer.stop()
