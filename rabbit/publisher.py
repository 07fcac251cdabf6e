"""The confirmed publisher: what it returns from is safe on RabbitMQ."""

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol, cast

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractExchange, HeadersType
from aio_pika.exceptions import ChannelNotFoundEntity, DeliveryError

from activity.errors import Unroutable
from activity.jobs import Job
from rabbit.burst import burst
from rabbit.letters import Letter, first_letter
from rabbit.link import BROKEN, Link, cancelled_from_outside, problem
from rabbit.outage import Outage, wait
from rabbit.topology import DECLARED_BY

logger = logging.getLogger(__name__)

WINDOW: Final = 400
"""How many publishes wait for their confirm at once, over all callers; more is slower (each confirm scans them all)."""
BURST: Final = 100
"""At most so many are written at once, so that some are written while others are confirmed."""


class JobPublisher(Protocol):
    """Where jobs are handed over to be done."""

    async def ready(self) -> None:
        """Returns once it can publish; waits as long as the broker is away."""

    async def publish(self, jobs: Sequence[Job]) -> None:
        """Returns once every job is safe with the broker and on a queue; waits as long as that takes.

        Never raises for an outage. If the caller is cancelled or dies, any of the jobs may have been published; publishing
        them again is right, since repeats of a job id are recognised where it is done.
        """


class Outbox(Protocol):
    """Where letters of any kind are handed over: `Publisher`, or `rabbit.channel.ChannelSource` without a broker."""

    async def deliver(self, letters: Sequence[Letter]) -> None:
        """Returns once every letter is safe, as `JobPublisher.publish` does."""


class Publisher:
    """A `JobPublisher` and `Outbox` on RabbitMQ: one connection, one channel, up to `WINDOW` publishes in flight.

    Use it as an async context manager, or call `close()`. An outage is waited out inside and logged when it begins and ends.
    """

    def __init__(self, url: str, outage: Outage | None = None, confirmed: Callable[[], None] = lambda: None) -> None:
        """`confirmed` is called for each letter that is safe, before who waits for it hears of it."""
        self._link = Link(url, outage or Outage("RabbitMQ"), confirms=True)
        self._window = asyncio.Semaphore(WINDOW)
        self._exchanges: dict[str, AbstractExchange] = {}
        self._opened: AbstractChannel | None = None
        self._refused: Counter[tuple[str, str]] = Counter()  # letters that wait since the broker did not take them
        self._confirmed_one = confirmed

    async def __aenter__(self) -> "Publisher":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection. Publishes that are under way must be awaited or cancelled before."""
        await self._link.close()

    async def ready(self) -> None:
        """Returns once the channel is open; waits as long as RabbitMQ is away."""
        await self._link.channel()

    async def publish(self, jobs: Sequence[Job]) -> None:
        """See `JobPublisher.publish`."""
        await self.deliver([first_letter(job) for job in jobs])

    async def deliver(self, letters: Sequence[Letter]) -> None:
        """See `Outbox.deliver`."""
        at = 0
        async with asyncio.TaskGroup() as group:
            while at < len(letters):
                part = letters[at : at + await self._room(min(BURST, len(letters) - at))]
                at += len(part)
                task = group.create_task(self._together(part))
                task.add_done_callback(partial(self._leave, len(part)))  # also of one that is cancelled before it began

    async def _room(self, wanted: int) -> int:
        """Waits for a place in the window; takes as many of `wanted` as there are."""
        await self._window.acquire()
        taken = 1
        while taken < wanted and not self._window.locked():
            await self._window.acquire()  # does not wait
            taken += 1
        return taken

    def _leave(self, places: int, _: object) -> None:
        for _place in range(places):
            self._window.release()

    async def _together(self, letters: Sequence[Letter]) -> None:
        """All at once; what then is not known to be safe is published alone, until it is."""
        channel = await self._link.channel()
        try:
            unsafe = await burst(channel, letters, self._confirmed_one)
        except (asyncio.CancelledError, *BROKEN) as error:
            if cancelled_from_outside(error):
                raise
            logger.debug("a burst failed and is repeated: %s", problem(error))
            unsafe = list(letters)
        await asyncio.gather(*(self._confirmed(letter) for letter in unsafe))

    async def _confirmed(self, letter: Letter) -> None:
        """Publishes until the broker has confirmed and routed it, under a new message id each time."""
        failures, refused = 0, False
        try:
            while (wanting := await self._try(letter)) is not None:
                if wanting and not refused:
                    refused = True
                    self._begin_refusal(letter, wanting)
                failures += 1
                await wait(failures)
        finally:
            if refused:
                self._end_refusal(letter)

    async def _try(self, letter: Letter) -> str | None:
        """None: the broker has it. Else what is wanting there, or "" if the connection failed."""
        channel = await self._link.channel()
        try:
            exchange = await self._exchange(channel, letter.exchange)
            # No timeout: a confirm comes, or the channel breaks. One that is given up comes all the same.
            await exchange.publish(_message(letter), letter.key, mandatory=True)
        except DeliveryError as error:  # returned (no queue is bound) or refused (a queue is full or has no leader)
            return f"has no queue for it; {DECLARED_BY}" if error.message else "did not accept it: is a queue full?"
        except ChannelNotFoundEntity:
            self._link.lost(channel)
            return f"has no such exchange; {DECLARED_BY}"
        except (asyncio.CancelledError, *BROKEN) as error:
            if cancelled_from_outside(error):
                raise
            self._link.lost(channel)
            logger.debug("a publish failed and is repeated: %s", problem(error))
            return ""
        self._confirmed_one()
        return None

    async def _exchange(self, channel: AbstractChannel, name: str) -> AbstractExchange:
        if channel is not self._opened:
            self._opened = channel
            self._exchanges = {}
        if name not in self._exchanges:
            self._exchanges[name] = await channel.get_exchange(name, ensure=False)
        return self._exchanges[name]

    def _begin_refusal(self, letter: Letter, wanting: str) -> None:
        """Told once, when the first of several on the same route is not taken."""
        route = (letter.exchange, letter.key)
        self._refused[route] += 1
        if self._refused[route] == 1:
            text = f"RabbitMQ {wanting} ({letter.exchange}, key {letter.key}); kept and tried again"
            logger.error("%s", Unroutable(text))

    def _end_refusal(self, letter: Letter) -> None:
        """Told once, when the last of them is taken."""
        route = (letter.exchange, letter.key)
        self._refused[route] -= 1
        if not self._refused[route]:
            del self._refused[route]
            logger.warning("RabbitMQ takes messages for %s, key %s again", *route)


def _message(letter: Letter) -> Message:
    return Message(
        letter.body,
        headers=cast(HeadersType, letter.headers),
        content_type="application/json",
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=uuid.uuid4().hex,
    )
