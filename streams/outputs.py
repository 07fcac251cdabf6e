"""Sending what a chunk led to: awaited, and waited for when Kafka is away."""

import asyncio
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, RequestTimedOutError

from activity import names
from activity.chunk import Chunk
from activity.sequencing import KeyValue, Pair, Step
from agents.patience import patiently

if TYPE_CHECKING:
    from streams.producer import Delivery, Producer


class Outputs:
    """Sends records to Kafka and returns once each is acknowledged by all replicas.

    An outage is waited out. An error that waiting can't mend (a record that is too large, a topic that forbids writing) is
    raised as KafkaError.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def deliver(self, chunk: Chunk, step: Step) -> None:
        """Send what `step` leads to outside: accepted events, dead ones, and those that belong to another partition."""
        batches: dict[tuple[str, int], Iterable[KeyValue | Pair]] = {}
        if step.log:
            batches[names.LOG, chunk.partition] = step.log
        if step.dead:
            batches[names.DEAD, chunk.partition] = step.dead
        for partition, moved in step.moved.items():
            batches[names.EVENTS, partition] = moved
        await self.send(chunk, batches)

    async def send(self, chunk: Chunk, batches: Mapping[tuple[str, int], Iterable[KeyValue | Pair]]) -> list[tuple[int, int]]:
        """Send `batches`, by topic and partition; each keeps its order. Gives where Kafka put them: first and last offset."""
        return await patiently(lambda: self._once(batches), chunk, "Kafka", OUTAGE) if batches else []

    async def changelog(self, chunk: Chunk, topic: str, states: Mapping[bytes, bytes]) -> tuple[int, int] | None:
        """Write `states` to the changelog partition that belongs to the chunk's; gives where they stand, if in one piece."""
        landed = await self.send(chunk, {(topic, chunk.partition): states.items()})
        in_one = landed and landed[0][0] >= 0 and all(before[1] + 1 == after[0] for before, after in pairwise(landed))
        return (landed[0][0], landed[-1][1]) if in_one else None

    async def _once(self, batches: Mapping[tuple[str, int], Iterable[KeyValue | Pair]]) -> list[tuple[int, int]]:
        producer: Producer = self._app.producer
        deliveries: list[Delivery] = []
        for (topic, partition), pairs in batches.items():
            deliveries += await producer.send_pairs(topic, partition, pairs)
        if deliveries:  # waited for without a task for each; who is cancelled here leaves them on their way
            await asyncio.wait([delivery.future for delivery in deliveries])
        try:
            return [(delivery.first, delivery.first + delivery.records - 1) for delivery in deliveries]
        except KafkaError as error:
            raise _as_outage(error) from None


class KafkaAway(Exception):
    """Kafka did not take a batch, but may take it later."""


OUTAGE = (KafkaAway, KafkaConnectionError, KafkaTimeoutError, RequestTimedOutError)


def _as_outage(error: BaseException) -> BaseException:
    if isinstance(error, KafkaError) and (error.retriable or isinstance(error, OUTAGE)):
        return KafkaAway(str(error) or type(error).__name__)
    return error
