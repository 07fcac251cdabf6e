"""Orders to the mailers that run, on a real broker: each acts and answers, and one that did not hear follows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aio_pika import Message

from activity.errors import Mismatch, Unreachable
from activity.names import CONTROL_EXCHANGE
from rabbit import control, topology
from rabbit.control import PAUSE, Control, Order, ask, command
from rabbit.status import Status
from tests.rabbit import broker
from tests.store.fakes import MemorySwitches


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "NEXT_ANSWER", 0.5)


class FakePool:
    """What can be ordered about; it notes what it was told."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.paused = False
        self.workers = 4
        self.told: list[str] = []

    async def pause(self) -> None:
        self.paused = True
        self.told.append("pause")

    async def resume(self) -> None:
        self.paused = False
        self.told.append("resume")

    async def resize(self, workers: int) -> None:
        self.workers = workers
        self.told.append(f"workers {workers}")

    def status(self) -> Status:
        return Status(self.name, self.paused, None, self.workers, self.workers, 0, 0, 0, 0)


@asynccontextmanager
async def mailers(url: str, switches: MemorySwitches, *names: str) -> AsyncIterator[list[FakePool]]:
    """Some that listen."""
    pools = [FakePool(name) for name in names]
    controls = [Control(url, pool, switches) for pool in pools]
    running = [asyncio.create_task(each.run()) for each in controls]
    async with asyncio.timeout(60):
        while not all(pool.told for pool in pools):  # noqa: ASYNC110 - each has looked into the store
            await asyncio.sleep(0.02)
    try:
        yield pools
    finally:
        for task in running:
            task.cancel()
        for each in controls:
            await each.close()


async def test_all_mailers_act_and_each_answers(rabbit: str) -> None:
    switches = MemorySwitches()
    async with mailers(rabbit, switches, "b", "a", "c") as pools:
        answers = await command(rabbit, switches, Order("pause"))
        assert [(answer.mailer, answer.state) for answer in answers] == [("a", "paused"), ("b", "paused"), ("c", "paused")]
        assert await switches.read(PAUSE) is not None
        assert [answer.workers for answer in await command(rabbit, switches, Order("workers", 5))] == [5, 5, 5]
        assert [answer.state for answer in await command(rabbit, switches, Order("status"))] == ["paused"] * 3
        assert [answer.state for answer in await command(rabbit, switches, Order("resume"))] == ["running"] * 3
        assert await switches.read(PAUSE) is None
        assert {tuple(pool.told) for pool in pools} == {("resume", "pause", "workers 5", "resume")}


async def test_a_pause_stands_for_a_mailer_that_starts_later(rabbit: str) -> None:
    switches = MemorySwitches()
    assert await command(rabbit, switches, Order("pause")) == []
    async with mailers(rabbit, switches, "late") as (late,):
        assert late.paused
        await command(rabbit, switches, Order("resume"))
        assert not late.paused


async def test_one_whose_connection_was_gone_follows_when_it_is_back(rabbit: str) -> None:
    switches = MemorySwitches()
    pool = FakePool("deaf")
    deaf = Control(rabbit, pool, switches)
    running = asyncio.create_task(deaf.run())
    try:
        assert len(await _some(rabbit)) == 1
        channel = await deaf._link.channel()
        await switches.write(PAUSE, "now", 0.0)
        await channel.close()
        async with asyncio.timeout(60):
            while not pool.paused:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert [answer.state for answer in await _some(rabbit)] == ["paused"]
    finally:
        running.cancel()
        await deaf.close()


async def _some(url: str) -> list[Status]:
    async with asyncio.timeout(60):
        while not (answers := await ask(url, Order("status"))):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return answers


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b'{"action": "dance"}', b'{"action": "workers", "workers": 0}'])
async def test_an_order_that_is_none_is_passed_over(rabbit: str, body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    switches = MemorySwitches()
    async with mailers(rabbit, switches, "a") as (pool,), broker.opened(rabbit) as channel:
        exchange = await channel.get_exchange(CONTROL_EXCHANGE)
        await exchange.publish(Message(body), "")
        assert len(await ask(rabbit, Order("status"))) == 1
        assert pool.told == ["resume"]
    assert "an order was not understood" in caplog.text


async def test_the_store_may_be_away_when_it_looks(rabbit: str) -> None:
    class Late(MemorySwitches):
        tries = 0

        async def read(self, name: str) -> str | None:
            self.tries += 1
            if self.tries < 3:
                raise Unreachable("CHOPAR_STORE_URL", "here", "no store", "start it")
            return "now"

    async with mailers(rabbit, Late(), "a") as (pool,):
        assert pool.told == ["pause"]


async def test_without_the_exchange_or_a_broker_it_is_one_line(rabbit: str) -> None:
    async with broker.opened(rabbit) as channel:
        await channel.exchange_delete(CONTROL_EXCHANGE)
    with pytest.raises(Mismatch, match=r"exchange chopar\.control is missing; a notifier or mailer declares it"):
        await ask(rabbit, Order("status"))
    await topology.declare(rabbit)
    with pytest.raises(Unreachable, match="CHOPAR_RABBIT_URL: no answer from"):
        await ask("amqp://guest:guest@127.0.0.1:1/", Order("status"))


async def test_an_answer_that_is_none_keeps_the_others_from_nothing(caplog: pytest.LogCaptureFixture) -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()
    for body in (b"\xff", b"[]", msgspec.json.encode(FakePool("a").status())):
        heard.put_nowait(Message(body))
    assert [status.mailer for status in await control._answers(heard)] == ["a"]
    assert len(caplog.records) == 2
