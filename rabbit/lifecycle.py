"""Each change of a job's state, told to whoever listens on the fanout exchange. Best effort: no job ever waits for it."""

import asyncio
import logging
from typing import Final, Protocol

import msgspec
from aio_pika import Message
from aio_pika.abc import AbstractChannel, AbstractExchange

from activity.jobs import JobState
from activity.names import LIFECYCLE_EXCHANGE
from rabbit.link import BROKEN, Link, cancelled_from_outside, problem
from rabbit.outage import Outage

logger = logging.getLogger(__name__)

KEPT: Final = 10_000
"""Changes that wait to be told; further ones are dropped."""


class Change(msgspec.Struct, frozen=True):
    """A job came into `state` at `time` (Unix seconds); one that is `scheduled` is due at `due`. Holds no address, no payload."""

    job: str
    rule: str
    user: str
    state: JobState
    attempt: int
    time: float
    reason: str = ""
    due: float | None = None


class Listener(Protocol):
    """Who wants to hear of changes."""

    def tell(self, change: Change) -> None:
        """Takes note of it. Never waits, never raises."""


class Lifecycle:
    """A `Listener` that publishes to `chopar.lifecycle`, without confirms; `run` sends until it is cancelled."""

    def __init__(self, url: str, outage: Outage | None = None) -> None:
        self._link = Link(url, outage or Outage("RabbitMQ"))
        self._waiting: asyncio.Queue[Change] = asyncio.Queue(KEPT)
        self._encode = msgspec.json.Encoder().encode

    def tell(self, change: Change) -> None:
        """See `Listener.tell`."""
        if not self._waiting.full():
            self._waiting.put_nowait(change)

    async def run(self) -> None:
        """Sends what was told, and waits out outages."""
        opened: AbstractChannel | None = None
        exchange: AbstractExchange | None = None
        while True:
            change = await self._waiting.get()
            channel = await self._link.channel()
            try:
                if exchange is None or channel is not opened:
                    opened, exchange = channel, await channel.get_exchange(LIFECYCLE_EXCHANGE, ensure=False)
                await exchange.publish(Message(self._encode(change)), f"job.{change.state}", mandatory=False)
            except (asyncio.CancelledError, *BROKEN) as error:
                if cancelled_from_outside(error):
                    raise
                logger.debug("a change was not told: %s", problem(error))
                self._link.lost(channel)

    async def close(self) -> None:
        """Closes the connection."""
        await self._link.close()
