"""A pool with limits on domains: a job over its domain's limit holds no worker, burns no attempt and holds nobody up."""

import asyncio
import itertools
import time
from collections import Counter

from activity.domains import parse_limits
from activity.jobs import Job
from activity.outcomes import Outcome, Sent
from rabbit.channel import ChannelSource
from rabbit.source import Delivery
from rabbit.tasks import Permission
from rabbit.turns import Turns
from tests.rabbit.orders import make_job
from tests.rabbit.works import working


class Domains:
    """A task that notes when jobs of which domain begin, and how many of one are under way."""

    def __init__(self) -> None:
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.begun: dict[str, list[float]] = {}

    async def __call__(self, job: Job, permission: Permission) -> Outcome:
        domain = job.to.rpartition("@")[2]
        self.begun.setdefault(domain, []).append(time.time())
        self.under_way[domain] += 1
        self.most[domain] = max(self.most[domain], self.under_way[domain])
        await asyncio.sleep(0.02)
        await permission()
        self.under_way[domain] -= 1
        return Sent()


def mailing(first: int, count: int, domain: str) -> list[Job]:
    return [make_job(n, task="note", job_class="bulk", to=f"u{n}@{domain}") for n in range(first, first + count)]


async def test_the_limits_hold_and_all_are_done_at_their_first_attempt(url: str | None) -> None:
    note = Domains()
    slow, narrow, other = mailing(0, 12, "slow.example"), mailing(100, 60, "narrow.example"), mailing(200, 30, "other.example")
    async with working(url, domains="slow.example=5/s; narrow.example=1") as works:
        works.tasks.task("note")(note)
        await works.publish(*slow, *narrow, *other)
        for job in (*slow, *narrow, *other):
            await works.until(job, "sent")
        assert {(await works.attempt(job))[0] for job in (*slow, *narrow, *other)} == {1}
        assert works.pool.status().held == 0
    assert note.most["narrow.example"] == 1
    begun = note.begun["slow.example"]
    assert all(later - earlier > 0.19 for earlier, later in itertools.pairwise(begun))
    assert max(note.begun["other.example"]) < max(begun), "they were not held up"


async def test_those_that_wait_long_wait_in_a_delay_queue(url: str | None) -> None:
    note = Domains()
    slow = mailing(0, 200, "slow.example")
    async with working(url, domains="slow.example=1/m") as works:
        works.tasks.task("note")(note)
        await works.publish(*slow, *mailing(600, 40, "other.example"))
        async with asyncio.timeout(60):
            while works.pool.status().put_off < 190 or len(note.begun.get("other.example", ())) < 40:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert len(note.begun["slow.example"]) == 1
        async with asyncio.timeout(60):
            while works.pool.status().busy:  # noqa: ASYNC110 - they hold no worker
                await asyncio.sleep(0.02)
        assert works.pool.status().held == 0
        await works.pool.settled()
        assert len(await works.ledger.jobs(limit=1000)) == 41, "and no attempt"


async def test_an_urgent_job_goes_before_a_mailing_to_the_same_domain(url: str | None) -> None:
    note = Domains()
    async with working(url, domains="slow.example=2/s") as works:
        works.tasks.task("note")(note)
        await works.publish(*mailing(0, 60, "slow.example"))
        async with asyncio.timeout(60):
            while works.pool.status().put_off < 40:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        urgent = make_job(500, task="note", to="ann@slow.example")
        await works.publish(urgent)
        await works.until(urgent, "sent")
        assert len(note.begun["slow.example"]) < 30


async def test_what_waits_for_its_turn_is_given_back_at_a_pause_and_an_end(url: str | None) -> None:
    note = Domains()
    jobs = mailing(0, 20, "slow.example")
    async with working(url, domains="slow.example=1/s") as works:
        works.tasks.task("note")(note)
        await works.publish(*jobs)
        async with asyncio.timeout(60):
            while not works.pool.status().held:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await works.pool.pause()
        assert works.pool.status().held == 0
        await works.pool.resume()
        async with asyncio.timeout(60):
            while len(note.begun["slow.example"]) < 4:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_only_so_many_wait_in_memory_for_each_class() -> None:
    """A worker's places are few, whatever is queued; the others are sent to wait with the broker. None is urgent in vain."""
    sent_away: list[Delivery] = []
    source, now = ChannelSource(), 1000.0
    turns = Turns(
        parse_limits("slow.example=2/s").by_domain, source, 3, lambda delivery, *_: sent_away.append(delivery), lambda: now
    )
    job = make_job(1, to="ann@slow.example")
    bulk = [Delivery(b"", "email.bulk.x", 1) for _ in range(20)]
    assert [turns.admits(delivery, job) for delivery in bulk] == [True] + [False] * 19
    assert turns.held == 3
    assert sent_away == bulk[4:]
    assert [delivery.due for delivery in sent_away] == [now + 2.0 + number / 2 for number in range(16)]
    urgent = [Delivery(b"", "email.transactional.x", 1) for _ in range(3)]
    assert not any(turns.admits(delivery, job) for delivery in urgent)
    assert turns.held == 6
    turns.left(job, 0.1)
    assert await source.take() is urgent[0], "the urgent ones first"
    turns.clear()
    assert [await source.take() for _ in range(5)] == [*urgent[1:], *bulk[1:4]]


def test_what_has_no_address_has_no_limit() -> None:
    turns = Turns(parse_limits("*=1").by_domain, ChannelSource(), 3, lambda *_: None, lambda: 0.0)
    job = make_job(1, to="no address")
    assert all(turns.admits(Delivery(b"", "email.bulk.x", 1), job) for _ in range(5))
    turns.left(job, 1.0)
