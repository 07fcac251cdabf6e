"""The exchanges, queues and bindings on RabbitMQ 3.10 and 4.x, declared by one command and only looked at by workers.

chopar.jobs (topic) ──email.transactional.#──▶ email.transactional ──┐ spent delivery limit
      ▲             ──email.bulk.#───────────▶ email.bulk ───────────┤
      │ time is up, routing key kept                                 ▼
chopar.retry.<n>s ◀──chopar-delay = n── chopar.retry (headers)   chopar.dead (direct) ──▶ email.dead
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

import msgspec
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import ChannelClosed, ChannelNotFoundEntity, ChannelPreconditionFailed

from activity.errors import Mismatch, Unreachable
from activity.names import (
    BULK_QUEUE,
    CONTROL_EXCHANGE,
    DEAD_EXCHANGE,
    DEAD_QUEUE,
    DELAY_HEADER,
    JOBS_EXCHANGE,
    LIFECYCLE_EXCHANGE,
    RETRY_EXCHANGE,
    TRANSACTIONAL_QUEUE,
    delay_queue,
)
from activity.retry import TIERS
from rabbit.link import BROKEN, SETTING, connect, problem

Arguments = Mapping[str, str | int]

DELIVERY_LIMIT: Final = 100
"""How often the broker hands out a job that is never acknowledged (its worker dies of it) before it goes to `email.dead`.

