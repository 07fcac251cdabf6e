"""Appends of many callers in one transaction after the other."""

import asyncio
from collections.abc import Sequence

import pytest

from store.log import Appended, Entry
from store.together import LARGEST, Together
from tests.store.orders import entry


class Slow:
    """Appends once it is let."""

    def __init__(self) -> None:
        self.calls: list[list[Entry]] = []
        self.refused: list[Entry] = []
        self.error: Exception | None = None
        self.may_go = asyncio.Semaphore(0)

    async def __call__(self, entries: Sequence[Entry]) -> Appended:
        self.calls.append(list(entries))
        await self.may_go.acquire()
        if self.error:
            raise self.error
        return Appended(0, [one for one in entries if one in self.refused])


async def several(log: Together, *given: list[Entry]) -> list[asyncio.Task[list[Entry]]]:
    tasks = []
    for entries in given:
        tasks.append(asyncio.create_task(log.append(entries)))
        for _ in range(5):
            await asyncio.sleep(0)
    return tasks


async def test_those_that_come_meanwhile_go_together_next_and_each_hears_of_its_own() -> None:
    slow = Slow()
    log = Together(slow)
    tasks = await several(log, [entry(1)], [entry(2), entry(3)], [entry(4)])
    assert slow.calls == [[entry(1)]]
    slow.refused = [entry(3)]
    slow.may_go.release()
    slow.may_go.release()
    assert await asyncio.gather(*tasks) == [[], [entry(3)], []]
    assert slow.calls == [[entry(1)], [entry(2), entry(3), entry(4)]]


async def test_an_error_is_told_to_those_whose_entries_were_in_it() -> None:
    slow = Slow()
    log = Together(slow)
    tasks = await several(log, [entry(1)], [entry(2)])
    slow.may_go.release()
    await tasks[0]
    slow.error = RuntimeError("away")
    slow.may_go.release()
    with pytest.raises(RuntimeError, match="away"):
        await tasks[1]
    slow.error = None
    slow.may_go.release()
    assert await log.append([entry(2)]) == []


async def test_one_that_is_cancelled_takes_no_other_with_it() -> None:
    slow = Slow()
    log = Together(slow)
    first, second = await several(log, [entry(1)], [entry(2)])
    first.cancel()
    slow.may_go.release()
    slow.may_go.release()
    assert await second == []
    await log.finished()


async def test_a_transaction_has_an_end() -> None:
    slow = Slow()
    log = Together(slow)
    half = [entry(number) for number in range(1, LARGEST // 2 + 1)]
    tasks = await several(log, half, half, half, half, [entry(1)])
    for _ in range(3):
        slow.may_go.release()
    await asyncio.gather(*tasks)
    assert [len(call) for call in slow.calls] == [LARGEST // 2, LARGEST, LARGEST // 2 + 1]
