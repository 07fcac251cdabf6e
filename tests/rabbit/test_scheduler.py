"""Jobs that wait for their time, on RabbitMQ and in memory alike; cancelled and moved ones; mailers that die at it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from activity.claims import Claim, Later
from activity.errors import Unreachable
from activity.jobs import Job
from activity.names import TRANSACTIONAL_QUEUE
from activity.outcomes import Dead, Outcome, Retry, Sent
from rabbit.letters import first_letter
from rabbit.publisher import Publisher
from rabbit.scheduler import LEASE, Scheduler
from rabbit.tasks import Permission
from store.opening import Store, open_store
from store.schedule import Due
from tests.rabbit import broker
from tests.rabbit.fakes import FakeListener
from tests.rabbit.orders import make_job, make_jobs
from tests.rabbit.works import Works, working


def timed(job: Job, seconds: float) -> Job:
    """Due in so many seconds."""
    return replace(job, send_at=datetime.now(UTC) + timedelta(seconds=seconds))


def scheduler(works: Works) -> Scheduler:
    return Scheduler(works.ledger, works.outbox, works.listener)


@asynccontextmanager
async def scheduling(works: Works) -> AsyncIterator[None]:
    """With a scheduler as a mailer has one."""
    task = asyncio.create_task(scheduler(works).run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_job_is_sent_when_it_is_due_and_not_before(url: str | None) -> None:
    now, later = make_job(1), timed(make_job(2), 3.0)
    async with working(url) as works, scheduling(works):
        await works.publish(later, now)
        await works.until(later, "scheduled")
        await works.until(now, "sent")
        assert list(works.inbox.ids) == [f"<{now.id}@shop.example>"]
        await works.until(later, "sent")
        assert time.time() >= (later.due or 0.0)
    assert set(works.inbox.ids.values()) == {1}
    assert works.listener.states(later.id) == ["scheduled", "waiting", "sending", "sent"]
    (told,) = [change.due for change in works.listener.changes if change.state == "scheduled"]
    assert told == later.due


async def test_what_is_past_is_sent_at_once(url: str | None) -> None:
    async with working(url) as works:
        await works.publish(timed(make_job(), -60.0))
        await works.until(make_job(), "sent")
    assert works.listener.states(make_job().id) == ["sending", "sent"]


async def test_a_job_put_away_takes_no_worker_and_no_connection(url: str | None) -> None:
    jobs = [timed(job, 3600.0) for job in make_jobs(50)]
    async with working(url) as works:
        await works.publish(*jobs, *jobs)
        for job in jobs:
            await works.until(job, "scheduled")
        await works.publish(make_job(1000))
        await works.until(make_job(1000), "sent")
        assert works.inbox.connections == 1
        assert len(await works.ledger.scheduled()) == 50
        if works.url is not None:
            assert await broker.waiting(works.url, TRANSACTIONAL_QUEUE) == 0


async def test_a_job_that_is_replayed_has_all_its_attempts_again(url: str | None) -> None:
    job = make_job()
    async with working(url, max_attempts=2) as works, scheduling(works):
        works.inbox.replies[job.to] = ["451 later"] * 3
        await works.publish(job)
        await works.until(job, "dead")
        assert works.ledger.reopen([job], time.time(), time.time(), new=False) is None
        await works.until(job, "sent")
    assert (await works.attempt(job))[0] == 4
    assert set(works.inbox.ids.values()) == {1}


async def test_a_crash_between_publish_and_mark_sends_once(url: str | None) -> None:
    """Whoever publishes it again after the lease makes a second message; the ledger gives the job out once."""
    job = timed(make_job(), 3600.0)
    async with working(url) as works:
        await works.publish(job)
        await works.until(job, "scheduled")
        now = time.time()
        assert await works.ledger.move(job.id, now - 2 * LEASE - 1, now) is None
        (due,) = await works.ledger.take("dead", now - LEASE, now - 2 * LEASE, 10)  # in the past: its lease is over by now
        await works.deliver(first_letter(job))
        assert await scheduler(works).publish_due() == 1
        assert due.id == job.id
        await works.until(job, "sent")
        await works.publish(make_job(2))
        await works.until(make_job(2), "sent")
    assert set(works.inbox.ids.values()) == {1}


async def test_a_cancelled_job_is_not_sent(url: str | None) -> None:
    scheduled, waiting, unheard = timed(make_job(1), 1.5), make_job(2), make_job(3)
    async with working(url) as works, scheduling(works):
        works.inbox.replies[waiting.to] = ["451 later"]
        await works.publish(scheduled, waiting)
        await works.until(scheduled, "scheduled")
        await works.until(waiting, "waiting")
        for job in (scheduled, waiting, unheard):
            assert await works.ledger.cancel(job.id, time.time()) is None
        await works.publish(unheard, timed(make_job(4), 2.5))
        await works.until(make_job(4), "sent")
        await works.pool.settled()
        assert {row.id: row.state for row in await works.ledger.jobs()} == {
            **{job.id: "cancelled" for job in (scheduled, waiting, unheard)},
            make_job(4).id: "sent",
        }
    assert list(works.inbox.ids) == [f"<{make_job(4).id}@shop.example>"]
    if works.url is not None:
        assert await broker.waiting(works.url, TRANSACTIONAL_QUEUE) == 0


async def test_a_job_that_is_being_sent_can_not_be_cancelled(url: str | None) -> None:
    job = make_job()
    async with working(url) as works:
        works.inbox.hold = asyncio.Event()
        await works.publish(job)
        await works.until_claimed(job)
        assert await works.ledger.cancel(job.id, time.time()) == "it is being sent"
        works.inbox.hold.set()
        await works.until(job, "sent")


async def test_a_job_cancelled_while_it_is_begun_is_broken_off(url: str | None) -> None:
    """Before its claim: nothing has left yet, and the claim says that it is over."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    granted: list[bool] = []

    async def slow(job: Job, permission: Permission) -> Outcome:
        begun.set()
        await go_on.wait()
        granted.append(await permission())
        return Sent()

    job = make_job(task="slow")
    async with working(url) as works:
        works.tasks.task("slow")(slow)
        await works.publish(job)
        await begun.wait()
        assert await works.ledger.cancel(job.id, time.time()) is None
        go_on.set()
        await works.publish(make_job(2))
        await works.until(make_job(2), "sent")
        await works.pool.settled()
    assert granted == [False]
    found = await works.ledger.job(job.id)
    assert found is not None
    assert (found.job.state, found.attempts) == ("cancelled", [])


