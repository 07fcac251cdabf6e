"""RabbitMQ as the pool's `Source`.

aio-pika makes a message object and a task of each delivery, besides the task that aiormq makes; here aiormq's own callback
puts it into the lane at once.
"""

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, cast

from aio_pika.abc import AbstractChannel
from aiormq import Channel
from aiormq.abc import DeliveredMessage

from activity.names import (
    ATTEMPT_HEADER,
    BEFORE_HEADER,
    BULK_QUEUE,
    DELIVERY_COUNT_HEADER,
    DUE_HEADER,
    LOST_HEADER,
    TRACE_HEADER,
    TRANSACTIONAL_QUEUE,
)
from rabbit.lane import Lane
from rabbit.link import BROKEN, Link, cancelled_from_outside, is_break, problem
from rabbit.outage import Outage, wait
from rabbit.silence import Silence
from rabbit.source import Delivery

logger = logging.getLogger(__name__)

QUEUES: Final = (TRANSACTIONAL_QUEUE, BULK_QUEUE)
PREFETCH_PER_WORKER: Final = 16
"""Deliveries in hand for each worker and queue: enough to fill the ledger's transactions, few to give back."""
_TAGS: Final = itertools.count(1)
LOOK: Final = 5.0
"""Seconds without a message after which the queue is asked whether it has any."""


