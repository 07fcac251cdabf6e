"""A replay's passes, in memory, broken off anywhere and begun again."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity.chunk import Chunk
from activity.errors import ChoparError
from activity.jobs import Job
from activity.pace import Bounds
from activity.replay import Moment, Offset
from activity.settings import Settings
from agents.notifier import read_jobs
from agents.replay import Survey
from chopar.passes import Passes, Result, Wish, find
from chopar.points import chosen
from tests.agents.test_replay import World, chunk, record, rules

ALL = Wish(Offset(0), None, None, store=True, mail=True, send_unknown=False, limit=10)


class BrokenOff(Exception):
    """Ctrl-C, an outage, a kill."""


class InMemory(Passes):
    """Passes over chunks in memory. After `steps` of them it is broken off."""

    def __init__(self, world: World, chunks: list[Chunk], wish: Wish, steps: int) -> None:
        super().__init__(Settings(), [], wish, rules(welcome="user.*"), cast(Any, Shelf(world)))
        self._world, self._chunks, self._steps = world, chunks, steps

    async def through(self, what: str, step: Callable[[Chunk], Awaitable[None]]) -> None:
        for one in self._chunks:
            if self._steps == 0:
                raise BrokenOff
            self._steps -= 1
            await step(one)

    @asynccontextmanager
    async def _jobs(self) -> AsyncIterator[Any]:
        yield self._world.jobs


class Shelf:
    """The store as `Passes` takes it."""

    def __init__(self, world: World) -> None:
        self.log, self.jobs, self._ledger = world.log, world.ledger, world.ledger

    def ledger(self, policy: str) -> Any:
        return self._ledger


async def replayed(world: World, chunks: list[Chunk], steps: int = -1, **changes: Any) -> tuple[int, int, int]:
    """Rows restored, jobs published, jobs held."""
    wish = msgspec.structs.replace(ALL, **changes)
    result = Result(Survey(world.log, world.ledger, rules(welcome="user.*"), limit=10), 0)
    passes = InMemory(world, chunks, wish, steps)
    await passes.through("looking", result.survey.take)
    await passes.do(result)
    return result.restored, result.published, result.held


@given(steps=st.lists(st.integers(0, 12), max_size=4), lost=st.sets(st.integers(1, 4)))
async def test_wherever_it_is_broken_off_no_job_that_may_have_been_sent_is_published(steps: list[int], lost: set[int]) -> None:
    """The jobs of positions 1 to 4 were published once, and whatever the store lacks now, its ledger lacks as well."""
    world = World()
    chunks = [chunk(record(n)) for n in range(1, 5)]
    kept = [record(n) for n in range(1, 5) if n not in lost]
    if kept:
        await world.archived(*kept)
        await world.begun(jobs_of(chunk(*kept)))
    for number in steps:
        with suppress(BrokenOff):
            await replayed(world, chunks, number)
    await replayed(world, chunks)
    assert world.jobs.jobs == []
    assert await world.log.count() == 4
    counts = await world.ledger.counts()
    assert (counts["unknown"], counts["sending"]) == (len(lost), 4 - len(lost))


def jobs_of(of: Chunk) -> list[Job]:
    return [job for one in of for job in read_jobs(one, rules(welcome="user.*"))[0]]


async def test_only_one_of_both() -> None:
    world, history = World(), [chunk(record(1)), chunk(record(2))]
    await world.archived(record(1), record(2))
    assert await replayed(world, history, mail=False) == (0, 0, 0)
    assert await replayed(world, history, store=False) == (0, 2, 0)
    lost = World()
    assert await replayed(lost, history, store=False) == (0, 0, 2)
    assert await lost.log.count() == 0
    assert await replayed(lost, history, mail=False) == (2, 0, 0)
    assert lost.jobs.jobs == []


class FakeGroups:
    """Two partitions: the worker has read 50 of the 100 records of the first, and none of the second."""

    async def bounds(self, topic: str) -> dict[int, Bounds]:
        return {0: Bounds(20, 100), 1: Bounds(0, 10)}

    async def positions(self, name: str, topic: str) -> dict[int, int]:
        return {0: 50}

    async def at(self, topic: str, seconds: float) -> dict[int, int]:
        return {0: int(seconds), 1: int(seconds)}


@pytest.mark.parametrize(
    ("since", "until", "spans"),
    [
        (Offset(0), None, [(0, 20, 50, 20), (1, 0, 0, 0)]),
        (Offset(30), Offset(40), [(0, 30, 40, 0), (1, 0, 0, 0)]),
        (Offset(30, 0), Moment(45.0), [(0, 30, 45, 0)]),
        (Moment(30.0), Offset(99, 0), [(0, 30, 50, 0)]),
    ],
)
async def test_the_range_goes_no_further_than_the_worker_is(since: Any, until: Any, spans: list[tuple[int, ...]]) -> None:
    found = await find(cast(Any, FakeGroups()), msgspec.structs.replace(ALL, since=since, until=until))
    assert [(span.partition, span.start, span.stop, span.missing) for span in found if span.partition == 0] == spans[:1]
    assert sum(len(span) for span in found) == sum(stop - start for _, start, stop, _ in spans)


def test_a_partition_that_is_none_is_told() -> None:
    with pytest.raises(ChoparError, match="--from, --to: there is no partition 8; there are 0 to 7"):
        chosen(8, Offset(0, 8))
    with pytest.raises(ChoparError, match="--from, --to, --user: partitions 1 and 2 can't both be meant"):
        chosen(8, Offset(0, 1), Offset(0, 2))
