"""`email.dead` → the store: the dead-letter desk, where a person finds the jobs that can't be done.

    consume ──▶ take (one transaction for all in hand, committed) ──▶ acknowledge

What comes again after a crash is known by its id. While the store is away the letters wait, unacknowledged or on their queue.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from activity.dead import DeadLetter, from_queue
from activity.errors import Unreachable
from activity.names import DEAD_QUEUE
from rabbit.failpoints import failpoint
from rabbit.link import BROKEN, Link, cancelled_from_outside, problem
from rabbit.outage import Outage, wait
from store.interfaces import Intake

IN_HAND: Final = 200
"""Letters that one transaction has at most."""
TIMEOUT: Final = 10.0

_Arrived = asyncio.Queue[AbstractIncomingMessage | None]


class DeadIntake:
    """See above. `run` goes on until it is cancelled; outages are waited out and told once."""

    def __init__(
        self,
        url: str,
        letters: Intake,
        outage: Outage | None = None,
        store: Outage | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._outage, self._store = outage or Outage("RabbitMQ"), store or Outage("the store")
        self._link = Link(url, self._outage)
        self._letters, self._now = letters, now

    async def run(self) -> None:
        """Takes letters in for as long as there is a channel, then by the next one."""
        failures = 0
        while True:
            channel = await self._link.channel()
            try:
                arrived = await self._consume(channel)
                self._outage.end(self)
                failures = 0
                while (found := await _in_hand(arrived)) is not None:
                    await self._take(found)
            except (asyncio.CancelledError, *BROKEN) as error:
                if cancelled_from_outside(error):
                    raise
                self._outage.begin(self, problem(error))
            self._link.lost(channel)
            failures += 1
            await wait(failures)

    async def close(self) -> None:
        """Closes the connection; what is not acknowledged goes back to its queue. `run` must have been cancelled before."""
        self._outage.end(self)
        self._store.end(self)
        await self._link.close()

    async def _consume(self, channel: AbstractChannel) -> _Arrived:
        """The messages as they come; None: there will be no more by this channel."""
        arrived: _Arrived = asyncio.Queue()

        async def keep(message: AbstractIncomingMessage) -> None:
            arrived.put_nowait(message)

        channel.close_callbacks.add(lambda *_: arrived.put_nowait(None))
        inner = await channel.get_underlay_channel()
        inner.on_consumer_cancel_callbacks.add(lambda *_: arrived.put_nowait(None))
        await channel.set_qos(prefetch_count=IN_HAND, timeout=TIMEOUT)
        queue = await channel.get_queue(DEAD_QUEUE, ensure=True)
        await queue.consume(keep, timeout=TIMEOUT)
        return arrived

    async def _take(self, found: Sequence[AbstractIncomingMessage]) -> None:
        failpoint("intake.taken")
        now = self._now()
        letters = [from_queue(message.body, message.headers, message.message_id or "", now) for message in found]
        await self._kept(letters)
        failpoint("intake.kept")
        await found[-1].ack(multiple=True)
        failpoint("intake.acknowledged")

    async def _kept(self, letters: Sequence[DeadLetter]) -> None:
        """Returns once the store has them."""
        failures = 0
        while True:
            try:
                await self._letters.take(letters)
            except Unreachable as error:
                self._store.begin(self, problem(error))
                failures += 1
                await wait(failures)
            else:
                self._store.end(self)
                return


async def _in_hand(arrived: _Arrived) -> list[AbstractIncomingMessage] | None:
    """All that came so far, at least one; None: the channel has ended, and what came by it comes again."""
    found = [await arrived.get()]
    while not arrived.empty():
        found.append(arrived.get_nowait())
    messages = [message for message in found if message is not None]
    return messages if len(messages) == len(found) else None
