"""What comes of jobs, on RabbitMQ and in memory alike."""

import asyncio

import pytest

from activity.jobs import Job
from activity.names import JOBS_EXCHANGE
from activity.outcomes import Dead, Outcome, Retry, Sent, Unknown
from rabbit.letters import Letter, delayed_letter, first_letter
from rabbit.tasks import Permission
from tests.rabbit.orders import make_job, make_jobs
from tests.rabbit.works import working


async def test_each_job_is_sent_once_and_settled(url: str | None) -> None:
    jobs = make_jobs(100)
    async with working(url) as works:
        await works.publish(*jobs)
        await works.inbox.received(100)
        for job in jobs:
            await works.until(job, "sent")
    assert works.inbox.ids == {f"<{job.id}@shop.example>": 1 for job in jobs}
    assert works.listener.states(jobs[0].id) == ["sending", "sent"]
    assert works.inbox.connections <= 4


async def test_repeats_of_a_job_are_sent_once(url: str | None) -> None:
    jobs = make_jobs(20)
    async with working(url) as works:
        await works.publish(*jobs, *jobs, *jobs)
        for job in jobs:
            await works.until(job, "sent")
        await works.publish(*jobs)
        await works.publish(make_job(1000))
        await works.until(make_job(1000), "sent")
    assert set(works.inbox.ids.values()) == {1}
    assert len(works.inbox.ids) == 21
    assert all(row.repeats for row in await works.ledger.jobs() if row.id != make_job(1000).id)


async def test_a_refusal_for_now_is_tried_again_later(url: str | None) -> None:
    job = make_job()
    async with working(url) as works:
        works.inbox.replies[job.to] = ["451 later", "452 later"]
        await works.publish(job)
        await works.until(job, "sent")
    assert (await works.attempt(job))[0] == 3
    assert works.listener.states(job.id) == ["sending", "waiting", "sending", "waiting", "sending", "sent"]


async def test_a_refusal_for_good_is_dead_at_once(url: str | None) -> None:
    job = make_job()
    async with working(url) as works:
        works.inbox.replies[job.to] = ["550 5.1.1 no such user"]
        await works.publish(job)
        await works.until(job, "dead")
        (headers,) = await works.dead(1)
    assert (await works.attempt(job))[1] == Dead("refused", "550 5.1.1 no such user")
    assert (headers["chopar-reason"], headers["chopar-job"], headers["chopar-attempt"]) == ("refused", job.id, 1)


async def test_an_attempt_too_many_is_dead_as_spent(url: str | None) -> None:
    job = make_job()
    async with working(url, max_attempts=2) as works:
        works.inbox.replies["*"] = ["451 later"]
        await works.publish(job)
        await works.until(job, "dead")
        (headers,) = await works.dead(1)
    assert (headers["chopar-reason"], headers["chopar-attempt"]) == ("spent", 2)
    assert (await works.attempt(job))[1] == Dead("spent", "451 later")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff\xfe", "not-json"),
        (b"{", "not-json"),
        (b"[]", "bad-job"),
        (b'{"id": "1"}', "bad-job"),
        (first_letter(make_job()).body.replace(b'"version":1', b'"version":2'), "unknown-version"),
    ],
)
async def test_what_is_no_job_is_dead_with_its_reason(url: str | None, body: bytes, reason: str) -> None:
    async with working(url) as works:
        await works.deliver(Letter(JOBS_EXCHANGE, "email.transactional.x", body, {"chopar-attempt": 1}))
        (headers,) = await works.dead(1)
        await works.publish(make_job())
        await works.until(make_job(), "sent")
    assert (headers["chopar-reason"], headers["chopar-key"]) == (reason, "email.transactional.x")


async def test_an_unknown_task_is_dead(url: str | None) -> None:
    job = make_job(task="fax")
    async with working(url) as works:
        await works.publish(job)
        await works.until(job, "dead")
        (headers,) = await works.dead(1)
    assert headers["chopar-reason"] == "unknown-task"


@pytest.mark.parametrize("to", ["", "nobody", "a@b\r\nBcc: c@d", "a@b, c@d", "ann <a@b> <c@d>", "a b@c"])
async def test_a_bad_address_is_dead_and_reaches_no_server(to: str) -> None:
    job = make_job(to=to or " ")
    async with working(None) as works:
        await works.publish(job)
        await works.until(job, "dead")
    assert works.inbox.connections == 0


@pytest.mark.parametrize("reply", ["drop", "drop-after"])
async def test_lost_after_the_last_byte_is_sent_again_with_the_same_id(url: str | None, reply: str) -> None:
    job = make_job()
    async with working(url, "resend") as works:
        works.inbox.replies[job.to] = [reply]
        await works.publish(job)
        await works.until(job, "sent")
    assert works.inbox.ids == {f"<{job.id}@shop.example>": 2 if reply == "drop-after" else 1}
    assert (await works.attempt(job))[0] == 2


