"""Where the pool gets its jobs: the interface, and RabbitMQ behind it."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Sequence
from functools import partial
from typing import Final, Protocol

import msgspec
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

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
from rabbit.link import BROKEN, Link, cancelled_from_outside, problem
from rabbit.outage import Outage, wait
from rabbit.silence import Silence

logger = logging.getLogger(__name__)

QUEUES: Final = (TRANSACTIONAL_QUEUE, BULK_QUEUE)
PREFETCH_PER_WORKER: Final = 16
"""Deliveries in hand for each worker and queue: enough to fill the ledger's transactions, few to give back."""
TURN: Final = 8
LOOK: Final = 5.0
"""Seconds without a message after which the queue is asked whether it has any."""


class Delivery(msgspec.Struct, eq=False):
    """One message in hand: its bytes, its routing key, which attempt it asks for, and the source's own mark.

    `lost`: how often it was handed out before and came back without a word, its taker's connection or process gone.
    `due`: the appointment it has, in Unix seconds (see `activity.domains`). `before`: how many attempts it had before it was
    replayed; they count no more. `traceparent`: the span that published it; while it is tried, that of the attempt.
    """

    body: bytes
    key: str
    attempt: int
    mark: object = None
    lost: int = 0
    due: float | None = None
    before: int = 0
    traceparent: str | None = None

    @property
    def bulk(self) -> bool:
        """Whether others go before it."""
        return self.key.startswith(BULK_QUEUE)


class Source(Protocol):
    """Jobs one at a time. A delivery that is never acknowledged is delivered again, to whoever then takes."""

    async def take(self, *, urgent: bool = False) -> Delivery:
        """The next delivery, transactional ones before bulk ones (but see `Lane`); with `urgent` never a bulk one.

        Waits as long as there is none, outages included. A cancelled call has taken nothing.
        """

    def put_back(self, delivery: Delivery) -> None:
        """To be taken again, before all others of its class."""

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Never to be delivered again. Never raises: one whose connection is gone is passed over and comes again."""

    async def pause(self) -> Sequence[Delivery]:
        """Takes nothing more from the queue until `resume`. Returns those in hand that nobody has taken yet: they are the
        caller's now, to send elsewhere and acknowledge."""

    async def resume(self) -> None:
        """Takes from the queue again."""

    async def expect(self, workers: int) -> None:
        """So many take from it from now on: enough is in hand for them."""


class Lane:
    """Deliveries that wait for a worker. Transactional ones are handed out first, so that a mailing delays none of them;
    but of `TURN` that are taken while both wait one is a bulk one, so that a mailing ends even if the others never do."""

    def __init__(self) -> None:
        self._waiting: dict[bool, deque[Delivery]] = {False: deque(), True: deque()}
        self._arrived = asyncio.Event()
        self._overtaken = 0

    def put(self, delivery: Delivery) -> None:
        """Adds one; who waits for it is woken."""
        self._waiting[delivery.bulk].append(delivery)
        self._arrived.set()

    def put_back(self, delivery: Delivery) -> None:
        """Adds one before all others of its class."""
        self._waiting[delivery.bulk].appendleft(delivery)
        self._arrived.set()

    async def get(self, *, urgent: bool) -> Delivery:
        """Removes the first one; see `Source.take`."""
        while (delivery := self._next(urgent)) is None:
            self._arrived.clear()
            await self._arrived.wait()
        return delivery

    def clear(self) -> list[Delivery]:
        """Removes and returns all."""
        taken = [*self._waiting[False], *self._waiting[True]]
        for waiting in self._waiting.values():
            waiting.clear()
        return taken

    def _next(self, urgent: bool) -> Delivery | None:
        first, bulk = self._waiting[False], self._waiting[True]
        if first and (urgent or not bulk):
            return first.popleft()
        if first and self._overtaken < TURN - 1:
            self._overtaken += 1
            return first.popleft()
        if bulk and not urgent:
            self._overtaken = 0
            return bulk.popleft()
        return None


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
        self._consumers: list[tuple[AbstractQueue, str]] = []
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
            except (asyncio.CancelledError, *BROKEN) as error:
                if cancelled_from_outside(error):
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
        messages = {tag: message for d in deliveries if (message := self._message(d)) and (tag := message.delivery_tag)}
        done = {tag for tag in messages if tag in self._unacknowledged}
        upto = 0
        while self._unacknowledged and (first := next(iter(self._unacknowledged))) in done:
            self._unacknowledged.pop(first)
            upto = first
        try:
            if upto:
                await messages[upto].ack(multiple=True)
            for tag in done:
                if tag > upto:
                    self._unacknowledged.pop(tag)
                    await messages[tag].ack()
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
                for queue, consumer in consumers:
                    await queue.cancel(consumer, timeout=10)
            except BROKEN as error:
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
                inner = await channel.get_underlay_channel()
                inner.on_consumer_cancel_callbacks.add(partial(self._on_cancel, channel))
            await channel.set_qos(prefetch_count=self._prefetch, timeout=10)
            self._silence = Silence()
            for name in QUEUES:
                queue = await channel.get_queue(name, ensure=True)
                receive = partial(self._receive, channel, name)
                self._consumers.append((queue, await queue.consume(receive, timeout=10)))

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

    async def _receive(self, channel: AbstractChannel, queue: str, message: AbstractIncomingMessage) -> None:
        if not self._wanted.is_set():
            await message.nack(requeue=True)  # it was on its way when the consumer was cancelled
        elif channel is self._channel and message.delivery_tag is not None:
            self._silence.heard(queue)
            self._unacknowledged[message.delivery_tag] = queue
            attempt, before = (message.headers.get(name) for name in (ATTEMPT_HEADER, BEFORE_HEADER))
            known = attempt if isinstance(attempt, int) and 0 < attempt < 2**31 else 1
            spared = before if isinstance(before, int) and 0 <= before < known else 0
            due = message.headers.get(DUE_HEADER)
            appointment = due / 1000 if isinstance(due, int) else None
            mark, key, trace = (channel, message), message.routing_key or "", message.headers.get(TRACE_HEADER)
            place = trace if isinstance(trace, str) else None
            self._lane.put(Delivery(message.body, key, known, mark, _lost(message), appointment, spared, place))

    def _is_ours(self, delivery: Delivery) -> bool:
        return self._message(delivery) is not None

    def _message(self, delivery: Delivery) -> AbstractIncomingMessage | None:
        """Its message, if the channel it came by is still there."""
        current = self._channel
        match delivery.mark:
            case (channel, AbstractIncomingMessage() as message) if channel is current and current and not current.is_closed:
                return message
        return None


def _lost(message: AbstractIncomingMessage) -> int:
    """Quorum queues count it; for a message of any other queue it is known only that there was at least one."""
    counted, before = (message.headers.get(name) for name in (DELIVERY_COUNT_HEADER, LOST_HEADER))
    known = counted if isinstance(counted, int) else 0
    return max(known, int(bool(message.redelivered))) + (before if isinstance(before, int) else 0)
