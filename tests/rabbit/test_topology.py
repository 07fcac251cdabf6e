"""What stands on the broker, on a real one."""

import asyncio

import pytest

from activity.errors import Mismatch, Unreachable
from activity.names import (
    BULK_QUEUE,
    CONTROL_EXCHANGE,
    DEAD_EXCHANGE,
    DEAD_QUEUE,
    JOBS_EXCHANGE,
    LIFECYCLE_EXCHANGE,
    RETRY_EXCHANGE,
    TRANSACTIONAL_QUEUE,
    delay_queue,
)
from rabbit import topology
from rabbit.letters import dead_letter, delayed_letter, first_letter
from rabbit.publisher import Publisher
from tests.rabbit import broker
from tests.rabbit.orders import make_job


async def test_declaring_again_and_twice_at_once_changes_nothing(rabbit: str) -> None:
    await asyncio.gather(topology.declare(rabbit), topology.declare(rabbit))
    await topology.declare(rabbit)
    await topology.verify(rabbit)


async def test_the_names_are_those_of_the_contract() -> None:
    assert set(topology.EXCHANGES) == {JOBS_EXCHANGE, RETRY_EXCHANGE, DEAD_EXCHANGE, LIFECYCLE_EXCHANGE, CONTROL_EXCHANGE}
    delays = {delay_queue(2**power) for power in range(13)}
    assert {queue.name for queue in topology.QUEUES} == {TRANSACTIONAL_QUEUE, BULK_QUEUE, DEAD_QUEUE} | delays


async def test_a_job_goes_to_the_queue_of_its_class(rabbit: str) -> None:
    async with Publisher(rabbit) as publisher:
        await publisher.publish([make_job(1), make_job(2, job_class="bulk")])
    assert [m.headers["chopar-job"] for m in await broker.drain(rabbit, TRANSACTIONAL_QUEUE, 1)] == [make_job(1).id]
    assert [m.headers["chopar-job"] for m in await broker.drain(rabbit, BULK_QUEUE, 1)] == [make_job(2).id]


async def test_a_delayed_job_comes_back_with_its_own_routing_key_and_attempt(rabbit: str) -> None:
    job = make_job(3, job_class="bulk")
    async with Publisher(rabbit) as publisher:
        await publisher.deliver([delayed_letter(job, b"x", 4, 1)])
        assert await broker.waiting(rabbit, BULK_QUEUE) == 0
        (message,) = await broker.drain(rabbit, BULK_QUEUE, 1)
    assert (message.routing_key, message.headers["chopar-attempt"], message.body) == ("email.bulk.welcome", 4, b"x")


@pytest.mark.parametrize("seconds", [2**power for power in range(13)])
async def test_each_delay_has_its_queue(rabbit: str, seconds: int) -> None:
    async with Publisher(rabbit) as publisher:
        await publisher.deliver([delayed_letter(make_job(), b"x", 2, seconds)])
    (message,) = await broker.drain(rabbit, delay_queue(seconds) if seconds > 1 else TRANSACTIONAL_QUEUE, 1)
    assert message.headers["chopar-delay"] == seconds


async def test_a_dead_letter_is_kept_as_it_was_with_its_reason(rabbit: str) -> None:
    async with Publisher(rabbit) as publisher:
        await publisher.deliver([dead_letter(b"\xff", "email.bulk.x", "not-json", "no", 1)])
    (message,) = await broker.drain(rabbit, DEAD_QUEUE, 1)
    assert message.body == b"\xff"
    assert (message.headers["chopar-reason"], message.headers["chopar-reply"]) == ("not-json", "no")
    assert message.headers["chopar-key"] == "email.bulk.x"


async def test_a_job_that_kills_every_worker_ends_among_the_dead(rabbit: str) -> None:
    letter = first_letter(make_job())
    async with Publisher(rabbit) as publisher:
        await publisher.deliver([letter])
    async with broker.opened(rabbit) as channel:
        queue = await channel.get_queue(TRANSACTIONAL_QUEUE)
        for _ in range(topology.DELIVERY_LIMIT + 1):
            message = await queue.get(timeout=30, fail=False)
            while message is None:
                message = await queue.get(timeout=30, fail=False)
            await message.nack(requeue=True)
    (message,) = await broker.drain(rabbit, DEAD_QUEUE, 1)
    assert message.body == letter.body


async def test_a_queue_with_other_arguments_is_refused_by_name(rabbit: str) -> None:
    async with broker.opened(rabbit) as channel:
        await channel.queue_delete(BULK_QUEUE)
        await channel.declare_queue(BULK_QUEUE, durable=True, arguments={**topology.QUEUES[1].arguments, "x-delivery-limit": 3})
        try:
            with pytest.raises(Mismatch, match=r"queue email\.bulk .*x-delivery-limit is .*3.*needed is .*100.*delete_queue"):
                await topology.declare(rabbit)
        finally:
            await channel.queue_delete(BULK_QUEUE)
    await topology.declare(rabbit)


async def test_an_exchange_of_another_type_is_refused_by_name(rabbit: str) -> None:
    async with broker.opened(rabbit) as channel:
        await channel.exchange_delete(LIFECYCLE_EXCHANGE)
        await channel.declare_exchange(LIFECYCLE_EXCHANGE, "topic", durable=True)
        try:
            with pytest.raises(Mismatch, match=r"exchange chopar\.lifecycle .*type is 'topic', needed is 'fanout'"):
                await topology.declare(rabbit)
        finally:
            await channel.exchange_delete(LIFECYCLE_EXCHANGE)
    await topology.declare(rabbit)


async def test_a_worker_finds_what_is_missing_and_declares_nothing(rabbit: str) -> None:
    async with broker.opened(rabbit) as channel:
        await channel.queue_delete(BULK_QUEUE)
    for _ in range(2):
        with pytest.raises(Mismatch, match=r"queue email\.bulk is missing; a notifier or mailer declares it"):
            await topology.verify(rabbit)
    await topology.declare(rabbit)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("guest:guest", "guest:wrong"), "user name or password refused"),
        (("/", "/nowhere"), "virtual host"),
    ],
)
async def test_a_wrong_url_is_told_in_one_line_without_the_password(rabbit_url: str, change: tuple[str, str], text: str) -> None:
    base = rabbit_url.rstrip("/") + "/"
    url = base.replace(*change) if change[0] != "/" else base + "nowhere"
    with pytest.raises(Unreachable, match=text) as caught:
        await topology.verify(url)
    assert "CHOPAR_RABBIT_URL" in str(caught.value)
    assert "wrong" not in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_no_broker_is_told_in_one_line() -> None:
    with pytest.raises(Unreachable, match=r"CHOPAR_RABBIT_URL: no answer from 127\.0\.0\.1:1 "):
        await topology.verify("amqp://guest:guest@127.0.0.1:1/")
