"""The promise of a source: one suite for RabbitMQ and the channel, then what only a broker can do to one."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from aio_pika import Message
from aio_pika.abc import AbstractChannel, HeadersType
from aiormq import Channel

from activity.jobs import decode_job
from activity.names import BULK_QUEUE, JOBS_EXCHANGE, TRANSACTIONAL_QUEUE
from brokers.node import Node
from brokers.rabbitmq import RabbitMQ
from rabbit import topology
from rabbit.channel import ChannelSource
from rabbit.consumer import PREFETCH_PER_WORKER, QUEUES, RabbitSource
from rabbit.publisher import JobPublisher, Publisher
from rabbit.source import Delivery, Source
from tests.rabbit import broker
from tests.rabbit.orders import make_job, make_jobs

WITHIN = 60


@pytest.fixture(params=["channel", "rabbitmq"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[tuple[JobPublisher, Source]]:
    """Where jobs go in, and where they come out."""
    if request.param == "channel":
        channel = ChannelSource()
        yield channel, channel
        return
    url = request.getfixturevalue("rabbit_url")
    await broker.empty(url)
    source = RabbitSource(url, 4)
    running = asyncio.create_task(source.run())
    async with Publisher(url) as publisher:
        yield publisher, source
    running.cancel()
    await source.close()


async def take(source: Source, count: int, *, urgent: bool = False) -> list[Delivery]:
    async with asyncio.timeout(WITHIN):
        return [await source.take(urgent=urgent) for _ in range(count)]


def ids(deliveries: list[Delivery]) -> list[str]:
    return sorted(decode_job(delivery.body).id for delivery in deliveries)


class TestConformance:
    async def test_each_job_is_taken_once(self, pair: tuple[JobPublisher, Source]) -> None:
        publisher, source = pair
        jobs = make_jobs(50)
        await publisher.publish(jobs)
        taken = await take(source, 50)
        assert ids(taken) == sorted(job.id for job in jobs)
        assert {(delivery.attempt, delivery.key) for delivery in taken} == {(1, "email.transactional.welcome")}
        await source.acknowledge(taken)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(source.take(), 0.3)

    async def test_a_cancelled_take_has_taken_nothing(self, pair: tuple[JobPublisher, Source]) -> None:
        publisher, source = pair
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(source.take(), 0.1)
        await publisher.publish([make_job()])
        assert ids(await take(source, 1)) == [make_job().id]

    async def test_transactional_goes_first_and_urgent_takes_no_bulk(self, pair: tuple[JobPublisher, Source]) -> None:
        publisher, source = pair
        bulk = [make_job(number, job_class="bulk") for number in (1, 2)]
        await publisher.publish(bulk)
        first = await take(source, 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(source.take(urgent=True), 0.3)
        await publisher.publish([make_job(3)])
        urgent = await take(source, 1, urgent=True)
        assert ids(urgent) == [make_job(3).id]
        assert ids(first + await take(source, 1)) == sorted(job.id for job in bulk)

    async def test_acknowledging_out_of_order_and_twice(self, pair: tuple[JobPublisher, Source]) -> None:
        publisher, source = pair
        await publisher.publish(make_jobs(6))
        one, two, three, four, five, six = await take(source, 6)
        for group in ([three], [six, one], [one, two, five], [four], [four]):
            await source.acknowledge(group)
        await publisher.publish([make_job(7)])
        assert ids(await take(source, 1)) == [make_job(7).id]

    async def test_while_paused_nothing_is_taken_and_nothing_is_lost(self, pair: tuple[JobPublisher, Source]) -> None:
        publisher, source = pair
        await publisher.publish(make_jobs(20))
        taken = await take(source, 5)
        returned = list(await source.pause())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(source.take(), 0.3)
        await source.acknowledge(taken + returned)
        await publisher.publish([make_job(21)])
        await source.resume()
        rest = await take(source, 21 - len(taken) - len(returned))
        assert ids(taken + returned + rest) == sorted(job.id for job in make_jobs(21))


@pytest.fixture
async def source(rabbit: str) -> AsyncIterator[RabbitSource]:
    source = RabbitSource(rabbit, 1)
    running = asyncio.create_task(source.run())
    yield source
    running.cancel()
    await source.close()


async def test_what_is_acknowledged_is_gone_and_the_rest_comes_again(rabbit: str) -> None:
    source = RabbitSource(rabbit, 1)
    running = asyncio.create_task(source.run())
    async with Publisher(rabbit) as publisher:
        await publisher.publish(make_jobs(10))
    taken = await take(source, 10)
    await source.acknowledge([taken[0], taken[1], taken[4], taken[9]])
    running.cancel()
    await source.close()
    left = [decode_job(message.body).id for message in await broker.drain(rabbit, TRANSACTIONAL_QUEUE, 6)]
    assert sorted(left) == ids([taken[number] for number in (2, 3, 5, 6, 7, 8)])
    assert await broker.waiting(rabbit, TRANSACTIONAL_QUEUE) == 0


async def test_no_more_than_the_prefetch_is_in_hand(rabbit: str, source: RabbitSource) -> None:
    async with Publisher(rabbit) as publisher:
        await publisher.publish(make_jobs(PREFETCH_PER_WORKER + 10))
    await take(source, PREFETCH_PER_WORKER)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(source.take(), 0.5)
    assert await broker.waiting(rabbit, TRANSACTIONAL_QUEUE) == 10


@pytest.mark.parametrize("wrong", ["text", -1, 0, 2**40, None])
async def test_an_attempt_header_that_is_no_number_counts_as_the_first(rabbit: str, source: RabbitSource, wrong: object) -> None:
    async with broker.opened(rabbit) as channel:  # somebody else's: ours writes no such header
        headers = cast(HeadersType, {"chopar-attempt": wrong})
        exchange = await channel.get_exchange(JOBS_EXCHANGE, ensure=False)
        await exchange.publish(Message(b"{}", headers=headers), "email.transactional.x", mandatory=True)
    (delivery,) = await take(source, 1)
    assert delivery.attempt == 1


async def test_stale_deliveries_are_dropped_when_the_broker_restarts(private_rabbitmq: Node[RabbitMQ]) -> None:
    url = private_rabbitmq.url
    await topology.declare(url)
    source = RabbitSource(url, 4)
    running = asyncio.create_task(source.run())
    async with Publisher(url) as publisher:
        await publisher.publish(make_jobs(20))
        stale = await take(source, 5)
        await private_rabbitmq.kill()
        await source.acknowledge(stale)
        await private_rabbitmq.start()
        taken = await take(source, 20)
        assert ids(taken) == sorted(job.id for job in make_jobs(20))
        await source.acknowledge(stale)
        await source.acknowledge(taken)
        await publisher.publish([make_job(21)])
        assert ids(await take(source, 1)) == [make_job(21).id]
    running.cancel()
    await source.close()


async def test_consumes_again_when_a_queue_was_deleted_and_declared_again(rabbit: str, source: RabbitSource) -> None:
    async with Publisher(rabbit) as publisher:
        await publisher.publish([make_job(1)])
        await source.acknowledge(await take(source, 1))
        for queue in QUEUES:
            async with broker.opened(rabbit) as channel:
                await channel.queue_delete(queue)
        await topology.declare(rabbit)  # at once: RabbitMQ 3.10 sometimes cancels no consumer then
        await publisher.publish([make_job(2)])
        assert ids(await take(source, 1)) == [make_job(2).id]


async def test_a_consumer_that_is_gone_without_a_word_is_missed(
    rabbit: str, source: RabbitSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in hand stays in hand, and the other queue's consumer does not come twice."""
    monkeypatch.setattr("rabbit.consumer.LOOK", 0.3)
    async with Publisher(rabbit) as publisher, broker.opened(rabbit) as channel:
        await publisher.publish([make_job(1)])
        in_hand = await take(source, 1)
        assert source._channel is not None
        async with asyncio.timeout(WITHIN):  # the first job may come before the other queue is consumed from
            while not (found := [tag for queue, tag in source._consumers if queue == BULK_QUEUE]):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await (await source._channel.get_underlay_channel()).basic_cancel(found[0])
        await publisher.publish([make_job(2, job_class="bulk")])
        in_hand += (second := await take(source, 1))
        assert ids(second) == [make_job(2).id]
        await publisher.publish([make_job(3)])
        in_hand += (third := await take(source, 1))
        assert ids(third) == [make_job(3).id]
        await source.acknowledge(in_hand)
        async with asyncio.timeout(WITHIN):  # one that was cancelled counts until all that it has is acknowledged
            while await counts(channel) != [(1, 0), (1, 0)]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def test_a_channel_that_was_closed_on_our_side_is_replaced(
    rabbit: str, source: RabbitSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiormq then ends a call that waits with an `Exception` of no class of its own."""
    original, failures = Channel.basic_consume, list[Exception]()

    async def closed(self: Channel, *given: Any, **named: Any) -> Any:
        if not failures:
            failures.append(Exception())
            raise failures[0]
        return await original(self, *given, **named)

    async with Publisher(rabbit) as publisher:
        await publisher.publish([make_job(1)])
        await source.acknowledge(await take(source, 1))
        monkeypatch.setattr(Channel, "basic_consume", closed)
        await source.pause()
        await source.resume()
        await publisher.publish([make_job(2)])
        assert ids(await take(source, 1)) == [make_job(2).id]
    assert failures


async def counts(channel: AbstractChannel) -> list[tuple[int | None, int | None]]:
    """The consumers of each queue, and how many messages nobody has in hand."""
    found = [(await channel.declare_queue(name, passive=True)).declaration_result for name in QUEUES]
    return [(queue.consumer_count, queue.message_count) for queue in found]
