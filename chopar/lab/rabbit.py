"""A corner of a RabbitMQ for an experiment or a test: queues and exchanges with names that nobody else has, and plain aio-pika.

All publishing here is confirmed, so a message lies in its queues when `publish` returns: whoever asks at once what a
queue holds need not wait.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

import aio_pika
from aio_pika import ExchangeType, Message
from aio_pika.abc import (
    AbstractChannel,
    AbstractConnection,
    AbstractExchange,
    AbstractIncomingMessage,
    AbstractQueue,
    HeadersType,
)

from rabbit.link import connect

PATIENCE = 60.0


class Lab:
    """`queue()` and `exchange()` make one, `send()` fills a queue, `take()` waits for messages, `empty()` doesn't."""

    def __init__(self, url: str, connection: AbstractConnection, channel: AbstractChannel) -> None:
        self.url = url
        self.connection = connection
        self.channel = channel
        self._queues: list[AbstractQueue] = []
        self._exchanges: list[AbstractExchange] = []

    def name(self, what: str) -> str:
        """A name that nobody else uses."""
        return f"learn-{what}-{uuid.uuid4().hex[:8]}"

    async def queue(
        self, what: str = "queue", arguments: Mapping[str, str | int] | None = None, name: str | None = None
    ) -> AbstractQueue:
        """A new durable queue, with a name for `what` it is unless its `name` was needed before."""
        queue = await self.channel.declare_queue(name or self.name(what), durable=True, arguments=dict(arguments or {}))
        self._queues.append(queue)
        return queue

    async def exchange(self, kind: ExchangeType) -> AbstractExchange:
        """A new durable exchange."""
        exchange = await self.channel.declare_exchange(self.name(kind.value), kind, durable=True)
        self._exchanges.append(exchange)
        return exchange

    async def clear(self) -> None:
        """Takes away what was made."""
        for queue in self._queues:
            await self.channel.queue_delete(queue.name)
        for exchange in self._exchanges:
            await self.channel.exchange_delete(exchange.name)

    @asynccontextmanager
    async def consumer(self, prefetch: int = 0) -> AsyncIterator[AbstractChannel]:
        """A channel on a connection of its own, as another process has. It is closed, with all in hand, at the end."""
        connection = await aio_pika.connect(self.url)
        async with connection:
            channel = await connection.channel()
            await channel.set_qos(prefetch_count=prefetch)
            yield channel

    async def send(self, queue: AbstractQueue, bodies: Iterable[str]) -> None:
        """Straight into a queue, in this order."""
        for body in bodies:
            await self.channel.default_exchange.publish(letter(body), routing_key=queue.name)

    async def empty(self, queue: AbstractQueue) -> list[str]:
        """All that lies in a queue now, acknowledged."""
        found: list[str] = []
        while message := await queue.get(fail=False):
            found.append(text(message))
            await message.ack()
        return found

    async def take(self, queue: AbstractQueue, count: int) -> list[AbstractIncomingMessage]:
        """The next `count` messages, acknowledged, as soon as they are there."""
        async with self.consumer(prefetch=count) as channel:
            inbox = await deliveries(await channel.get_queue(queue.name))
            messages = await in_hand(inbox, count)
            for message in messages:
                await message.ack()
            return messages

    async def ready(self, queue: AbstractQueue) -> int:
        """How many messages wait in a queue and are in nobody's hand."""
        return (await self.channel.declare_queue(queue.name, passive=True)).declaration_result.message_count or 0


@asynccontextmanager
async def corner(url: str) -> AsyncIterator[Lab]:
    """A `Lab` on the RabbitMQ at `url`; what was made in it is gone when it ends. Raises Unreachable."""
    connection = await connect(url)
    async with connection:
        lab = Lab(url, connection, await connection.channel(on_return_raises=True))
        try:
            yield lab
        finally:
            await lab.clear()


async def peek(url: str, queue: str) -> list[AbstractIncomingMessage]:
    """All that lies in a queue now. It stays there: nothing is acknowledged."""
    connection = await connect(url)
    async with connection:
        opened = await (await connection.channel()).get_queue(queue)
        found: list[AbstractIncomingMessage] = []
        while message := await opened.get(no_ack=False, fail=False):
            found.append(message)
        return found


Inbox = asyncio.Queue[AbstractIncomingMessage]


async def deliveries(queue: AbstractQueue, no_ack: bool = False) -> Inbox:
    """Begins to consume: what RabbitMQ delivers is put there, not acknowledged."""
    inbox: Inbox = asyncio.Queue()
    await queue.consume(inbox.put, no_ack=no_ack)
    return inbox


async def in_hand(inbox: Inbox, count: int) -> list[AbstractIncomingMessage]:
    """The next `count` deliveries."""
    async with asyncio.timeout(PATIENCE):
        return [await inbox.get() for _ in range(count)]


def letter(body: str, headers: HeadersType | None = None, message_id: str | None = None) -> Message:
    """A persistent message."""
    return Message(body.encode(), headers=headers, message_id=message_id, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)


def text(message: AbstractIncomingMessage) -> str:
    """Its body."""
    return message.body.decode()


def texts(messages: Iterable[AbstractIncomingMessage]) -> list[str]:
    """Their bodies."""
    return [text(message) for message in messages]


def numbered(first: int, last: int) -> list[str]:
    """`m01`, `m02` … : messages of which one sees at once what is missing, twice or out of order."""
    return [f"m{number:02}" for number in range(first, last + 1)]
