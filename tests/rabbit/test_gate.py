"""How many conversations there are at a time."""

import asyncio

from rabbit.gate import Gate


class Clock:
    """Told, not passing."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


async def filled(count: int) -> tuple[Gate, Clock]:
    clock = Clock()
    gate = Gate(clock, quiet=60)
    for _ in range(count):
        assert await gate.enter(0)
    return gate, clock


async def test_all_are_let_in_until_there_is_a_complaint() -> None:
    gate, _ = await filled(50)
    assert gate.limit is None


async def test_each_complaint_is_one_fewer_but_never_none() -> None:
    gate, _ = await filled(4)
    limits = []
    for _ in range(4):
        gate.narrow()
        limits.append(gate.limit)
        gate.leave()
    assert limits == [3, 2, 1, 1]
    assert [await gate.enter(0) for _ in range(2)] == [True, False]


async def test_who_waits_comes_in_when_another_leaves() -> None:
    gate, _ = await filled(3)
    gate.narrow()
    gate.leave()
    waiting = [asyncio.create_task(gate.enter(30)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    for come in (1, 2, 3):
        gate.leave()
        async with asyncio.timeout(30):
            while sum(task.done() for task in waiting) < come:  # noqa: ASYNC110
                await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)
        assert sum(task.done() for task in waiting) == come
    assert all(task.result() for task in waiting)


async def test_a_quiet_minute_opens_it_by_one() -> None:
    gate, clock = await filled(3)
    gate.narrow()
    clock.time = 59.0
    assert not await gate.enter(0)
    clock.time = 60.0
    gate.leave()
    assert [await gate.enter(0) for _ in range(2)] == [True, False]
    assert gate.limit == 3


async def test_who_is_cancelled_while_waiting_takes_no_place() -> None:
    gate, _ = await filled(1)
    gate.narrow()
    waiting = asyncio.create_task(gate.enter(30))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    gate.leave()
    assert await gate.enter(0)
