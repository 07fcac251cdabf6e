"""What a broker does to its clients, each tried on a real one: afterwards all goes on as before, and nothing was lost.

The broker restarts: `test_source.py`, `test_publisher.py`, `test_mailer_process.py`. A message that no queue takes
(`mandatory`): `test_publisher.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from activity.names import JOBS_EXCHANGE
from brokers.node import Node
from brokers.rabbitmq import RabbitMQ
from rabbit import link, topology
from rabbit.consumer import PREFETCH_PER_WORKER, QUEUES, RabbitSource
from rabbit.letters import Letter
from rabbit.publisher import Publisher
from rabbit.topology import Arguments
from tests.rabbit import broker
from tests.rabbit.orders import make_job, make_jobs
from tests.rabbit.works import working

Fault = Callable[[str, RabbitSource], Awaitable[None]]


@pytest.fixture
async def disturbed(disturbed_rabbitmq: Node[RabbitMQ]) -> str:
    """Its URL, with everything declared and empty."""
    await broker.empty(disturbed_rabbitmq.url)
    return disturbed_rabbitmq.url


# -- consumption begins again with the same prefetch and as many consumers ---------------------------------------------


async def in_full_hand(url: str) -> None:
    """Waits until one consumer of each queue has all in hand that its prefetch allows, and no more."""
    async with asyncio.timeout(60), broker.opened(url) as channel:
        while True:
            found = [(await channel.declare_queue(name, passive=True)).declaration_result for name in QUEUES]
            if [(queue.message_count, queue.consumer_count) for queue in found] == [(10, 1), (10, 1)]:
                return
            await asyncio.sleep(0.05)


async def channel_closed(url: str, source: RabbitSource) -> None:
    """By an acknowledgement of what was never delivered (406)."""
    assert source._channel is not None
    await (await source._channel.get_underlay_channel()).basic_ack(99_999)


async def queues_deleted(url: str, source: RabbitSource) -> None:
    """The broker cancels the consumers. They come back with the queues; what was on those is gone, so it is sent again.

    Declared again at once, RabbitMQ 3.10 sometimes cancels nothing: see the tests of `test_source.py`.
    """
    before = source._link._channel
    async with broker.opened(url) as channel:
        for name in QUEUES:
            await channel.queue_delete(name)
    async with asyncio.timeout(60):
        while source._link._channel is before:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await topology.declare(url)
    await fill(url)


async def fill(url: str) -> None:
    count = PREFETCH_PER_WORKER + 10
    jobs = [make_job(number, job_class="transactional") for number in range(count)]
    async with Publisher(url) as publisher:
        await publisher.publish([*jobs, *(make_job(1000 + number, job_class="bulk") for number in range(count))])


@pytest.mark.parametrize("fault", [channel_closed, queues_deleted])
async def test_consumes_again_as_before(rabbit: str, fault: Fault) -> None:
    source = RabbitSource(rabbit, 1)
    running = asyncio.create_task(source.run())
    await fill(rabbit)
    await in_full_hand(rabbit)
    for _ in range(2):
        before = source._channel
        await fault(rabbit, source)
        async with asyncio.timeout(60):
            while source._channel is before:
                assert not running.done(), running
                await asyncio.sleep(0.02)
        await in_full_hand(rabbit)
    running.cancel()
    await source.close()


async def test_connections_that_the_broker_closes(disturbed_rabbitmq: Node[RabbitMQ], disturbed: str) -> None:
    """In the midst of work, twice: each mail is sent once, and it consumes as before."""
    jobs = make_jobs(400)
    async with working(disturbed) as works:
        publishing = asyncio.create_task(works.publish(*jobs))
        for count in (20, 150):
            await works.inbox.received(count)
            await broker.ctl(disturbed_rabbitmq, "close_all_connections", "a test")
        await publishing
        for job in jobs:
            await works.until(job, "sent")
        async with asyncio.timeout(60), broker.opened(disturbed) as channel:
            for name in QUEUES:
                while not (await channel.declare_queue(name, passive=True)).declaration_result.consumer_count:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
    assert set(works.inbox.ids.values()) == {1}


# -- a broker that takes nothing ---------------------------------------------------------------------------------------


async def test_a_memory_alarm_stops_what_is_published_and_nothing_else(
    disturbed_rabbitmq: Node[RabbitMQ], disturbed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than several heartbeats: what waits on the queues is sent meanwhile, the rest when the alarm is over."""
    monkeypatch.setattr(link, "HEARTBEAT", 1)
    early, late = make_jobs(30), [make_job(number) for number in range(100, 130)]
    async with working(disturbed) as works:
        works.inbox.hold = asyncio.Event()
        works.inbox.replies[early[0].to] = ["451 later"]
        await works.publish(*early)
        await works.inbox.reached.wait()
        await broker.ctl(disturbed_rabbitmq, "set_vm_memory_high_watermark", "absolute", "1MB")
        try:
            publishing = asyncio.create_task(works.publish(*late))
            works.inbox.hold.set()
            for job in early[1:]:
                async with asyncio.timeout(60):
                    while (row := await works.ledger.job(job.id)) is None or row.job.state != "sent":  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
            await asyncio.sleep(4.0)
            assert not publishing.done()
        finally:
            await broker.ctl(disturbed_rabbitmq, "set_vm_memory_high_watermark", "0.6")
        await asyncio.wait_for(publishing, 60)
        for job in (*early, *late):
            await works.until(job, "sent")
    assert set(works.inbox.ids.values()) == {1}
    assert len(works.inbox.ids) == 60


async def test_a_queue_that_is_full_takes_it_later(rabbit: str, caplog: pytest.LogCaptureFixture) -> None:
    """A publish that the broker refuses (nack) is kept and tried again until it is taken, and told once.

    On a classic queue, which refuses whatever is over its limit; a quorum queue begins to refuse some time later.
    """
    arguments: Arguments = {"x-queue-type": "classic", "x-overflow": "reject-publish", "x-max-length": 1}
    async with Publisher(rabbit) as publisher, broker.opened(rabbit) as channel:
        queue = await channel.declare_queue("test.full", durable=True, arguments=dict(arguments))
        try:
            await queue.bind(JOBS_EXCHANGE, "test.full")
            publishing = asyncio.create_task(
                publisher.deliver([Letter(JOBS_EXCHANGE, "test.full", str(number).encode(), {}) for number in range(3)])
            )
            async with asyncio.timeout(120):
                while "did not accept it" not in caplog.text:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert not publishing.done()
            found: set[bytes] = set()
            async with asyncio.timeout(120):
                while len(found) < 3:
                    if (message := await queue.get(fail=False)) is not None:
                        found.add(message.body)
                        await message.ack()
                    await asyncio.sleep(0.01)
            await asyncio.wait_for(publishing, 120)
        finally:
            await channel.queue_delete("test.full")
    assert len([record for record in caplog.records if "did not accept it" in record.message]) == 1