Attempts are counted in a header, and what kills mailers in the ledger (`activity.claims.KILLS`); this limit only stops what kills
them before they can ask it. It is high since every lost connection counts as well, and explicit since RabbitMQ 4 has one of 20.
"""
NO_LIMIT: Final = 2**31 - 1
"""For the queue of dead letters: at the default limit of RabbitMQ 4 a message without a dead-letter exchange is deleted."""
TIMEOUT: Final = 30.0
DECLARED_BY: Final = "a notifier or mailer declares it when it starts"


class Queue(msgspec.Struct, frozen=True):
    """A durable quorum queue and what it is bound to."""

    name: str
    arguments: Arguments
    exchange: str
    key: str = ""
    match: Arguments = {}


LISTENED: Final = (LIFECYCLE_EXCHANGE, CONTROL_EXCHANGE)
"""Whoever listens binds a queue of its own to them, which goes with it."""

EXCHANGES: Final[Mapping[str, str]] = {
    JOBS_EXCHANGE: "topic",
    RETRY_EXCHANGE: "headers",
    DEAD_EXCHANGE: "direct",
    LIFECYCLE_EXCHANGE: "fanout",
    CONTROL_EXCHANGE: "fanout",
}

# At-least-once needs a quorum queue and reject-publish: without the latter RabbitMQ falls back to at-most-once silently.
_SAFE: Final[Arguments] = {
    "x-queue-type": "quorum",
    "x-overflow": "reject-publish",
    "x-dead-letter-strategy": "at-least-once",
}
_JOBS: Final[Arguments] = {
    **_SAFE,
    "x-delivery-limit": DELIVERY_LIMIT,
    "x-dead-letter-exchange": DEAD_EXCHANGE,
    "x-dead-letter-routing-key": DEAD_QUEUE,
}


def _delay(seconds: int) -> Queue:
    # One queue a delay, each message in it with the same TTL, so none waits behind a longer one. No dead-letter key: the
    # job keeps its own, which is why the delay is chosen by a header and not by the routing key. Not used instead: a TTL
    # for each message in one queue (waits behind longer ones), chained topic exchanges for each bit of the delay (a
    # quarter of the rate), the delayed-message plugin (not in every broker, one node keeps the messages).
    arguments = {**_SAFE, "x-message-ttl": seconds * 1000, "x-dead-letter-exchange": JOBS_EXCHANGE}
    return Queue(delay_queue(seconds), arguments, RETRY_EXCHANGE, match={"x-match": "all", DELAY_HEADER: seconds})


QUEUES: Final = (
    Queue(TRANSACTIONAL_QUEUE, _JOBS, JOBS_EXCHANGE, "email.transactional.#"),
    Queue(BULK_QUEUE, _JOBS, JOBS_EXCHANGE, "email.bulk.#"),
    Queue(DEAD_QUEUE, {"x-queue-type": "quorum", "x-delivery-limit": NO_LIMIT}, DEAD_EXCHANGE, DEAD_QUEUE),
    *(_delay(seconds) for seconds in TIERS),
)


async def declare(url: str) -> None:
    """Creates what is missing; afterwards all stands as above. Doing it again, or twice at once, changes nothing.

    Raises Mismatch if one exists with other arguments (nothing is deleted), Unreachable if RabbitMQ does not answer.
    """
    connection = await connect(url)
    try:
        for name, kind in EXCHANGES.items():
            await _alone(connection, f"exchange {name}", partial(_declare_exchange, name, kind))
        for queue in QUEUES:
            await _alone(connection, f"queue {queue.name}", partial(_declare_queue, queue))
    finally:
        await connection.close()


async def verify(url: str) -> None:
    """Looks whether every exchange and queue is there, and changes nothing.

    Raises Mismatch that names the first one missing, Unreachable if RabbitMQ does not answer.
    """
    connection = await connect(url)
    try:
        for name in EXCHANGES:
            await _alone(connection, f"exchange {name}", partial(_see_exchange, name))
        for queue in QUEUES:
            await _alone(connection, f"queue {queue.name}", partial(_see_queue, queue.name))
    finally:
        await connection.close()


async def _declare_exchange(name: str, kind: str, channel: AbstractChannel) -> None:
    await channel.declare_exchange(name, kind, durable=True, timeout=TIMEOUT)


async def _declare_queue(queue: Queue, channel: AbstractChannel) -> None:
    declared = await channel.declare_queue(queue.name, durable=True, arguments=dict(queue.arguments), timeout=TIMEOUT)
    await declared.bind(queue.exchange, queue.key, arguments=dict(queue.match), timeout=TIMEOUT)


async def _see_exchange(name: str, channel: AbstractChannel) -> None:
    await channel.get_exchange(name, ensure=True)


async def _see_queue(name: str, channel: AbstractChannel) -> None:
    await channel.get_queue(name, ensure=True)


async def _alone(connection: AbstractConnection, what: str, act: Callable[[AbstractChannel], Awaitable[object]]) -> None:
    """Does it on a channel of its own, since the broker answers a mismatch by closing the channel."""
    try:
        channel = await connection.channel(publisher_confirms=False)
        await asyncio.wait_for(act(channel), TIMEOUT)
        await channel.close()
    except ChannelPreconditionFailed as error:
        raise Mismatch(_difference(what, str(error))) from None
    except ChannelNotFoundEntity:
        raise Mismatch(f"RabbitMQ: {what} is missing; {DECLARED_BY}") from None
    except ChannelClosed as error:
        raise Mismatch(f"RabbitMQ: {what} could not be declared or read: {problem(error)}") from None
    except BROKEN as error:
        raise Unreachable(SETTING, "RabbitMQ", problem(error), "see RabbitMQ's own log") from None


_INEQUIVALENT: Final = re.compile(
    r"inequivalent arg '(?P<name>[^']+)'.*?received (?:the value )?(?P<ours>.+?) but current is (?:the value )?(?P<theirs>.+)$",
    re.DOTALL,
)


def _difference(what: str, reply: str) -> str:
    """The broker's words about unequal arguments, and what to do."""
    found = _INEQUIVALENT.search(reply)
    differs = f"{found['name']} is {found['theirs']}, needed is {found['ours']}" if found else " ".join(reply.split())
    kind, _, name = what.partition(" ")
    remedy = f"`rabbitmqctl delete_queue {name}`" if kind == "queue" else f"`rabbitmqadmin delete exchange name={name}`"
    return f"RabbitMQ: {what} exists with other arguments: {differs}; when it is empty, delete it ({remedy}) and start again"
