"""Sending records to Kafka, confirmed, in bounded memory."""

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from activity.errors import Unreachable
from activity.events import Headers
from activity.settings import PREFIX, Settings

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

RECORDS_IN_FLIGHT: Final = 2000
BYTES_IN_FLIGHT: Final = 16 * 1024 * 1024


class Delivery:
    """Records on their way. `confirmed` counts those that all replicas have."""

    def __init__(self, producer: "AIOKafkaProducer", where: str) -> None:
        self._producer, self._where = producer, where
        self._flying: deque[tuple[asyncio.Future[object], int]] = deque()
        self._bytes = 0
        self.confirmed = 0

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> "asyncio.Future[object]":
        """Sends a record to the partition that its key belongs to, after waiting for room; gives what is done once it is
        confirmed. Raises Unreachable."""
        from aiokafka.errors import KafkaError

        size = len(key or b"") + len(value or b"")
        while self._flying and (len(self._flying) >= RECORDS_IN_FLIGHT or self._bytes + size > BYTES_IN_FLIGHT):
            await self._land()
        while self._flying and self._flying[0][0].done():
            await self._land()
        try:
            future: asyncio.Future[object] = await self._producer.send(topic, value, key=key, headers=list(headers))
        except KafkaError as error:
            raise self._unreachable(error) from None
        self._flying.append((future, size))
        self._bytes += size
        return future

    async def flush(self) -> None:
        """Returns when all are confirmed. Raises Unreachable if Kafka does not confirm them in time."""
        while self._flying:
            await self._land()

    async def _land(self) -> None:
        from aiokafka.errors import KafkaError

        future, size = self._flying[0]
        try:
            await future
        except KafkaError as error:
            raise self._unreachable(error) from None
        self._flying.popleft()
        self._bytes -= size
        self.confirmed += 1

    def _unreachable(self, error: Exception) -> Unreachable:
        problem = str(error) or type(error).__name__
        remedy = f"{self.confirmed:,} records are confirmed; send all again when it is back, repeats are dropped"
        for future, _ in self._flying:
            future.cancel()
        return Unreachable(f"{PREFIX}KAFKA_URL", self._where, problem, remedy)


@asynccontextmanager
async def delivering(settings: Settings) -> AsyncIterator[Delivery]:
    """A producer as Chopar's own: acks from all replicas, repeats of one request are recognised (KIP-98), murmur2.

    Raises Unreachable when Kafka does not answer.
    """
    from aiokafka import AIOKafkaProducer
    from aiokafka.errors import KafkaError

    from streams.topics import LARGEST_RECORD, kafka_address

    where = kafka_address(settings)
    producer = AIOKafkaProducer(
        bootstrap_servers=where,
        client_id="chopar-send",
        acks="all",
        enable_idempotence=True,
        linger_ms=5,
        max_batch_size=256 * 1024,
        max_request_size=LARGEST_RECORD,
        request_timeout_ms=20_000,
    )
    try:
        await producer.start()
    except KafkaError as error:
        await producer.stop()
        problem = str(error) or type(error).__name__
        raise Unreachable(f"{PREFIX}KAFKA_URL", where, problem, "is Kafka up? `chopar up` starts one") from None
    try:
        yield Delivery(producer, where)
    finally:
        failed = sys.exc_info()[0] is not None
        await _stop(producer, 2.0 if failed else 30.0)


async def _stop(producer: "AIOKafkaProducer", patience: float) -> None:
    """Its own stop waits for what was not confirmed, however long that takes."""
    try:
        await asyncio.wait_for(producer.stop(), patience)
    except TimeoutError:
        return
