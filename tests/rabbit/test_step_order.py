"""First outside, confirmed, then the state, then the acknowledgement: who is killed in between leaves the job where it was."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from activity.claims import Claim, Later
from activity.names import JOB_HEADER, JOBS_EXCHANGE, TRANSACTIONAL_QUEUE
from rabbit import pool
from rabbit.letters import Letter
from rabbit.scheduler import LEASE, Scheduler
from tests.rabbit import broker
from tests.rabbit.fakes import FakeListener
from tests.rabbit.orders import make_job
from tests.rabbit.works import working
from tests.store.fakes import MemoryLedger


class Held:
    """An `Outbox` that keeps what it is given, and confirms it only once it may."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.reached = asyncio.Event()
        self.may = asyncio.Event()

    async def deliver(self, letters: Sequence[Letter]) -> None:
        self.reached.set()
        await self.may.wait()
        self.letters.extend(letters)


@pytest.mark.parametrize("reply", ["451 later", "550 no"])
async def test_a_job_is_on_its_queue_until_what_follows_is_safe(rabbit: str, reply: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job, held = make_job(), Held()
    async with working(rabbit) as works:
        works.inbox.replies[job.to] = [reply]
        await works.publish(job)
        monkeypatch.setattr(works.outbox, "deliver", held.deliver)
        await held.reached.wait()
        monkeypatch.setattr(pool, "FLUSH", 0.1)  # it waits for nothing that can't come any more
    assert held.letters == []
    async with asyncio.timeout(60):
        while await broker.waiting(rabbit, TRANSACTIONAL_QUEUE) != 1:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_job_is_in_the_store_until_it_is_on_its_queue() -> None:
    job, due = replace(make_job(), send_at=datetime.fromtimestamp(1000, UTC)), 1000.0
    ledger, held, now = MemoryLedger("resend"), Held(), [due]
    assert await ledger.claim([Claim(job, 1, "a", 60.0)], due - 1) == [Later(due)]
    killed, other = (Scheduler(ledger, held, FakeListener(), now=lambda: now[0]) for _ in range(2))
    publishing = asyncio.create_task(killed.publish_due())
    await held.reached.wait()
    publishing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await publishing
    assert held.letters == []
    now[0] += LEASE
    held.may.set()
    assert await other.publish_due() == 1, "its lease is over: another publishes it"
    assert [(letter.exchange, letter.headers[JOB_HEADER]) for letter in held.letters] == [(JOBS_EXCHANGE, job.id)]
    assert await other.publish_due() == 0
