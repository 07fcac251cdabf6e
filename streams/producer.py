"""The producer: whole batches, and a fence that a worker which was paused too long can't pass."""

import asyncio
from collections.abc import Generator, Iterable, Sequence
from time import monotonic
from typing import Any

from aiokafka.errors import NodeNotReadyError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.produce import ProduceRequest
from faust.transport.drivers import aiokafka as driver

from streams.exits import TEMPFAIL, leave


class Delivery:
    """A batch of `records` on its way. Awaited it gives the offset of the first (-1: Kafka can't tell), or raises KafkaError."""

    __slots__ = ("_future", "records")

    def __init__(self, future: asyncio.Future[Any], records: int) -> None:
        self._future, self.records = future, records

    def __await__(self) -> Generator[Any, None, int]:
        metadata = yield from self._future.__await__()
        return int(metadata.offset)


class Producer(driver.Producer):
    """Sends batches for one partition, in order; idempotent (KIP-98), so that a retry neither repeats nor reorders.

    Two fences stand before each request. A process that was stopped for longer than its group waits (SIGSTOP, a
    suspended laptop) leaves. One that runs but has not heard from the group for that long keeps its batches back:
    another worker may own the partitions, and a late write would go over its newer states.
    """

    async def on_start(self) -> None:
        await super().on_start()
        self._undelivered: set[asyncio.Future[Any]] = set()
        conf = self.app.conf
        self._pause_limit = conf.broker_session_timeout - conf.broker_heartbeat_interval
        self._touch_limit = conf.broker_session_timeout - 2.0
        self._beat = monotonic()
        client = self._ensure_producer().client
        send = client.send

        async def fenced(node: Any, request: Any, **options: Any) -> Any:
            self._check_pause()
            if isinstance(request, ProduceRequest) and self._is_out_of_touch():
                raise NodeNotReadyError("not confirmed as a member of the group lately")
            return await send(node, request, **options)

        client.send = fenced
        self.add_future(self._watch_pause())

    def _is_out_of_touch(self) -> bool:
        consumer: Any = self.app.consumer  # streams.consumer.Consumer, which imports this module
        return bool(consumer.assignment() and consumer.out_of_touch > self._touch_limit)

    def _settings_extra(self) -> dict[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    def _check_pause(self) -> None:
        paused = monotonic() - self._beat
        if paused > self._pause_limit:
            leave(TEMPFAIL, f"this process was paused for {paused:.1f} s; its partitions are another worker's by now")

    async def _watch_pause(self) -> None:
        while not self.should_stop:
            self._check_pause()
            self._beat = monotonic()
            await self.sleep(0.1)

    async def emptied(self) -> None:
        """Returns once all that was sent is acknowledged, or has failed."""
        while self._undelivered:
            await asyncio.wait(self._undelivered)

    async def send_pairs(
        self, topic: str, partition: int, pairs: Iterable[tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]]
    ) -> list[Delivery]:
        """Queue (key, value, headers) for one partition in order; gives the deliveries to await."""
        producer = self._ensure_producer()
        sent: list[Delivery] = []
        batch = producer.create_batch()
        for key, value, headers in pairs:
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:  # full
                sent.append(self._tracked(await producer.send_batch(batch, topic, partition=partition), batch))
                batch = producer.create_batch()
                batch.append(key=key, value=value, timestamp=None, headers=headers)
        if batch.record_count():
            sent.append(self._tracked(await producer.send_batch(batch, topic, partition=partition), batch))
        return sent

    def _tracked(self, future: asyncio.Future[Any], batch: BatchBuilder) -> Delivery:
        self._undelivered.add(future)
        future.add_done_callback(self._undelivered.discard)
        return Delivery(future, batch.record_count())
