"""The sides' queues on RabbitMQ, from outside."""

import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aio_pika
from aio_pika.exceptions import ChannelNotFoundEntity

from activity.names import BULK_QUEUE, TRANSACTIONAL_QUEUE
from benchmarks.peers.jobs.work import QUEUE
from rabbit.topology import declare

NUMBER: Final = re.compile(rb'"A-(\d+)"')
THEIRS: Final = (QUEUE, f"{QUEUE}.DQ", f"{QUEUE}.XQ", f"{QUEUE}.dead_letter", f"{QUEUE}.delay")


@asynccontextmanager
async def _channel(url: str) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    async with await aio_pika.connect(url) as connection:
        yield await connection.channel()


async def clear(url: str) -> None:
    """Ours are empty, the peers' are gone: each makes its own as it wants it."""
    await declare(url)
    async with _channel(url) as channel:
        for name in (TRANSACTIONAL_QUEUE, BULK_QUEUE):
            await (await channel.get_queue(name, ensure=False)).purge()
        for name in THEIRS:
            await channel.queue_delete(name)


async def waiting(url: str, name: str) -> int:
    """How many messages are ready there."""
    async with _channel(url) as channel:
        try:
            queue = await channel.declare_queue(name, passive=True)
        except ChannelNotFoundEntity:
            return 0
        return queue.declaration_result.message_count or 0


async def drained(url: str, name: str, wanted: int) -> Counter[int]:
    """Takes all messages off; the numbers of their jobs. What holds no number counts as -1."""
    found: Counter[int] = Counter()
    async with _channel(url) as channel:
        queue = await channel.get_queue(name, ensure=False)
        async with queue.iterator(timeout=5.0, no_ack=True) as messages:
            with contextlib.suppress(TimeoutError):
                async for message in messages:
                    number = NUMBER.search(message.body)
                    found[int(number[1]) if number else -1] += 1
                    if found.total() >= wanted:
                        break
    return found
