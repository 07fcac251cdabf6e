"""Listening to the changes of jobs, from now on: what `chopar.lifecycle` tells while somebody listens."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Final

import msgspec
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import ChannelNotFoundEntity

from activity.errors import Mismatch
from activity.names import LIFECYCLE_EXCHANGE
from rabbit.lifecycle import Change
from rabbit.link import BROKEN, Link, cancelled_from_outside, connect, problem
from rabbit.outage import Outage, wait
from rabbit.topology import DECLARED_BY

AHEAD: Final = 500
"""Changes in hand that nobody has looked at yet."""
KEPT: Final = 100_000
"""Changes that RabbitMQ keeps for a slow listener; then the oldest go. A listener never fills the broker."""

_decode: Final = msgspec.json.Decoder(Change).decode
_Arrived = asyncio.Queue[AbstractIncomingMessage | None]


async def changes(url: str, outage: Outage) -> AsyncIterator[Change]:
    """Each change as it is told, until the caller has enough. An outage is waited out; what is told meanwhile is missed.

    Raises Unreachable if RabbitMQ does not answer at the start, Mismatch if the exchange is not there.
    """
    await (await connect(url)).close()
    link = Link(url, outage)
    failures = 0
    try:
        while True:
            channel = await link.channel()
            arrived: _Arrived = asyncio.Queue()
            try:
                await _listen(channel, arrived)
                outage.end(changes)
                failures = 0
                while (message := await arrived.get()) is not None:
                    if (change := _read(message.body)) is not None:
                        yield change
                    await message.ack()
            except ChannelNotFoundEntity:
                raise Mismatch(f"RabbitMQ: exchange {LIFECYCLE_EXCHANGE} is missing; {DECLARED_BY}") from None
            except (asyncio.CancelledError, *BROKEN) as error:
                if cancelled_from_outside(error):
                    raise
                outage.begin(changes, problem(error))
            link.lost(channel)
            failures += 1
            await wait(failures)
    finally:
        await link.close()


async def _listen(channel: AbstractChannel, arrived: _Arrived) -> None:
    """A queue of its own that goes with its connection; None arrives when there will be no more."""
    channel.close_callbacks.add(lambda *_: arrived.put_nowait(None))
    inner = await channel.get_underlay_channel()
    inner.on_consumer_cancel_callbacks.add(lambda *_: arrived.put_nowait(None))
    await channel.set_qos(prefetch_count=AHEAD, timeout=10)
    arguments: dict[str, str | int] = {"x-max-length": KEPT, "x-overflow": "drop-head"}
    queue = await channel.declare_queue(exclusive=True, arguments=dict(arguments), timeout=10)
    await queue.bind(LIFECYCLE_EXCHANGE, timeout=10)
    await queue.consume(partial(_keep, arrived), timeout=10)


async def _keep(arrived: _Arrived, message: AbstractIncomingMessage) -> None:
    arrived.put_nowait(message)


def _read(body: bytes) -> Change | None:
    """What others publish there, and what this version can't read, is passed over."""
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
