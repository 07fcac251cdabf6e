"""The channel that is opened anew, whatever its library raises on the way."""

import asyncio
from typing import Any, cast

import pytest
from aio_pika.abc import AbstractChannel

from rabbit.link import Link
from rabbit.outage import Outage


async def cancelled(*_: Any, **__: Any) -> None:
    """As aiormq does when a channel or connection closes under a call: nobody has cancelled us."""
    raise asyncio.CancelledError


async def test_a_channel_whose_closing_is_cancelled_from_within_is_replaced(rabbit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    link = Link(rabbit, Outage("RabbitMQ"))
    first = await link.channel()
    monkeypatch.setattr(first, "close", cancelled)
    link.lost(first)
    second = await link.channel()
    assert second is not first
    assert not second.is_closed
    await link.close()


async def test_an_opening_that_is_cancelled_from_within_is_tried_again(rabbit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    link = Link(rabbit, Outage("RabbitMQ"))
    opened, tries = link._open, list[int]()

    async def open_at_the_second_try() -> AbstractChannel:
        tries.append(1)
        if len(tries) == 1:
            await cancelled()
        return await opened()

    monkeypatch.setattr(link, "_open", open_at_the_second_try)
    assert not (await link.channel()).is_closed
    await link.close()


async def test_a_closing_that_is_cancelled_from_within_ends(rabbit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    link = Link(rabbit, Outage("RabbitMQ"))
    await link.channel()
    connection = link._connection
    assert connection is not None
    close = connection.close
    monkeypatch.setattr(connection, "close", cancelled)
    await link.close()
    await close()


async def test_a_cancellation_from_outside_ends_the_wait(rabbit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    link = Link(rabbit, Outage("RabbitMQ"))
    first = await link.channel()
    monkeypatch.setattr(first, "close", lambda: asyncio.sleep(60))
    link.lost(first)
    waiting = asyncio.create_task(link.channel())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    monkeypatch.undo()
    await cast(Any, first).close()
    await link.close()