async def test_a_moved_job_is_sent_at_its_new_time(url: str | None) -> None:
    sooner, later = timed(make_job(1), 3600.0), timed(make_job(2), 2.0)
    async with working(url) as works, scheduling(works):
        await works.publish(sooner, later)
        await works.until(sooner, "scheduled")
        await works.until(later, "scheduled")
        now = time.time()
        assert await works.ledger.move(later.id, now + 3600.0, now) is None
        assert await works.ledger.move(sooner.id, now + 2.5, now) is None
        await works.until(sooner, "sent")
        await works.publish(later)  # a repeat of the message, which says that it is due by now
        await works.publish(make_job(3))
        await works.until(make_job(3), "sent")
        await works.pool.settled()
    found = await works.ledger.job(later.id)
    assert found is not None
    assert (found.job.state, found.job.due) == ("scheduled", now + 3600.0)
    assert f"<{later.id}@shop.example>" not in works.inbox.ids


async def test_each_attempt_is_kept_with_its_time_and_the_servers_words(url: str | None) -> None:
    job = make_job()
    async with working(url) as works:
        works.inbox.replies[job.to] = ["451 4.3.0 not now", "452 4.2.2 mailbox full", "550 5.1.1 no such user"]
        await works.publish(job)
        await works.until(job, "dead")
        (headers,) = await works.dead(1)
    attempts = await works.ledger.attempts(job.id)
    outcomes = Retry("451 4.3.0 not now"), Retry("452 4.2.2 mailbox full"), Dead("refused", "550 5.1.1 no such user")
    assert [attempt.outcome for attempt in attempts] == list(outcomes)
    assert all(attempt.finished and attempt.started <= attempt.finished for attempt in attempts)
    assert [attempt.started for attempt in attempts] == sorted(attempt.started for attempt in attempts)
    assert (headers["chopar-reason"], headers["chopar-reply"]) == ("refused", "550 5.1.1 no such user")


async def test_while_the_store_is_away_the_scheduler_waits(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = timed(make_job(), 1.0)
    async with working(None) as works:
        await works.publish(job)
        await works.until(job, "scheduled")
        take, tried = works.ledger.take, asyncio.Semaphore(0)

        async def away(*_: object) -> list[object]:
            tried.release()
            raise Unreachable("CHOPAR_STORE_URL", "here", "no store", "start it")

        monkeypatch.setattr(works.ledger, "take", away)
        async with scheduling(works):
            for _ in range(3):
                await tried.acquire()
            monkeypatch.setattr(works.ledger, "take", take)
            await works.until(job, "sent")
    told = [record.message for record in caplog.records if "the store" in record.message]
    assert [word for text in told for word in ("is away", "is back") if word in text] == ["is away", "is back"]


async def test_what_another_version_put_away_is_left_to_who_can_read_it(url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    job = timed(make_job(), 3600.0)
    newer = Due(job.id, 1, first_letter(job).body.replace(b'"version":1', b'"version":2'), job.job_class, job.rule, job.user)
    async with working(url) as works:
        await works.publish(job)
        await works.until(job, "scheduled")

        async def take(*_: object) -> list[Due]:
            return [newer]

        monkeypatch.setattr(works.ledger, "take", take)
        assert await scheduler(works).publish_due() == 1
        (headers,) = await works.dead(1)
    assert (headers["chopar-reason"], headers["chopar-key"]) == ("unknown-version", job.key)


async def test_several_schedulers_publish_each_job_once(rabbit: str, tmp_path: Path) -> None:
    """One of them is cut off in the middle: what it had taken is published when its lease is over."""
    jobs = [timed(job, 3600.0) for job in make_jobs(500)]

    def at(seconds: float) -> float:
        return (jobs[-1].due or 0.0) + seconds

    async def publish(store: Store, clock: float) -> int:
        async with Publisher(rabbit) as publisher:
            mine = Scheduler(store.schedule, publisher, FakeListener(), now=lambda: clock)
            return sum([await mine.publish_due() for _ in range(6)])

    async with open_store(f"sqlite:///{tmp_path / 'chopar.db'}") as store:
        claims = [Claim(job, 1, "w", 0.0) for job in jobs]
        assert {type(got) for got in await store.ledger("resend").claim(claims, time.time())} == {Later}
        cut_off = await store.schedule.take("dead", at(30.0), at(0.0), 40)
        assert sum(await asyncio.gather(*(publish(store, at(1.0)) for _ in range(3)))) == 460
        assert await publish(store, at(29.0)) == 0
        assert await publish(store, at(30.0)) == len(cut_off) == 40
        assert (await store.jobs.counts())["waiting"] == 500
    async with asyncio.timeout(30):
        while (published := await broker.waiting(rabbit, TRANSACTIONAL_QUEUE)) < 500:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert published == 500
    messages = await broker.drain(rabbit, TRANSACTIONAL_QUEUE, 500)
    assert sorted(str(message.headers["chopar-job"]) for message in messages) == sorted(job.id for job in jobs)
