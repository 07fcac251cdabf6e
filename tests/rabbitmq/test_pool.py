"""A pool of workers: all consume the same queue, which fans the jobs out to them, and all publish into one results queue,
where the results come together again (fan-in). To make it faster, start another worker; if one dies, its jobs go to the
others. Results come in the order in which they are done, so each carries the id of its job. Chopar's mailer is such a
pool, and its results are rows of the send ledger.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from aio_pika import Message
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue

from chopar.lab.rabbit import PATIENCE, Lab

Work = Callable[[int], Awaitable[int]]
JOBS = range(1, 21)


async def test_four_workers_do_twenty_jobs(lab: Lab) -> None:
    """Twenty numbers are to be squared by four workers. None finishes its first job before each has one, so all four take
    part; at the end there is one result for each job, whoever did it."""
    jobs, results = await lab.queue("jobs"), await lab.queue("results")
    await _order(lab, jobs)
    everybody_has_one = asyncio.Barrier(4)
    began: set[str] = set()

    def squarer(name: str) -> Work:
        async def square(number: int) -> int:
            if name not in began:
                began.add(name)
                await everybody_has_one.wait()
            return number**2

        return square

    async with AsyncExitStack() as pool:
        for name in ["ann", "ben", "cleo", "dan"]:
            await pool.enter_async_context(_worker(lab, name, squarer(name), jobs, results))
        done = await lab.take(results, 20)

    assert _squares(done) == {f"job-{number}": number**2 for number in JOBS}
    assert {message.headers["worker"] for message in done} == {"ann", "ben", "cleo", "dan"}


async def test_a_dead_workers_job_is_done_by_another(lab: Lab) -> None:
    """Three workers; one dies with a job in hand. The job goes back into the queue and to one of the two others: twenty
    results, none missing."""
    jobs, results = await lab.queue("jobs"), await lab.queue("results")
    in_the_midst = asyncio.Event()

    async def never_ends(number: int) -> int:
        in_the_midst.set()
        return await asyncio.Future[int]()

    async def square(number: int) -> int:
        return number**2

    await _order(lab, jobs)
    async with _worker(lab, "unlucky", never_ends, jobs, results):
        await asyncio.wait_for(in_the_midst.wait(), PATIENCE)
    async with _worker(lab, "ann", square, jobs, results), _worker(lab, "ben", square, jobs, results):
        done = await lab.take(results, 20)

    assert _squares(done) == {f"job-{number}": number**2 for number in JOBS}
    assert "unlucky" not in {message.headers["worker"] for message in done}


async def test_results_come_as_they_are_done(lab: Lab) -> None:
    """Of five workers the one with job 1 is slow: it ends only when all others are done. Its result comes last; by its
    id it is still known whose it is."""
    jobs, results = await lab.queue("jobs"), await lab.queue("results")
    others_are_done = asyncio.Event()

    async def square(number: int) -> int:
        if number == 1:
            await asyncio.wait_for(others_are_done.wait(), PATIENCE)
        return number**2

    await _order(lab, jobs)
    async with AsyncExitStack() as pool:
        for name in ["ann", "ben", "cleo", "dan", "eve"]:
            await pool.enter_async_context(_worker(lab, name, square, jobs, results))
        done = await lab.take(results, 19)
        others_are_done.set()
        done += await lab.take(results, 1)

    assert done[-1].correlation_id == "job-1"
    assert _squares(done) == {f"job-{number}": number**2 for number in JOBS}


@asynccontextmanager
async def _worker(lab: Lab, name: str, work: Work, jobs: AbstractQueue, results: AbstractQueue) -> AsyncIterator[None]:
    """One worker on its own connection: does a job, publishes the result and waits for the confirm, then acknowledges."""
    async with lab.consumer(prefetch=1) as channel:

        async def do(job: AbstractIncomingMessage) -> None:
            answer = await work(int(job.body))
            result = Message(str(answer).encode(), correlation_id=job.correlation_id, headers={"worker": name})
            await channel.default_exchange.publish(result, routing_key=results.name)
            await job.ack()

        await (await channel.get_queue(jobs.name)).consume(do)
        yield


async def _order(lab: Lab, jobs: AbstractQueue) -> None:
    for number in JOBS:
        job = Message(str(number).encode(), correlation_id=f"job-{number}")
        await lab.channel.default_exchange.publish(job, routing_key=jobs.name)


def _squares(done: list[AbstractIncomingMessage]) -> dict[str, int]:
    """What came for each job; one result for each."""
    assert set(Counter(message.correlation_id for message in done).values()) == {1}
    return {str(message.correlation_id): int(message.body) for message in done}
