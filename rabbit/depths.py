"""How many messages RabbitMQ's queues hold."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

import msgspec
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity

from activity.errors import Mismatch, Unreachable
from activity.names import BULK_QUEUE, DEAD_QUEUE, TRANSACTIONAL_QUEUE, delay_queue
from activity.retry import TIERS
from rabbit.link import BROKEN, SETTING, connect, problem
from rabbit.topology import DECLARED_BY, QUEUES

WAITING: Final = "chopar.retry"
"""All delay queues together."""
TIMEOUT: Final = 10.0


class Depth(msgspec.Struct, frozen=True):
    """Messages that are ready on a queue, and who takes them."""

    messages: int
    consumers: int


async def depths(url: str) -> dict[str, int]:
    """The messages that are ready on each queue; those that wait for a retry are told together.

    Raises Unreachable if RabbitMQ does not answer, Mismatch if a queue is missing.
    """
    connection = await connect(url)
    try:
        found = await _look(connection)
    finally:
        await connection.close()
    counts = {name: found[name].messages for name in (TRANSACTIONAL_QUEUE, BULK_QUEUE, DEAD_QUEUE)}
    return {**counts, WAITING: waiting(found)}


async def watch_depths(url: str, interval: float) -> AsyncGenerator[dict[str, Depth], None]:
    """Each queue of ours by name, every `interval` seconds, over one connection. Raises as `depths`."""
    connection = await connect(url)
    try:
        while True:
            yield await _look(connection)
            await asyncio.sleep(interval)
    finally:
        await connection.close()


def waiting(found: dict[str, Depth]) -> int:
    """Messages on all delay queues together."""
    return sum(found[delay_queue(seconds)].messages for seconds in TIERS)


async def _look(connection: AbstractConnection) -> dict[str, Depth]:
    try:
        async with asyncio.timeout(TIMEOUT):
            channel = await connection.channel(publisher_confirms=False)
            found = {}
            for queue in QUEUES:
                told = (await channel.get_queue(queue.name, ensure=True)).declaration_result
                found[queue.name] = Depth(told.message_count or 0, told.consumer_count or 0)
            await channel.close()
    except ChannelNotFoundEntity:
        raise Mismatch(f"RabbitMQ: a queue is missing; {DECLARED_BY}") from None
    except BROKEN as error:
        raise Unreachable(SETTING, "RabbitMQ", problem(error), "see RabbitMQ's own log") from None
    return found
