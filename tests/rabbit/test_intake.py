"""What lies on `email.dead` is in the store before it is acknowledged, once, whatever is away meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from activity.dead import DeadLetter
from activity.errors import Unreachable
from activity.names import DEAD_QUEUE
from brokers.node import Node
from brokers.rabbitmq import RabbitMQ
from rabbit import topology
from rabbit.intake import DeadIntake
from rabbit.letters import dead_letter
from rabbit.publisher import Publisher
from tests.rabbit import broker


class Kept:
    """A store that is away for the first `away` calls. A call after which it says so all the same has been committed."""

    def __init__(self, away: int = 0) -> None:
        self.letters: dict[str, DeadLetter] = {}
        self.away = away
        self.changed = asyncio.Event()

    async def take(self, letters: Sequence[DeadLetter]) -> None:
        self.letters |= {letter.id: letter for letter in letters}
        self.changed.set()
        if self.away:
            self.away -= 1
            raise Unreachable("CHOPAR_STORE_URL", "store", "away", "start it")

    async def has(self, count: int) -> None:
        """Waits until it has so many."""
        async with asyncio.timeout(60):
            while len(self.letters) < count or self.away:
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def taking(url: str, kept: Kept) -> AsyncIterator[None]:
    """An intake that runs."""
    intake = DeadIntake(url, kept)
    running = asyncio.create_task(intake.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await intake.close()


async def gone(url: str) -> None:
    """Waits until nothing is left on the queue, in hand neither."""
    async with asyncio.timeout(60):
        while await broker.waiting(url, DEAD_QUEUE):  # noqa: ASYNC110 - the broker counts
            await asyncio.sleep(0.05)


async def publish(url: str, first: int, count: int) -> None:
    """Dead letters of so many jobs."""
    async with Publisher(url) as publisher:
        numbers = range(first, first + count)
        await publisher.deliver([dead_letter(b"{}", "email.bulk.x", "spent", "", 1, f"j-{number}") for number in numbers])


async def test_all_are_kept_then_acknowledged(rabbit: str) -> None:
    kept = Kept(away=2)
    await publish(rabbit, 0, 450)
    async with taking(rabbit, kept):
        await kept.has(450)
        await publish(rabbit, 440, 20)
        await kept.has(460)
        await gone(rabbit)
    assert {letter.job for letter in kept.letters.values()} == {f"j-{number}" for number in range(460)}
    assert await broker.waiting(rabbit, DEAD_QUEUE) == 0


async def test_what_the_store_does_not_take_stays_on_its_queue(rabbit: str) -> None:
    kept = Kept(away=10**6)
    await publish(rabbit, 0, 3)
    async with taking(rabbit, kept):
        async with asyncio.timeout(60):
            while len(kept.letters) < 3:
                kept.changed.clear()
                await kept.changed.wait()
    assert len(await broker.drain(rabbit, DEAD_QUEUE, 3)) == 3


async def test_an_outage_of_rabbitmq_is_waited_out(private_rabbitmq: Node[RabbitMQ]) -> None:
    kept, url = Kept(), private_rabbitmq.url
    await topology.declare(url)
    async with taking(url, kept):
        await publish(url, 0, 5)
        await kept.has(5)
        await private_rabbitmq.kill()
        await private_rabbitmq.start()
        await publish(url, 5, 5)
        await kept.has(10)
        async with broker.opened(url) as channel:
            await channel.queue_delete(DEAD_QUEUE)
        await topology.declare(url)
        await publish(url, 10, 5)
        await kept.has(15)
        await gone(url)
