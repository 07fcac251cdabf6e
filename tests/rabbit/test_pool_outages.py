"""A pool whose far ends go away, and one that is stopped."""

import asyncio
import itertools
import logging
import time

import pytest
from msgspec.structs import replace

from activity.claims import Claim
from activity.errors import Unreachable
from activity.jobs import Job
from activity.names import DEAD_QUEUE, LOST_HEADER, TRANSACTIONAL_QUEUE, delay_queue
from activity.outcomes import Dead, Outcome, Retry, Sent, Unknown
from rabbit import topology
from rabbit.circuit import THRESHOLD
from rabbit.consequences import SHORT
from rabbit.letters import first_letter
from rabbit.tasks import Permission
from store.ledger import Settlement
from tests.rabbit import broker
from tests.rabbit.crowded import Crowded
from tests.rabbit.orders import make_job, make_jobs
from tests.rabbit.works import working


async def test_the_circuit_opens_and_closes_and_burns_no_attempt(url: str | None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    jobs = make_jobs(30)
    async with working(url) as works:
        await works.inbox.stop()
        await works.publish(*jobs)
        async with asyncio.timeout(60):
            while "mail server is away" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await works.inbox.start()
        for job in jobs:
            await works.until(job, "sent")
    assert {(await works.attempt(job))[0] for job in jobs} == {1}
    assert set(works.inbox.ids.values()) == {1}
    told = [record.message for record in caplog.records if "mail server" in record.message]
    assert len(told) == 2, told
    assert "is back after" in told[1]


async def test_jobs_that_came_back_burn_no_attempt_either(url: str | None, caplog: pytest.LogCaptureFixture) -> None:
    """Their mailer was killed, and the next one finds the mail server away: each is noted down as begun, and killed nobody."""
    jobs = make_jobs(30)
    letters = [replace(letter := first_letter(job), headers={**letter.headers, LOST_HEADER: 1}) for job in jobs]
    async with working(url, max_attempts=1) as works:
        await works.inbox.stop()
        await works.deliver(*letters)
        async with asyncio.timeout(60):
            while "mail server is away" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await works.inbox.start()
        for job in jobs:
            await works.until(job, "sent")
        rows = await works.ledger.jobs(limit=100)
    assert {(row.attempt, row.suspected) for row in rows} == {(1, 0)}


async def test_a_server_that_takes_fewer_connections_slows_the_pool_and_burns_no_attempt() -> None:
    jobs = make_jobs(200)
    server = Crowded()
    async with working(None, server=server) as works:
        await works.publish(*jobs)
        for job in jobs:
            await works.until(job, "sent")
        assert {(await works.attempt(job))[0] for job in jobs} == {1}
    assert set(server.ids.values()) == {1}
    assert len(server.ids) == 200
    assert server.turned_away <= 4, "one for each worker at most, not one for each job"


async def test_while_the_store_is_away_nothing_is_sent_and_nothing_lost(
    url: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = make_jobs(30)
    async with working(url) as works:
        claim, tried = works.ledger.claim, asyncio.Event()

        async def away(*_: object) -> list[object]:
            tried.set()
            raise Unreachable("CHOPAR_STORE_URL", "here", "no store", "start it")

        monkeypatch.setattr(works.ledger, "claim", away)
        await works.publish(*jobs)
        await tried.wait()
        assert works.inbox.mails == []
        monkeypatch.setattr(works.ledger, "claim", claim)
        for job in jobs:
            await works.until(job, "sent")
    assert set(works.inbox.ids.values()) == {1}
    assert {(await works.attempt(job))[0] for job in jobs} == {1}
    assert len([record for record in caplog.records if "the store is away" in record.message]) == 1
    assert len([record for record in caplog.records if "the store is back" in record.message]) == 1


async def test_a_repeat_that_waits_for_a_crashed_mailers_lease_does_not_count(url: str | None) -> None:
    job = make_job()
    async with working(url, timeout=2.0) as works:
        now = time.time()
        await works.ledger.claim([Claim(job, 1, "dead", now + 1.5)], now)
        await works.publish(job)
        await works.until(job, "sent")
    assert (await works.attempt(job))[0] == 2
    assert works.inbox.ids == {f"<{job.id}@shop.example>": 1}


async def test_what_a_crash_left_unpublished_is_published_again(url: str | None) -> None:
    retried, died = make_job(1), make_job(2)
    async with working(url) as works:
        for job, outcome in ((retried, Retry("451")), (died, Dead("refused", "550"))):
            assert await works.ledger.settle([Settlement(job, 1, "dead", 0.0, outcome)], 0.0) == [True]
        await works.publish(retried, died)
        await works.until(retried, "sent")
        (headers,) = await works.dead(1)
    assert (headers["chopar-job"], headers["chopar-reason"]) == (died.id, "refused")
    assert (await works.attempt(retried))[0] == 2
    assert list(works.inbox.ids) == [f"<{retried.id}@shop.example>"]


async def test_stopping_finishes_what_is_being_sent_and_leaves_the_rest(rabbit: str) -> None:
    jobs = make_jobs(200)
    async with working(rabbit) as works:
        works.inbox.hold = asyncio.Event()
        await works.publish(*jobs)
        await works.inbox.reached.wait()
        stopping = asyncio.create_task(works.pool.stop())
        await asyncio.sleep(0)
        works.inbox.hold.set()
        await stopping
        first = set(works.inbox.ids)
        assert 1 <= len(first) <= 4
        assert {row.state for row in await works.ledger.jobs(limit=1000)} == {"sent"}
    async with working(rabbit) as again:
        await again.inbox.received(200 - len(first))
        for job in jobs:
            if f"<{job.id}@shop.example>" not in first:
                await again.until(job, "sent")
    assert len(first | set(again.inbox.ids)) == 200
    assert not first & set(again.inbox.ids)


async def test_stopping_breaks_off_what_takes_too_long(rabbit: str) -> None:
    job = make_job()
    async with working(rabbit, timeout=1.0) as works:
        works.inbox.hold = asyncio.Event()
        await works.publish(job)
        await works.inbox.reached.wait()
        await works.pool.stop()
        works.inbox.hold.set()
    assert isinstance((await works.attempt(job))[1], Unknown)


async def test_while_the_store_is_away_no_more_attempts_are_burnt_than_are_under_way(
    url: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = make_jobs(30)
    async with working(url, timeout=0.5, max_attempts=100) as works:
        claim, settle, failures = works.ledger.claim, works.ledger.settle, asyncio.Semaphore(0)

        async def away(*_: object) -> list[object]:
            failures.release()
            raise Unreachable("CHOPAR_STORE_URL", "here", "no store", "start it")

        monkeypatch.setattr(works.ledger, "claim", away)
        monkeypatch.setattr(works.ledger, "settle", away)
        await works.publish(*jobs)
        await failures.acquire()
        await asyncio.sleep(2.0)  # several times as long as an attempt may take
        monkeypatch.setattr(works.ledger, "claim", claim)
        monkeypatch.setattr(works.ledger, "settle", settle)
        for job in jobs:
            await works.until(job, "sent")
        burnt = [job for job in jobs if len(await works.ledger.attempts(job.id)) > 1]
    assert len(burnt) <= 4
    assert len([record for record in caplog.records if "the store is" in record.message]) == 2


async def test_what_is_in_hand_when_the_circuit_opens_is_put_off(rabbit: str) -> None:
    """By way of a delay queue, so that neither an attempt nor one of the broker's deliveries is used up."""
    jobs = [make_job(number, task="flaky") for number in range(40)]
    calls, in_hand, release = itertools.count(1), asyncio.Event(), asyncio.Event()

    async def flaky(job: Job, permission: Permission) -> Outcome:
        if next(calls) <= THRESHOLD:
            await in_hand.wait()
            return Retry("away", burn=False)
        await release.wait()
        await permission()
        return Sent()

    async with working(rabbit) as works:
        works.tasks.task("flaky")(flaky)
        await works.inbox.stop()  # what the probe looks at
        await works.publish(*jobs)
        async with asyncio.timeout(60):
            while await broker.waiting(rabbit, TRANSACTIONAL_QUEUE):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            in_hand.set()
            while await broker.waiting(rabbit, delay_queue(int(SHORT))) < 30:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        release.set()
        await works.inbox.start()
        for job in jobs:
            await works.until(job, "sent")
        assert {(await works.attempt(job))[0] for job in jobs} == {1}


async def test_a_dead_letter_without_a_queue_holds_up_nobody_else(rabbit: str) -> None:
    bad, good = make_job(1), [make_job(number) for number in range(2, 60)]
    async with working(rabbit) as works:
        async with broker.opened(rabbit) as channel:
            await channel.queue_delete(DEAD_QUEUE)
        works.inbox.replies[bad.to] = ["550 no"]
        await works.publish(bad)
        async with asyncio.timeout(60):
            while not await works.ledger.jobs(state="dead"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await works.publish(*good)
        await works.inbox.received(len(good))
        async with asyncio.timeout(60):
            while len(await works.ledger.jobs(state="sent")) < len(good):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await topology.declare(rabbit)
        (headers,) = await works.dead(1)
        assert headers["chopar-job"] == bad.id
        await works.pool.settled()