async def test_lost_after_the_last_byte_is_held_for_a_person(url: str | None) -> None:
    job = make_job()
    async with working(url, "hold") as works:
        works.inbox.replies[job.to] = ["drop-after"]
        await works.publish(job, make_job(2))
        await works.until(job, "unknown")
        await works.until(make_job(2), "sent")
        await works.publish(job, make_job(3))
        await works.until(make_job(3), "sent")
    assert isinstance((await works.attempt(job))[1], Unknown)
    assert works.inbox.ids[f"<{job.id}@shop.example>"] == 1
    assert list(dict.fromkeys(works.listener.states(job.id))) == ["sending", "unknown"]


async def test_a_repeat_refused_before_its_claim_ends_as_the_ledger_says(url: str | None) -> None:
    """It settles without a claim, the ledger does not take it, and a claim tells what is left to do: nothing."""
    job = make_job()
    async with working(url) as works:
        await works.publish(job)
        await works.until(job, "sent")
        works.inbox.when = "RCPT"
        works.inbox.replies[job.to] = ["550 no", "451 no"]
        await works.publish(job, job, make_job(2))
        await works.until(make_job(2), "sent")
    assert isinstance((await works.attempt(job))[1], Sent)
    assert works.listener.states(job.id) == ["sending", "sent"]


async def test_any_task_and_its_bugs(url: str | None) -> None:
    calls: list[tuple[str, bool]] = []

    async def count(job: Job, permission: Permission) -> Outcome:
        calls.append((job.id, await permission()))
        return Sent("counted")

    async def broken(job: Job, permission: Permission) -> Outcome:
        raise ValueError("a bug")

    async def broken_late(job: Job, permission: Permission) -> Outcome:
        await permission()
        raise ValueError("a bug")

    good, bad, late = (make_job(n, task=task) for n, task in enumerate(("count", "broken", "broken-late"), 1))
    async with working(url, max_attempts=1) as works:
        works.tasks.task("count")(count)
        works.tasks.task("broken")(broken)
        works.tasks.task("broken-late")(broken_late)
        await works.publish(good, bad, late)
        await works.until(good, "sent")
        await works.until(bad, "dead")
        await works.until(late, "dead")
    assert calls == [(good.id, True)]
    assert (await works.attempt(bad))[1] == Dead("spent", "task failed: ValueError")
    assert (await works.attempt(late))[1] == Dead("spent", "unknown: task failed: ValueError")


async def test_a_task_that_takes_too_long_is_ended(url: str | None) -> None:
    async def slow(job: Job, permission: Permission) -> Outcome:
        await asyncio.Event().wait()
        return Sent()

    job = make_job(task="slow")
    async with working(url, timeout=0.3, max_attempts=1) as works:
        works.tasks.task("slow")(slow)
        await works.publish(job)
        await works.until(job, "dead")
    assert (await works.attempt(job))[1] == Dead("spent", "timed out")


async def test_bulk_never_takes_the_last_worker(url: str | None) -> None:
    release, running = asyncio.Event(), asyncio.Semaphore(0)

    async def slow(job: Job, permission: Permission) -> Outcome:
        running.release()
        await release.wait()
        await permission()
        return Sent()

    async with working(url) as works:
        works.tasks.task("slow")(slow)
        await works.publish(*(make_job(n, task="slow", job_class="bulk") for n in range(2, 12)))
        for _ in range(3):
            await running.acquire()
        await works.publish(make_job(1))
        try:
            await works.inbox.received(1, within=15)  # sooner than an attempt times out
        finally:
            release.set()


async def test_a_job_put_off_keeps_its_number(url: str | None) -> None:
    async with working(url) as works:
        await works.deliver(delayed_letter(make_job(), first_letter(make_job()).body, 5, 1))
        await works.until(make_job(), "sent")
    assert (await works.attempt(make_job()))[0] == 5


async def test_an_attempt_that_was_claimed_counts_whatever_the_task_says(url: str | None) -> None:
    calls: list[int] = []

    async def away(job: Job, permission: Permission) -> Outcome:
        calls.append(1)
        await permission()
        return Sent() if len(calls) > 1 else Retry("away", burn=False)

    job = make_job(task="away")
    async with working(url) as works:
        works.tasks.task("away")(away)
        await works.publish(job)
        await works.until(job, "sent", within=20)
    assert (await works.attempt(job))[0] == 2


async def test_a_worker_that_is_cancelled_hands_in_what_it_knows() -> None:
    async def cancelled(job: Job, permission: Permission) -> Outcome:
        await permission()
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return Sent()

    job = make_job(task="cancelled")
    async with working(None, "hold") as works:
        works.tasks.task("cancelled")(cancelled)
        await works.publish(job)
        await works.until(job, "unknown")
    assert (await works.attempt(job))[1] == Unknown("stopped")
