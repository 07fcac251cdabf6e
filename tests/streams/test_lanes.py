"""Partitions side by side, each in turn."""

import asyncio
from collections import defaultdict

import pytest

from activity.chunk import Chunk
from streams.lanes import Lanes
from tests.activity.examples import Record, chunk


def on(partition: int) -> Chunk:
    return chunk(Record(None, None), partition=partition)


class Work:
    """Works until it is told to go on."""

    def __init__(self) -> None:
        self.begun: list[Chunk] = []
        self.may_end: defaultdict[int, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(0))

    async def __call__(self, chunk: Chunk) -> None:
        self.begun.append(chunk)
        await self.may_end[chunk.partition].acquire()
        chunk.done()


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_partition_that_waits_holds_up_its_own_chunks_and_no_others() -> None:
    work = Work()
    lanes = Lanes(work)
    first, second, other, after = on(1), on(1), on(2), on(2)
    for one in (first, second, other, after):
        lanes.put(one)
    await turns()
    assert work.begun == [first, other]
    work.may_end[2].release()
    await turns()
    assert work.begun == [first, other, after]
    assert other.finished
    assert not first.finished
    for partition in (1, 1, 2):
        work.may_end[partition].release()
    await lanes.finished()
    assert work.begun == [first, other, after, second]
    assert all(one.finished for one in work.begun)


async def test_what_is_put_later_is_worked_on_too() -> None:
    work = Work()
    lanes = Lanes(work)
    for _ in range(3):
        work.may_end[0].release()
        lanes.put(on(0))
        await lanes.finished()
    assert [one.finished for one in work.begun] == [True] * 3


async def test_what_the_work_raises_comes_out() -> None:
    async def work(chunk: Chunk) -> None:
        raise RuntimeError("a bug")

    lanes = Lanes(work)
    lanes.put(on(0))
    with pytest.raises(RuntimeError, match="a bug"):
        await lanes.finished()


async def test_cancelled_it_breaks_off_what_is_in_hand_and_lets_go_of_what_waits() -> None:
    work = Work()
    lanes = Lanes(work)
    for partition in (1, 1, 2):
        lanes.put(on(partition))
    await turns()
    await lanes.cancel()
    work.may_end[1].release()
    work.may_end[1].release()
    await lanes.finished()
    assert len(work.begun) == 2
    assert not any(one.finished for one in work.begun)
