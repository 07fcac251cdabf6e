"""How many messages RabbitMQ's queues hold."""

import asyncio
from typing import Final

from activity.names import BULK_QUEUE, DEAD_QUEUE, TRANSACTIONAL_QUEUE, delay_queue
from activity.retry import TIERS

WAITING: Final = "chopar.retry"
"""All delay queues together."""
TIMEOUT: Final = 10.0


async def depths(url: str) -> dict[str, int]:
    """The messages that are ready on each queue; those that wait for a retry are told together.

    Raises Unreachable if RabbitMQ does not answer, Mismatch if a queue is missing.
    """
    from aio_pika.exceptions import ChannelNotFoundEntity

    from activity.errors import Mismatch, Unreachable
    from rabbit.link import BROKEN, SETTING, connect, problem
    from rabbit.topology import DECLARED_BY

    connection = await connect(url)
    try:
        async with asyncio.timeout(TIMEOUT):
            channel = await connection.channel()

            async def depth(name: str) -> int:
                queue = await channel.get_queue(name, ensure=True)
                return queue.declaration_result.message_count or 0

            counts = {name: await depth(name) for name in (TRANSACTIONAL_QUEUE, BULK_QUEUE, DEAD_QUEUE)}
            counts[WAITING] = sum([await depth(delay_queue(seconds)) for seconds in TIERS])
    except ChannelNotFoundEntity:
        raise Mismatch(f"RabbitMQ: a queue is missing; {DECLARED_BY}") from None
    except BROKEN as error:
        raise Unreachable(SETTING, "RabbitMQ", problem(error), "see RabbitMQ's own log") from None
    finally:
        await connection.close()
    return counts
