"""Each change of a job's state, told to whoever listens on the fanout exchange. Best effort: no job ever waits for it."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec
from aio_pika import Message

from activity.errors import Unreachable
from activity.jobs import JobState
from activity.names import LIFECYCLE_EXCHANGE
from rabbit.burst import cast_away
from rabbit.letters import Letter
from rabbit.link import BROKEN, SETTING, Link, cancelled_from_outside, connect, problem
from rabbit.outage import Outage

logger = logging.getLogger(__name__)

KEPT: Final = 10_000
"""Changes that wait to be told; further ones are dropped."""
TOGETHER: Final = 200
"""At most so many are written at once."""


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


async def announce(url: str, changes: Sequence[Change]) -> None:
    """Tells `changes` at once. Raises Unreachable if RabbitMQ does not answer; whoever then listens will not hear of them."""
    connection = await connect(url)
    try:
        channel = await connection.channel()
        exchange = await channel.get_exchange(LIFECYCLE_EXCHANGE, ensure=False)
        for change in changes:
            await exchange.publish(_message(change), _key(change), mandatory=False, timeout=10)
    except BROKEN as error:
        raise Unreachable(SETTING, "RabbitMQ", problem(error), "see RabbitMQ's own log") from None
    finally:
        await connection.close()


def _message(change: Change) -> Message:
    return Message(_encode(change))


def _key(change: Change) -> str:
    return f"job.{change.state}"


_encode: Final = msgspec.json.Encoder().encode


class Listener(Protocol):
    """Who wants to hear of changes."""

    def tell(self, change: Change) -> None:
        """Takes note of it. Never waits, never raises."""


class Lifecycle:
    """A `Listener` that publishes to `chopar.lifecycle`, without confirms; `run` sends until it is cancelled."""

    def __init__(self, url: str, outage: Outage | None = None) -> None:
        self._link = Link(url, outage or Outage("RabbitMQ"))
        self._waiting: asyncio.Queue[Change] = asyncio.Queue(KEPT)

    def tell(self, change: Change) -> None:
        """See `Listener.tell`."""
        if not self._waiting.full():
            self._waiting.put_nowait(change)

    async def run(self) -> None:
        """Sends what was told, and waits out outages."""
        while True:
            changes = [await self._waiting.get()]
            while len(changes) < TOGETHER and not self._waiting.empty():
                changes.append(self._waiting.get_nowait())
            channel = await self._link.channel()
            try:
                letters = [Letter(LIFECYCLE_EXCHANGE, _key(change), _encode(change), {}) for change in changes]
                await cast_away(channel, letters)
            except (asyncio.CancelledError, *BROKEN) as error:
                if cancelled_from_outside(error):
                    raise
                logger.debug("%d changes were not told: %s", len(changes), problem(error))
                self._link.lost(channel)

    async def close(self) -> None:
        """Closes the connection."""
        await self._link.close()