class RabbitSource:
    """A `Source` on the queues of RabbitMQ. `run` consumes until it is cancelled; outages are waited out and told once."""

    def __init__(self, url: str, workers: int, outage: Outage | None = None) -> None:
        self._outage = outage or Outage("RabbitMQ")
        self._link = Link(url, self._outage)
        self._prefetch = workers * PREFETCH_PER_WORKER
        self._lane = Lane()
        self._unacknowledged: dict[int, str] = {}  # delivery tags in the order of the broker, and their queues
        self._silence = Silence()
        self._channel: AbstractChannel | None = None
        self._inner: Channel | None = None
        self._consumers: list[tuple[str, str]] = []  # queue, and the consumer's tag
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._ended = asyncio.Event()
        self._changing = asyncio.Lock()

    async def run(self) -> None:
        """Keeps the consumers in place: starts them, and starts them anew whenever their channel has broken."""
        failures = 0
        while True:
            await self._wanted.wait()
            channel = await self._link.channel()
            try:
                await self._consume(channel)
                self._outage.end(self)
                failures = 0
                while not await self._ends_within(LOOK):
                    await self._look(channel)
            except (asyncio.CancelledError, Exception) as error:
                if cancelled_from_outside(error) or not is_break(error):
                    raise
                self._link.lost(channel)
                self._outage.begin(self, problem(error))  # a queue that is gone closes only the channel
                failures += 1
                await wait(failures)

    async def take(self, *, urgent: bool = False) -> Delivery:
        """See `Source.take`."""
        while True:
            delivery = await self._lane.get(urgent=urgent)
            if self._is_ours(delivery):
                return delivery

    def put_back(self, delivery: Delivery) -> None:
        """See `Source.put_back`."""
        self._lane.put_back(delivery)

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """See `Source.acknowledge`. One frame for all up to the first that is not done, one for each of the others."""
        done = {tag for one in deliveries if (tag := self._tag(one)) in self._unacknowledged}
        frames: list[tuple[int, bool]] = []
        while self._unacknowledged and (first := next(iter(self._unacknowledged))) in done:
            self._unacknowledged.pop(first)
            frames = [(first, True)]
        for tag in done.intersection(self._unacknowledged):
            self._unacknowledged.pop(tag)
            frames.append((tag, False))
        inner = self._inner
        if inner is None or not frames:
            return
        try:
            for tag, multiple in frames:
                await inner.basic_ack(tag, multiple, wait=tag == frames[-1][0])
        except BROKEN as error:
            logger.debug("acknowledged too late, it comes again: %s", problem(error))

    async def pause(self) -> Sequence[Delivery]:
        """See `Source.pause`."""
        self._wanted.clear()
        await self._end_consumers()
        return [delivery for delivery in self._lane.clear() if self._is_ours(delivery)]

    async def resume(self) -> None:
        """See `Source.resume`."""
        self._wanted.set()

    async def expect(self, workers: int) -> None:
        """See `Source.expect`. A prefetch holds for the consumers that begin after it was set."""
        if workers * PREFETCH_PER_WORKER > self._prefetch:
            self._prefetch = workers * PREFETCH_PER_WORKER
            await self._end_consumers()

    async def close(self) -> None:
        """Closes the connection: what is not acknowledged goes back to its queue. `run` must have been cancelled before."""
        self._outage.end(self)
        await self._link.close()

    async def _end_consumers(self) -> None:
        """What is in hand stays in hand; `run` begins anew unless it is paused."""
        async with self._changing:
            consumers, self._consumers = self._consumers, []
            try:
                for _, consumer in consumers:
                    if self._inner is not None:
                        await self._inner.basic_cancel(consumer, timeout=10)
            except Exception as error:
                if not is_break(error):
                    raise
                logger.debug("the consumer was gone already: %s", problem(error))
            self._ended.set()

    async def _consume(self, channel: AbstractChannel) -> None:
        async with self._changing:
            if not self._wanted.is_set():
                return
            self._ended = asyncio.Event()
            if channel is not self._channel:
                self._channel = channel
                self._unacknowledged.clear()
                self._lane.clear()  # what came by a channel that is gone comes again by this one
                channel.close_callbacks.add(self._on_close)
                self._inner = cast("Channel", await channel.get_underlay_channel())
                self._inner.on_consumer_cancel_callbacks.add(partial(self._on_cancel, channel))
            await channel.set_qos(prefetch_count=self._prefetch, timeout=10)
            self._silence = Silence()
            inner = cast("Channel", await channel.get_underlay_channel())
            for name in QUEUES:
                tag = f"{name}-{next(_TAGS)}"
                await inner.basic_consume(name, partial(self._receive, inner, name), consumer_tag=tag, timeout=10)
                self._consumers.append((name, tag))

    async def _ends_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._ended.wait()
        except TimeoutError:
            return False

    async def _look(self, channel: AbstractChannel) -> None:
        """Begins anew if a consumer seems to be gone though the broker never said so."""
        in_hand = Counter(self._unacknowledged.values())
        full = [name for name, count in in_hand.items() if count >= self._prefetch]
        ready = {}
        for name in self._silence.worth_a_look(QUEUES, full):
            found = (await channel.declare_queue(name, passive=True, timeout=10)).declaration_result
            ready[name] = found.message_count or 0
        if deaf := self._silence.looked(ready):
            logger.warning("messages wait on %s and none comes; consuming anew", " and ".join(deaf))
            await self._end_consumers()

    def _on_close(self, channel: AbstractChannel | None, _: BaseException | None) -> None:
        if channel is None or channel is self._channel:
            self._consumers = []
            self._ended.set()

    def _on_cancel(self, channel: AbstractChannel, _: object) -> None:
        """The broker has ended a consumer (its queue was deleted, its node left): all begins anew on another channel."""
        self._link.lost(channel)
        self._on_close(channel, None)

    async def _receive(self, inner: Channel, queue: str, message: DeliveredMessage) -> None:
        tag = message.delivery_tag
        if tag is None or inner is not self._inner:
            return
        if not self._wanted.is_set():
            await inner.basic_nack(tag, requeue=True)  # it was on its way when the consumer was cancelled
            return
        self._silence.heard(queue)
        self._unacknowledged[tag] = queue
        self._lane.put(_delivery(message, (inner, tag)))

    def _is_ours(self, delivery: Delivery) -> bool:
        return self._tag(delivery) is not None

    def _tag(self, delivery: Delivery) -> int | None:
        """Its delivery tag, if the channel it came by is still there."""
        match delivery.mark:
            case (inner, int() as tag) if inner is self._inner and inner is not None and not inner.is_closed:
                return tag
        return None


def _delivery(message: DeliveredMessage, mark: object) -> Delivery:
    headers = message.header.properties.headers or {}
    attempt, before, due, trace = (headers.get(name) for name in (ATTEMPT_HEADER, BEFORE_HEADER, DUE_HEADER, TRACE_HEADER))
    known = attempt if isinstance(attempt, int) and 0 < attempt < 2**31 else 1
    return Delivery(
        body=message.body,
        key=message.routing_key or "",
        attempt=known,
        mark=mark,
        lost=_lost(headers, redelivered=bool(message.redelivered)),
        due=due / 1000 if isinstance(due, int) else None,
        before=before if isinstance(before, int) and 0 <= before < known else 0,
        traceparent=trace if isinstance(trace, str) else None,
    )


def _lost(headers: Mapping[str, Any], *, redelivered: bool) -> int:
    """Quorum queues count it; for a message of any other queue it is known only that there was at least one."""
    counted, before = headers.get(DELIVERY_COUNT_HEADER), headers.get(LOST_HEADER)
    known = counted if isinstance(counted, int) else 0
    return max(known, int(redelivered)) + (before if isinstance(before, int) else 0)
