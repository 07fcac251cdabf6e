"""Fan-out and fan-in: a task for each of many items, the results as they come."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from activity.errors import Unreachable
from activity.jobs import Job
from activity.outcomes import Dead, Outcome, Sent
from rabbit.channel import ChannelSource
from rabbit.mapping import Result
from rabbit.tasks import Permission
from tests.rabbit.orders import make_job
from tests.rabbit.works import Works, working


@asynccontextmanager
async def calculating(url: str | None) -> AsyncIterator[tuple[Works, Counter[int]]]:
    """A pool that squares, and how often it did."""
    squared: Counter[int] = Counter()
    async with working(url) as works:

        @works.tasks.function("square")
        async def square(number: int) -> int:
            squared[number] += 1
            if number < 0 and squared[number] == 1:
                raise ValueError("not at the first try")
            return number**2

        yield works, squared


async def test_each_item_gives_its_result_with_the_progress(url: str | None) -> None:
    async with calculating(url) as (works, squared):
        found = [result async for result in works.pool.map("square", range(300))]
    assert {result.item: result.value for result in found} == {number: number**2 for number in range(300)}
    assert [result.done for result in found] == list(range(1, 301))
    assert {(result.total, result.ok, result.attempts) for result in found} == {(300, True, 1)}
    assert sorted(result.number for result in found) == list(range(300))
    assert set(squared.values()) == {1}


async def test_a_failure_is_tried_again_and_one_for_good_is_a_result_too(url: str | None) -> None:
    async def picky(job: Job, permission: Permission) -> Outcome:
        return Dead("refused", "no") if job.event["data"] == "bad" else Sent(value=job.event["data"])

    async with calculating(url) as (works, _):
        works.tasks.task("picky")(picky)
        again = [result async for result in works.pool.map("square", [-3])]
        picked = {result.item: result async for result in works.pool.map("picky", ["good", "bad"])}
    assert [(result.value, result.attempts) for result in again] == [(9, 2)]
    assert (picked["bad"].state, picked["bad"].outcome, picked["bad"].value) == ("dead", Dead("refused", "no"), None)
    assert picked["good"].value == "good"


async def test_results_come_as_they_are_done_and_items_are_asked_for_as_there_is_room() -> None:
    slow, asked = asyncio.Event(), 0

    def items() -> Iterator[int]:
        nonlocal asked
        for number in range(1000):
            asked += 1
            yield number

    async with working(None) as works:

        @works.tasks.function("slow-first")
        async def slow_first(number: int) -> int:
            if number == 0:
                await slow.wait()
            return number

        found: list[Result] = []
        async for result in works.pool.map("slow-first", items(), window=20):
            found.append(result)
            assert asked <= result.done + 20
            if result.done == 999:
                slow.set()
    assert found[-1].item == 0
    assert {result.total for result in found} == {None}


async def test_who_calls_again_under_the_same_name_gets_what_is_done_and_does_nothing_twice(url: str | None) -> None:
    async with calculating(url) as (works, squared):
        async with aclosing(works.pool.map("square", range(40), name="album")) as results:
            async for result in results:
                if result.done == 10:
                    break  # as if the caller had died: the jobs go on
        async with asyncio.timeout(60):
            while len(await works.ledger.jobs(state="sent")) < 40:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert set(squared.values()) == {1}
        again = [result async for result in works.pool.map("square", range(40), name="album")]
        other = [result async for result in works.pool.map("square", [5], name="another")]
    assert {result.item: result.value for result in again} == {number: number**2 for number in range(40)}
    assert other[0].value == 25
    assert squared == Counter({**dict.fromkeys(range(40), 1), 5: 2})


async def test_what_another_process_did_is_found_in_the_ledger(rabbit: str) -> None:
    """Two pools on the same queues and ledger: whoever does it, the caller gets it."""
    async with calculating(rabbit) as (works, here), calculating(rabbit) as (other, there):
        other.pool._committer._ledger = works.ledger
        async with asyncio.timeout(60):
            found = [result async for result in works.pool.map("square", range(200))]
    assert {result.item: result.value for result in found} == {number: number**2 for number in range(200)}
    assert here
    assert there


async def test_the_store_may_be_away_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    async with calculating(None) as (works, _):
        outcomes, failed = works.ledger.outcomes, asyncio.Event()

        async def away(ids: Any) -> Any:
            failed.set()
            raise Unreachable("CHOPAR_STORE_URL", "here", "no store", "start it")

        monkeypatch.setattr(works.ledger, "outcomes", away)
        mapping = asyncio.create_task(collect(works, range(10)))
        await failed.wait()
        monkeypatch.setattr(works.ledger, "outcomes", outcomes)
        assert len(await mapping) == 10


async def collect(works: Works, items: Any) -> list[Result]:
    return [result async for result in works.pool.map("square", items)]


async def test_what_is_wrong_is_said_at_once() -> None:
    async with calculating(None) as (works, _):
        with pytest.raises(LookupError, match="no task 'cube'"):
            works.pool.map("cube", [1])
        with pytest.raises(TypeError):
            await collect(works, [object()])
        assert await collect(works, []) == []


async def test_a_value_that_can_not_be_kept(caplog: pytest.LogCaptureFixture) -> None:
    async def strange(job: Job, permission: Permission) -> Outcome:
        await permission()
        return Sent("done", value=object())

    async with working(None) as works:
        works.tasks.task("strange")(strange)

        @works.tasks.function("odd")
        async def odd(item: int) -> object:
            return object()

        (kept,) = [result async for result in works.pool.map("strange", [1])]
        (dead,) = [result async for result in works.pool.map("odd", [1])]
    assert (kept.ok, kept.value) == (True, None)
    assert "is lost: it can't be JSON" in caplog.text
    assert isinstance(dead.outcome, Dead)
    assert dead.outcome.reason == "bad-value"


async def test_a_channel_takes_only_so_many_and_who_publishes_waits() -> None:
    source = ChannelSource(capacity=5)
    publishing = asyncio.create_task(source.publish([make_job(number) for number in range(8)]))
    taken = [await source.take() for _ in range(5)]
    await asyncio.sleep(0.05)
    assert not publishing.done()
    await source.acknowledge(taken[:3])
    await publishing
    assert len([await source.take() for _ in range(3)]) == 3
