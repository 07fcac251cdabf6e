"""A pool that is paused, resized and slowed down while it works."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from activity.jobs import Job
from activity.names import BULK_QUEUE, TRANSACTIONAL_QUEUE
from activity.outcomes import Outcome, Retry, Sent
from activity.refusals import PATIENCE
from rabbit.consumer import PREFETCH_PER_WORKER
from rabbit.tasks import Permission
from tests.rabbit import broker
from tests.rabbit.orders import make_job
from tests.rabbit.works import Works, working


class Desk:
    """A task that goes on when it is let; it counts who is at it."""

    def __init__(self) -> None:
        self.at_it = 0
        self.most = 0
        self.done = 0
        self.let = asyncio.Semaphore(0)

    async def __call__(self, job: Job, permission: Permission) -> Outcome:
        self.at_it += 1
        self.most = max(self.most, self.at_it)
        await self.let.acquire()
        await permission()
        self.at_it -= 1
        self.done += 1
        return Sent()

    def go_on(self, count: int) -> None:
        for _ in range(count):
            self.let.release()


@asynccontextmanager
async def at_a_desk(url: str | None) -> AsyncIterator[tuple[Works, Desk]]:
    async with working(url) as works:
        desk = Desk()
        works.tasks.task("desk")(desk)
        try:
            yield works, desk
        finally:
            desk.go_on(1000)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - the test's own counters have no event
            await asyncio.sleep(0.01)


async def quiet(true: Callable[[], bool]) -> None:
    """It is so now, and stays so for a while."""
    await until(true)
    await asyncio.sleep(0.2)
    assert true()


async def test_it_works_with_as_many_as_it_is_told_to(url: str | None) -> None:
    async with at_a_desk(url) as (works, desk):
        await works.publish(*(make_job(number, task="desk") for number in range(40)))
        await quiet(lambda: desk.at_it == 4)
        await works.pool.resize(7)
        await quiet(lambda: desk.at_it == 7)
        await works.pool.resize(2)
        assert (works.pool.status().workers, works.pool.status().busy) == (2, 7)
        desk.go_on(7)
        await quiet(lambda: desk.done == 7 and desk.at_it == 2)
        await works.pool.resize(1)
        await works.pool.resize(3)
        await quiet(lambda: desk.at_it == 3)
        desk.go_on(100)
        await until(lambda: desk.done == 40)
        await works.pool.settled()
        assert {row.state for row in await works.ledger.jobs(limit=100)} == {"sent"}


async def test_idle_workers_that_are_too_many_go_and_new_ones_come(url: str | None) -> None:
    async with at_a_desk(url) as (works, desk):
        for workers in (1, 6, 1, 5):
            await works.pool.resize(workers)
        await works.publish(*(make_job(number, task="desk") for number in range(20)))
        await quiet(lambda: desk.at_it == 5)
        assert desk.most == 5


async def test_the_one_worker_takes_bulk_jobs_as_well_and_with_two_one_does_not(url: str | None) -> None:
    async with at_a_desk(url) as (works, desk):
        await works.pool.resize(1)
        await works.publish(*(make_job(number, task="desk", job_class="bulk") for number in range(10)))
        await quiet(lambda: desk.at_it == 1)
        await works.pool.resize(2)
        await quiet(lambda: desk.at_it in (1, 2))
        desk.go_on(3)
        await quiet(lambda: desk.done == 3 and desk.at_it == 1)
        await works.publish(make_job(100, task="desk"))
        await quiet(lambda: desk.at_it == 2)


async def test_while_it_is_paused_nothing_begins_and_nothing_is_lost(url: str | None) -> None:
    jobs = [make_job(number, task="desk") for number in range(30)]
    async with at_a_desk(url) as (works, desk):
        await works.publish(*jobs)
        await quiet(lambda: desk.at_it == 4)
        await works.pool.pause()
        await works.pool.pause()
        desk.go_on(1000)
        await quiet(lambda: desk.at_it == 0)
        assert desk.done == 4, "what was under way is finished, and that is all"
        assert works.pool.status().state == "paused"
        await works.pool.resume()
        await until(lambda: desk.done == 30)
        for job in jobs:
            await works.until(job, "sent")
            assert (await works.attempt(job))[0] == 1


async def test_a_pause_outlasts_an_outage_of_the_mail_server(url: str | None) -> None:
    async with working(url) as works:
        await works.inbox.stop()
        await works.publish(*(make_job(number) for number in range(5)))
        await until(lambda: works.pool.status().away_since is not None)
        assert works.pool.status().state == "waits for the mail server"
        await works.pool.pause()
        await works.inbox.start()
        await until(lambda: works.pool.status().away_since is None)
        await quiet(lambda: works.inbox.mails == [])
        await works.pool.resume()
        await works.inbox.received(5)


async def test_a_larger_pool_has_more_in_hand(rabbit: str) -> None:
    async with at_a_desk(rabbit) as (works, desk):
        await works.pool.resize(8)
        await works.publish(*(make_job(number, task="desk") for number in range(8 * PREFETCH_PER_WORKER + 10)))
        await until(lambda: desk.at_it == 8)
        async with asyncio.timeout(60):
            while await broker.waiting(rabbit, TRANSACTIONAL_QUEUE) != 10:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        async with broker.opened(rabbit) as channel:
            for name in (TRANSACTIONAL_QUEUE, BULK_QUEUE):
                queue = await channel.declare_queue(name, passive=True)
                assert queue.declaration_result.consumer_count == 1


@pytest.fixture
def crowded() -> Callable[[int], Callable[[Job, Permission], Awaitable[Outcome]]]:
    """A far end that takes only so many at once."""

    def make(bears: int) -> Callable[[Job, Permission], Awaitable[Outcome]]:
        here: set[str] = set()

        async def task(job: Job, permission: Permission) -> Outcome:
            if len(here) >= bears:
                return Retry("421 too many connections", after=1.0, burn=False, slow=True, kind="busy")
            here.add(job.id)
            await asyncio.sleep(0.02)
            await permission()
            here.discard(job.id)
            return Sent()

        return task

    return make


async def test_a_far_end_with_too_much_to_do_gets_less_at_once_and_burns_no_attempt(
    url: str | None, crowded: Callable[[int], Callable[[Job, Permission], Awaitable[Outcome]]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "rabbit")
    jobs = [make_job(number, task="crowded") for number in range(60)]
    async with working(url, calm=2.0) as works:
        works.tasks.task("crowded")(crowded(2))
        await works.publish(*jobs)
        await until(lambda: works.pool.status().at_most == 2)
        assert works.pool.status().state == "slowed down"
        for job in jobs:
            await works.until(job, "sent")
        assert {(await works.attempt(job))[0] for job in jobs} == {1}
        await until(lambda: works.pool.status().at_most == 4)
    told = [record.message for record in caplog.records if "at once" in record.message]
    assert told[0] == "the mail server has too much to do; it gets fewer mails at once for a while"
    assert told[-1] == "the mail server gets as many mails at once as before"


async def test_one_that_bears_not_even_one_opens_the_circuit(url: str | None, caplog: pytest.LogCaptureFixture) -> None:
    async def full(job: Job, permission: Permission) -> Outcome:
        return Retry("421", after=1.0, burn=False, slow=True, kind="busy")

    async with working(url) as works:
        works.tasks.task("full")(full)
        await works.publish(*(make_job(number, task="full") for number in range(40)))
        await until(lambda: "the mail server is away" in caplog.text)
        assert works.pool.status().at_most == 1


async def test_one_job_that_always_gets_421_comes_to_an_end_and_slows_nobody_for_good() -> None:
    bad, others = make_job(1), itertools.count(2)
    async with working(None, max_attempts=3, calm=0.5) as works:
        works.inbox.when = "RCPT"
        works.inbox.replies[bad.to] = ["421 4.7.0 try again later"] * 1000
        await works.publish(bad)
        while (found := await works.ledger.job(bad.id)) is None or found.job.state != "dead":
            good = make_job(next(others))
            await works.publish(good)
            await works.until(good, "sent")
        await works.publish(*(make_job(next(others)) for _ in range(20)))
        await until(lambda: works.pool.status().at_most == 4)
        (headers,) = await works.dead(1)
    assert (headers["chopar-reason"], headers["chopar-attempt"]) == ("spent", 3)
    assert len(works.inbox.replies[bad.to]) == 1000 - PATIENCE - 3
    assert {row.attempt for row in await works.ledger.jobs(state="sent", limit=10_000)} == {1}


async def test_a_421_of_the_mail_server_burns_no_attempt(url: str | None) -> None:
    job = make_job()
    async with working(url) as works:
        works.inbox.when = "RCPT"
        works.inbox.replies[job.to] = ["421 4.7.0 too many connections"] * 2
        await works.publish(job)
        await works.until(job, "sent")
        assert works.pool.status().at_most < 4
    assert (await works.attempt(job))[0] == 1
