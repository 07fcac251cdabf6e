"""Jobs that kill the process of who does them, on a real broker and a real store: dead after three, and the others are done."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from activity.claims import KILLS, KILLS_WORKER
from activity.jobs import Job
from activity.names import DEAD_QUEUE
from activity.outcomes import Dead, Unknown
from rabbit.publisher import Publisher
from store.ledger import LEASE_OVER
from store.opening import Store, open_store
from tests.processes import ROOT
from tests.rabbit import broker
from tests.rabbit.orders import make_job

GOOD = [make_job(number, task="good") for number in range(2, 42)]


async def until_settled(rabbit: str, store: Store, jobs: list[Job], process: asyncio.subprocess.Process) -> bool:
    """Whether all have ended and the dead letter is there; False if the process died before."""
    while process.returncode is None:
        counts = await store.jobs.counts()
        if counts["sent"] + counts["dead"] == len(jobs) and await broker.waiting(rabbit, DEAD_QUEUE):
            return True
        await asyncio.sleep(0.05)
    return False


async def survive(rabbit: str, url: str, jobs: list[Job]) -> list[int]:
    """Starts mailers, one after the other died, until all jobs have ended; how each of those ended."""
    ends: list[int] = []
    async with open_store(url) as store, asyncio.timeout(120):
        while True:
            command = [sys.executable, "-m", "tests.rabbit.poisoned", rabbit, url]
            process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
            try:
                if await until_settled(rabbit, store, jobs, process):
                    return ends
                ends.append(process.returncode or 0)
            finally:
                if process.returncode is None:
                    process.kill()
                await process.wait()


@pytest.mark.parametrize(("task", "in_doubt"), [("before", 0), ("after", KILLS)])
async def test_a_job_that_kills_three_processes_is_dead(rabbit: str, tmp_path: Path, task: str, in_doubt: int) -> None:
    poison, url = make_job(1, task=task), f"sqlite:///{tmp_path / 'chopar.db'}"
    jobs = [*GOOD[:20], poison, *GOOD[20:]]
    async with Publisher(rabbit) as publisher:
        await publisher.publish(jobs)
    assert await survive(rabbit, url, jobs) == [-signal.SIGKILL] * KILLS
    (message,) = await broker.drain(rabbit, DEAD_QUEUE, 1)
    assert (message.headers["chopar-job"], message.headers["chopar-reason"]) == (poison.id, KILLS_WORKER)
    async with open_store(url) as store:
        assert (await store.jobs.counts())["sent"] == len(GOOD)
        found = await store.jobs.job(poison.id)
        assert found is not None
        assert (found.job.state, found.job.reason, found.job.doubtful) == ("dead", KILLS_WORKER, in_doubt)
        outcomes = [attempt.outcome for attempt in found.attempts]
        assert outcomes[:-1] == [Unknown(LEASE_OVER)] * max(0, in_doubt - 1)
        assert isinstance(outcomes[-1], Dead)
        assert outcomes[-1].reason == KILLS_WORKER
