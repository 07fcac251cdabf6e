"""Many letters in one write: each is safe, or is named as not known to be. It stands on names inside aiormq."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from aiormq.exceptions import ChannelInvalidStateError

from activity.names import LIFECYCLE_EXCHANGE, TRANSACTIONAL_QUEUE
from rabbit.burst import burst, cast_away
from rabbit.letters import Letter, first_letter
from tests.rabbit import broker
from tests.rabbit.orders import make_jobs

LETTERS = [first_letter(job) for job in make_jobs(300)]
NOWHERE = Letter("chopar.jobs", "nowhere", b"{}", {})


@asynccontextmanager
async def confirming(url: str) -> AsyncIterator[AbstractChannel]:
    async with broker.opened(url) as other:
        channel = cast("Any", other)._connection.channel(publisher_confirms=True, on_return_raises=True)
        await channel.initialize()
        yield channel


async def test_all_are_confirmed_or_named(rabbit: str) -> None:
    safe: list[int] = []
    async with confirming(rabbit) as channel:
        both = [*LETTERS[:100], NOWHERE, *LETTERS[100:], NOWHERE]
        assert await burst(channel, both, lambda: safe.append(1)) == [NOWHERE, NOWHERE]
        assert await burst(channel, LETTERS[:1], lambda: safe.append(1)) == []
        assert cast("Any", await channel.get_underlay_channel()).message_id_delivery_tag == {}
    assert len(safe) == 301
    assert len(await broker.drain(rabbit, TRANSACTIONAL_QUEUE, 301)) == 301


async def test_a_burst_and_aio_pika_share_a_channel(rabbit: str) -> None:
    async with confirming(rabbit) as channel:
        exchange = await channel.get_exchange("chopar.jobs", ensure=False)
        publishes = [exchange.publish(aio_pika.Message(b"{}"), LETTERS[0].key) for _ in range(20)]
        bursts = [burst(channel, LETTERS[at : at + 30], lambda: None) for at in range(0, 300, 30)]
        assert [left for left in await asyncio.gather(*bursts, *publishes) if isinstance(left, list)] == [[]] * 10
    assert await broker.waiting(rabbit, TRANSACTIONAL_QUEUE) == 320


async def test_a_channel_that_closes_leaves_all_it_has_not_confirmed(rabbit: str) -> None:
    safe: list[int] = []
    async with confirming(rabbit) as channel:
        lost = Letter("no.such.exchange", "x", b"{}", {})
        left = await burst(channel, [*LETTERS, lost], lambda: safe.append(1))
        assert len(left) == len(LETTERS) + 1 - len(safe)
        assert left[-1] == lost
        with pytest.raises(ChannelInvalidStateError):
            await burst(channel, LETTERS, lambda: None)
        with pytest.raises(ChannelInvalidStateError):
            await cast_away(channel, LETTERS)


async def test_what_is_not_written_takes_no_number(rabbit: str) -> None:
    """A writer that is behind; whoever waits for it gives up."""
    async with confirming(rabbit) as channel:
        inner = cast("Any", await channel.get_underlay_channel())
        real, inner.write_queue = inner.write_queue, asyncio.Queue(1)
        inner.write_queue.put_nowait(None)
        waiting = asyncio.create_task(burst(channel, LETTERS, lambda: None))
        while not inner.confirmations:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (inner.confirmations, inner.message_id_delivery_tag) == ({}, {})
        inner.write_queue = real
        assert await burst(channel, LETTERS, lambda: None) == []
    assert await broker.waiting(rabbit, TRANSACTIONAL_QUEUE) == len(LETTERS)


async def test_what_is_cast_away_reaches_who_listens(rabbit: str) -> None:
    async with broker.opened(rabbit) as channel:
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(LIFECYCLE_EXCHANGE, "job.sent")
        nobodys = Letter(LIFECYCLE_EXCHANGE, "nobody", b"2", {})
        await cast_away(channel, [Letter(LIFECYCLE_EXCHANGE, "job.sent", b"1", {}), nobodys])
        message = await queue.get(timeout=30, fail=True)
        assert message.body == b"1"
        await message.ack()
