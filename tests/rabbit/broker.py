"""Looking into RabbitMQ from a test."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from brokers.node import Node
from brokers.rabbitmq import RabbitMQ
from rabbit import topology


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[AbstractChannel]:
    """A channel of the test's own."""
    connection = await aio_pika.connect(url)
    async with connection:
        yield await connection.channel()


async def empty(url: str) -> None:
    """Declares everything and takes away what other tests left."""
    await topology.declare(url)
    async with opened(url) as channel:
        for queue in topology.QUEUES:
            await (await channel.get_queue(queue.name)).purge()


async def drain(url: str, queue: str, count: int, within: float = 60.0) -> list[AbstractIncomingMessage]:
    """The next `count` messages of a queue, acknowledged."""
    found: list[AbstractIncomingMessage] = []
    enough = asyncio.Event()

    async def keep(message: AbstractIncomingMessage) -> None:
        found.append(message)
        await message.ack()
        if len(found) >= count:
            enough.set()

    async with opened(url) as channel:
        await channel.set_qos(prefetch_count=1000)
        await (await channel.get_queue(queue)).consume(keep)
        await asyncio.wait_for(enough.wait(), within)
    return found


async def waiting(url: str, queue: str) -> int:
    """How many messages a queue holds that nobody has in hand."""
    async with opened(url) as channel:
        return (await channel.declare_queue(queue, passive=True)).declaration_result.message_count or 0


async def ctl(node: Node[RabbitMQ], *arguments: str) -> None:
    """`rabbitmqctl`, which must succeed."""
    argv, env = node.broker.control("--quiet", *arguments)
    done = await asyncio.to_thread(subprocess.run, argv, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
