"""The promise of a publisher: what it returned from is safe. One suite for the fake and the real one, then outages."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from activity.jobs import Job, decode_job
from activity.names import TRANSACTIONAL_QUEUE
from brokers.node import Node
from brokers.rabbitmq import RabbitMQ
from rabbit import topology
from rabbit.channel import ChannelSource
from rabbit.letters import first_letter
from rabbit.publisher import WINDOW, JobPublisher, Publisher
from tests.rabbit import broker
from tests.rabbit.fakes import FakePublisher
from tests.rabbit.orders import make_job, make_jobs

Published = Callable[[int], Awaitable[list[Job]]]


@pytest.fixture(params=["fake", "channel", "rabbitmq"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[tuple[JobPublisher, Published]]:
    """A publisher, and what arrived of it."""
    if request.param == "fake":
        fake = FakePublisher()

        async def kept(count: int) -> list[Job]:
            return fake.jobs

        yield fake, kept
    elif request.param == "channel":
        channel = ChannelSource()

        async def taken(count: int) -> list[Job]:
            return [decode_job((await channel.take()).body) for _ in range(count)]

        yield channel, taken
    else:
        url = request.getfixturevalue("rabbit_url")
        await broker.empty(url)

        async def arrived(count: int) -> list[Job]:
            return [decode_job(message.body) for message in await broker.drain(url, TRANSACTIONAL_QUEUE, count)]

        async with Publisher(url) as publisher:
            yield publisher, arrived


class TestConformance:
    async def test_every_job_is_there_when_publish_returns(self, pair: tuple[JobPublisher, Published]) -> None:
        publisher, arrived = pair
        await publisher.ready()
        jobs = make_jobs(3 * WINDOW)
        await publisher.publish(jobs)
        assert sorted(job.id for job in await arrived(len(jobs))) == sorted(job.id for job in jobs)

    async def test_nothing_to_publish_is_nothing_published(self, pair: tuple[JobPublisher, Published]) -> None:
        publisher, arrived = pair
        await publisher.publish([])
        await publisher.publish([make_job()])
        assert await arrived(1) == [make_job()]

    async def test_a_repeat_is_published_again(self, pair: tuple[JobPublisher, Published]) -> None:
        publisher, arrived = pair
        await asyncio.gather(publisher.publish([make_job()] * 2), publisher.publish([make_job()]))
        assert await arrived(3) == [make_job()] * 3


async def test_messages_are_persistent_and_carry_the_contracts_headers(rabbit: str) -> None:
    async with Publisher(rabbit) as publisher:
        await publisher.publish([make_job()] * 2)
    first, second = await broker.drain(rabbit, TRANSACTIONAL_QUEUE, 2)
    assert first.delivery_mode == 2
    assert (first.headers["chopar-job"], first.headers["chopar-attempt"]) == (make_job().id, 1)
    assert first.message_id != second.message_id


async def test_an_unroutable_job_is_kept_until_its_queue_is_there(rabbit: str, caplog: pytest.LogCaptureFixture) -> None:
    async with Publisher(rabbit) as publisher:
        async with broker.opened(rabbit) as channel:
            await channel.queue_delete(TRANSACTIONAL_QUEUE)
        publishing = asyncio.create_task(publisher.publish(make_jobs(10)))
        await _logged(caplog, "has no queue for it")
        assert not publishing.done()
        await topology.declare(rabbit)
        await asyncio.wait_for(publishing, 60)
    assert len(await broker.drain(rabbit, TRANSACTIONAL_QUEUE, 10)) == 10
    assert len([r for r in caplog.records if "has no queue" in r.message]) == 1


async def test_a_missing_exchange_does_not_lose_what_else_is_in_flight(rabbit: str, caplog: pytest.LogCaptureFixture) -> None:
    async with Publisher(rabbit) as publisher:
        async with broker.opened(rabbit) as channel:
            await channel.exchange_delete("chopar.dead")
        letter = first_letter(make_job())
        lost = asyncio.create_task(publisher.deliver([type(letter)("chopar.dead", "email.dead", b"{}", {})]))
        await publisher.publish(make_jobs(500))
        await _logged(caplog, "has no such exchange")
        await topology.declare(rabbit)
        await asyncio.wait_for(lost, 60)
    assert {decode_job(m.body).id for m in await broker.drain(rabbit, TRANSACTIONAL_QUEUE, 500)} == {j.id for j in make_jobs(500)}


@pytest.mark.parametrize("way", ["stop", "kill"])
async def test_nothing_is_lost_when_the_broker_goes_away(
    private_rabbitmq: Node[RabbitMQ], way: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = private_rabbitmq.url
    await topology.declare(url)
    numbers, published, begun, enough = itertools.count(1), set[str](), asyncio.Event(), asyncio.Event()

    async def publish_on_and_on() -> None:
        while not enough.is_set():
            part = [make_job(next(numbers)) for _ in range(100)]
            await publisher.publish(part)
            published.update(job.id for job in part)
            begun.set()

    async with Publisher(url) as publisher:
        publishing = asyncio.gather(*(publish_on_and_on() for _ in range(5)))
        await begun.wait()
        await (private_rabbitmq.stop() if way == "stop" else private_rabbitmq.kill())
        await private_rabbitmq.start()
        enough.set()
        await asyncio.wait_for(publishing, 120)
    count = await broker.waiting(url, TRANSACTIONAL_QUEUE)
    found = {decode_job(message.body).id for message in await broker.drain(url, TRANSACTIONAL_QUEUE, count)}
    assert found == published
    told = [record.message for record in caplog.records if record.name == "rabbit.outage"]
    assert len(told) == 2, told
    assert "RabbitMQ is away" in told[0]
    assert "RabbitMQ is back after" in told[1]


async def test_ready_waits_for_a_broker_that_is_not_there_yet() -> None:
    async with Publisher("amqp://guest:guest@127.0.0.1:1/") as publisher:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(publisher.ready(), 0.5)


async def test_cancelling_gives_back_the_window(rabbit: str) -> None:
    async with Publisher(rabbit) as publisher:
        for _ in range(3):
            publishing = asyncio.create_task(publisher.publish(make_jobs(WINDOW * 2)))
            await asyncio.sleep(0)
            publishing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await publishing
        await asyncio.wait_for(publisher.publish(make_jobs(WINDOW)), 60)


async def _logged(caplog: pytest.LogCaptureFixture, text: str) -> None:
    caplog.set_level(logging.INFO)
    async with asyncio.timeout(60):
        while text not in caplog.text:  # noqa: ASYNC110 - a log has no event to wait for
            await asyncio.sleep(0.05)
