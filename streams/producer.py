"""The producer: whole batches, and a fence that a worker which was paused too long can't pass."""

import asyncio
from collections.abc import Generator, Iterable, Iterator
from itertools import chain
from time import monotonic
from typing import Any, Final

from aiokafka.errors import NodeNotReadyError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.produce import ProduceRequest
from faust.transport.drivers import aiokafka as driver

from activity.sequencing import KeyValue, Pair
from rabbit.failpoints import failpoint
from streams.exits import TEMPFAIL, leave

_NO_HEADERS: Final[list[Any]] = []


def fill(batch: BatchBuilder, first: KeyValue | Pair, others: Iterator[KeyValue | Pair]) -> KeyValue | Pair | None:
    """Put `first` and then as many of `others` into an empty batch as fit; gives the one that did not.

    Straight into the builder in C: `BatchBuilder.append` would take as long again to find that there are no serializers.
    """
    append = batch._builder.append
    for number, pair in enumerate(chain((first,), others)):
        if append(number, None, pair[0], pair[1], pair[2] if len(pair) > 2 else _NO_HEADERS) is None:
            batch.close()
            return pair
        batch._relative_offset = number + 1
    return None


class Delivery:
    """A batch of `records` on its way. Awaited it gives the offset of the first (-1: Kafka can't tell), or raises KafkaError.

    Who waits for it may let go of it; the batch goes out all the same, and `Producer.emptied` waits for that.
    """

    __slots__ = ("future", "records")

    def __init__(self, future: asyncio.Future[Any], records: int) -> None:
        self.future, self.records = future, records

    @property
    def first(self) -> int:
        """As awaited, once its future is done."""
        return int(self.future.result().offset)

    def __await__(self) -> Generator[Any, None, int]:
        yield from asyncio.shield(self.future).__await__()
        return self.first


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
            answer = await send(node, request, **options)
            if isinstance(request, ProduceRequest):
                failpoint("producer.answered")  # Kafka has it, and who sent it does not know yet
            return answer

        client.send = fenced
        self.add_future(self._watch_pause())

    def _is_out_of_touch(self) -> bool:
        consumer: Any = self.app.consumer  # streams.consumer.Consumer, which imports this module
        return bool(consumer.out_of_touch > self._touch_limit and consumer.assignment())

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

    async def send_pairs(self, topic: str, partition: int, pairs: Iterable[KeyValue | Pair]) -> list[Delivery]:
        """Queue (key, value) or (key, value, headers) for one partition in order; gives the deliveries to await."""
        producer = self._ensure_producer()
        sent: list[Delivery] = []
        left = iter(pairs)
        more: KeyValue | Pair | None = next(left, None)
        while more is not None:
            batch = producer.create_batch()
            more = fill(batch, more, left)
            sent.append(self._tracked(await producer.send_batch(batch, topic, partition=partition), batch))
        return sent

    def _tracked(self, future: asyncio.Future[Any], batch: BatchBuilder) -> Delivery:
        self._undelivered.add(future)
        future.add_done_callback(self._settled)
        return Delivery(future, batch.record_count())

    def _settled(self, future: asyncio.Future[Any]) -> None:
        self._undelivered.discard(future)
        if not future.cancelled():
            future.exception()  # who let go of it does not ask any more
