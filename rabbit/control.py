"""Orders to the mailers that run: pause, resume, how many workers, how are you. Each mailer acts, then answers.

    chopar jobs pause ──▶ chopar.control (fanout) ──▶ a queue of each mailer's own ──▶ its pool
                     ◀── reply_to ◀────────────────────────────────── its status ◀──┘

A pause also stands in the store until it is taken back. A mailer looks there when it starts and whenever its connection
comes back, so one that did not hear the order follows it all the same.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, Literal, Protocol

import msgspec
from aio_pika import Message
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import ChannelNotFoundEntity, DeliveryError

from activity.errors import Mismatch, Unreachable
from activity.names import CONTROL_EXCHANGE
from rabbit.link import BROKEN, SETTING, Link, cancelled_from_outside, connect, problem
from rabbit.outage import Outage, wait
from rabbit.status import Status
from rabbit.topology import DECLARED_BY
from store.interfaces import Switches

logger = logging.getLogger(__name__)

PAUSE: Final = "pause"
"""The switch in the store under which a pause stands."""
FIRST_ANSWER: Final = 10.0
NEXT_ANSWER: Final = 1.0
"""Seconds to wait for the first answer, and after each for another: nobody knows how many mailers run."""
TIMEOUT: Final = 10.0
MOST_WORKERS: Final = 64
NOT_UNDERSTOOD: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Order(msgspec.Struct, frozen=True):
    """What a mailer shall do before it answers. `workers`: how many, if that is the order."""

    action: Literal["status", "pause", "resume", "workers"]
    workers: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= MOST_WORKERS:
            raise ValueError(f"expected 1 to {MOST_WORKERS} workers")


class Controlled(Protocol):
    """What can be ordered about: `rabbit.pool.Pool`."""

    async def pause(self) -> None: ...

    async def resume(self) -> None: ...

    async def resize(self, workers: int) -> None: ...

    def status(self) -> Status: ...


class Control:
    """A mailer's ear. `run` listens until it is cancelled, and waits out outages."""

    def __init__(self, url: str, pool: Controlled, switches: Switches, outage: Outage | None = None) -> None:
        self._outage = outage or Outage("RabbitMQ")
        self._link = Link(url, self._outage)
        self._pool, self._switches = pool, switches
        self._obeying = asyncio.Lock()

    async def recall(self) -> None:
        """Does what stands in the store. Raises Unreachable while it is away."""
        async with self._obeying:
            await (self._pool.resume() if await self._switches.read(PAUSE) is None else self._pool.pause())

    async def run(self) -> None:
        """Obeys and answers."""
        failures = 0
        while True:
            channel = await self._link.channel()
            try:
                closed = await self._listen(channel)
                await self.recall()  # after it hears: whatever is ordered from now on comes later
                self._outage.end(self)
                failures = 0
                await closed.wait()
            except Unreachable as error:
                logger.debug("does not know whether it is paused: %s", problem(error))
            except (asyncio.CancelledError, *BROKEN) as error:
                if cancelled_from_outside(error):
                    raise
                self._outage.begin(self, problem(error))
            self._link.lost(channel)
            failures += 1
            await wait(failures)

    async def close(self) -> None:
        """Closes the connection. `run` must have been cancelled before."""
        self._outage.end(self)
        await self._link.close()

    async def _listen(self, channel: AbstractChannel) -> asyncio.Event:
        closed = asyncio.Event()
        channel.close_callbacks.add(lambda *_: closed.set())
        queue = await channel.declare_queue(exclusive=True, auto_delete=True, timeout=TIMEOUT)
        await queue.bind(CONTROL_EXCHANGE, timeout=TIMEOUT)

        async def hear(message: AbstractIncomingMessage) -> None:
            await self._hear(channel, message)

        await queue.consume(hear, no_ack=True, timeout=TIMEOUT)
        return closed

    async def _hear(self, channel: AbstractChannel, message: AbstractIncomingMessage) -> None:
        try:
            order = _orders.decode(message.body)
        except NOT_UNDERSTOOD as error:
            logger.warning("an order was not understood (%s)", problem(error))
            return
        async with self._obeying:
            await self._obey(order)
            answer = Message(_encode(self._pool.status()), correlation_id=message.correlation_id)
        if message.reply_to:
            try:
                await channel.default_exchange.publish(answer, message.reply_to, mandatory=False)
            except BROKEN as error:
                logger.debug("an answer was not given: %s", problem(error))

    async def _obey(self, order: Order) -> None:
        match order.action:
            case "pause":
                await self._pool.pause()
            case "resume":
                await self._pool.resume()
            case "workers":
                await self._pool.resize(order.workers)
            case "status":
                pass


async def command(url: str, switches: Switches, order: Order, now: Callable[[], float] = time.time) -> list[Status]:
    """Gives an order, and what the mailers answered. A pause or its end stands in the store before any mailer hears of it."""
    if order.action in ("pause", "resume"):
        moment = now()
        await switches.write(PAUSE, str(moment) if order.action == "pause" else None, moment)
    return await ask(url, order)


async def ask(url: str, order: Order) -> list[Status]:
    """The answers of all mailers that run, by name. Raises Unreachable if RabbitMQ does not answer."""
    connection = await connect(url)
    try:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        heard: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        queue = await channel.declare_queue(exclusive=True, timeout=TIMEOUT)
        await queue.consume(heard.put, no_ack=True, timeout=TIMEOUT)
        exchange = await channel.get_exchange(CONTROL_EXCHANGE, ensure=True)
        await exchange.publish(Message(_encode(order), reply_to=queue.name), "", mandatory=True, timeout=TIMEOUT)
        return sorted(await _answers(heard), key=lambda status: status.mailer)
    except DeliveryError:
        return []  # no mailer listens
    except ChannelNotFoundEntity:
        raise Mismatch(f"RabbitMQ: exchange {CONTROL_EXCHANGE} is missing; {DECLARED_BY}") from None
    except BROKEN as error:
        raise Unreachable(SETTING, "RabbitMQ", problem(error), "see RabbitMQ's own log") from None
    finally:
        await connection.close()


async def _answers(heard: asyncio.Queue[AbstractIncomingMessage]) -> list[Status]:
    answers: list[Status] = []
    try:
        while True:
            message = await asyncio.wait_for(heard.get(), NEXT_ANSWER if answers else FIRST_ANSWER)
            try:
                answers.append(_statuses.decode(message.body))
            except NOT_UNDERSTOOD as error:  # of a mailer of another version
                logger.warning("an answer was not understood (%s)", problem(error))
    except TimeoutError:
        return answers


_encode: Final = msgspec.json.Encoder().encode
_orders: Final = msgspec.json.Decoder(Order)
_statuses: Final = msgspec.json.Decoder(Status)
