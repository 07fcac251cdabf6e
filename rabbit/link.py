"""A channel to RabbitMQ that is opened anew whenever it breaks.

aio-pika's own "robust" connection is not used: it declares queues again by itself, restores consumers only if their
queue was declared in a certain way, and hands out deliveries of a connection that is gone. Here a broken channel stays
broken, so all that hangs on it (deliveries, confirms) ends with it, and whoever needs one asks for a new one.
"""

import asyncio
from collections.abc import Awaitable
from typing import Final

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import AMQPError, AuthenticationError, InvalidFrameError, ProbableAuthenticationError
from pamqp.exceptions import PAMQPException
from yarl import URL

from activity.errors import Unreachable
from rabbit.outage import Outage, wait

SETTING: Final = "CHOPAR_RABBIT_URL"
CONNECT_TIMEOUT: Final = 10.0
HEARTBEAT: Final = 15
"""Seconds; a connection that died without a word is noticed after about two of them."""

BROKEN: Final = (AMQPError, PAMQPException, OSError, RuntimeError, TimeoutError, asyncio.InvalidStateError)
"""What aio-pika raises when a connection or channel breaks under a call (RuntimeError: its transport is gone)."""


async def connect(url: str) -> AbstractConnection:
    """A plain connection. Raises Unreachable, whose text names the setting, the host and what to do."""
    try:
        parsed = URL(url)
        named = parsed.update_query({"heartbeat": str(HEARTBEAT)})
        return await asyncio.wait_for(aio_pika.connect(named), CONNECT_TIMEOUT)
    except (AuthenticationError, ProbableAuthenticationError):
        raise Unreachable(SETTING, _where(url), "user name or password refused", f"correct them in {SETTING}") from None
    except TimeoutError:
        raise Unreachable(SETTING, _where(url), "timed out", "start RabbitMQ or correct the URL") from None
    except InvalidFrameError:  # it closed the connection in place of opening the virtual host
        raise Unreachable(
            SETTING, _where(url), "the virtual host is missing or closed to this user", "correct the URL's path"
        ) from None
    except (*BROKEN, ValueError) as error:
        raise Unreachable(SETTING, _where(url), problem(error), "start RabbitMQ or correct the URL") from None


class Link:
    """One connection with one channel, kept open. `channel()` waits out an outage; the log tells of it once."""

    def __init__(self, url: str, outage: Outage, *, confirms: bool = False) -> None:
        self._url = url
        self._outage = outage
        self._confirms = confirms
        self._lock = asyncio.Lock()
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._given_up: AbstractChannel | None = None

    async def channel(self) -> AbstractChannel:
        """An open channel, a new one if the last one broke. Waits as long as RabbitMQ is away."""
        async with self._lock:
            failures = 0
            while self._channel is None or self._channel.is_closed:
                try:
                    self._channel = await self._open()
                except (Unreachable, asyncio.CancelledError, *BROKEN) as error:
                    if cancelled_from_outside(error):
                        raise
                    failures += 1
                    self._outage.begin(self, problem(error))
                    await wait(failures)
            self._outage.end(self)
            return self._channel

    def lost(self, channel: AbstractChannel) -> None:
        """`channel` failed under a call: the next `channel()` opens another. A channel replaced already is passed over."""
        if channel is self._channel:
            self._channel = None
            self._given_up = channel

    async def close(self) -> None:
        """Closes the connection; what is unacknowledged on it goes back to its queue."""
        self._outage.end(self)
        self._channel = None
        connection, self._connection = self._connection, None
        if connection is not None:
            await _closed(connection.close(), CONNECT_TIMEOUT)

    async def _open(self) -> AbstractChannel:
        await self._close_given_up()
        if self._connection is None or self._connection.is_closed or not self._connection.connected.is_set():
            await self._let_go()
            self._connection = await connect(self._url)
        channel = self._connection.channel(publisher_confirms=self._confirms, on_return_raises=self._confirms)
        await asyncio.wait_for(channel.initialize(), CONNECT_TIMEOUT)
        return channel

    async def _close_given_up(self) -> None:
        """It would keep what it has unacknowledged; if it can't be closed, its connection goes as well."""
        given_up, self._given_up = self._given_up, None
        if given_up is not None and not given_up.is_closed and not await _closed(given_up.close(), CONNECT_TIMEOUT):
            await self._let_go()

    async def _let_go(self) -> None:
        """Lets go of a connection that is dead or half open; never raises, never waits long."""
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed:
            await _closed(connection.close(), 1.0)


async def _closed(closing: Awaitable[object], within: float) -> bool:
    """Whether it closed in time. What breaks on the way is no matter, and a close that can't be cancelled is not waited for."""
    task = asyncio.ensure_future(closing)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        await asyncio.wait({task}, timeout=within)
    finally:
        task.cancel()
    return task.done() and not task.cancelled() and task.exception() is None


def is_break(error: BaseException) -> bool:
    """Whether a connection or channel broke under a call. aiormq ends what waits on a channel that was closed on our own side
    with an `Exception` of no class of its own, or with CancelledError."""
    return isinstance(error, (*BROKEN, asyncio.CancelledError)) or type(error) is Exception


def cancelled_from_outside(error: BaseException) -> bool:
    """Whether `error` is the cancellation of the running task; aiormq also raises one when a connection closes under a call."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def problem(error: BaseException) -> str:
    """What went wrong in a few words, for a log line. aio-pika's texts hold no password; a long one is cut."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:200]


def _where(url: str) -> str:
    parsed = URL(url)
    return f"{parsed.host}:{parsed.port or (5671 if parsed.scheme == 'amqps' else 5672)}"
