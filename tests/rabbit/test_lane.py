"""Which of the jobs that wait is taken next: a mailing delays no transactional one, and still comes to its end."""

import asyncio

import pytest

from rabbit.lane import TURN, Lane
from rabbit.source import Delivery


def delivery(number: int, *, bulk: bool = False) -> Delivery:
    return Delivery(b"", f"email.{'bulk' if bulk else 'transactional'}.{number}", number)


async def taken(lane: Lane, count: int, *, urgent: bool = False) -> str:
    return "".join(["b" if (await lane.get(urgent=urgent)).bulk else "t" for _ in range(count)])


async def test_while_transactional_ones_never_end_one_in_eight_is_a_bulk_one() -> None:
    lane = Lane()
    for number in range(100):
        lane.put(delivery(number, bulk=True))
        lane.put(delivery(number))
    assert await taken(lane, 3 * TURN) == 3 * ("t" * (TURN - 1) + "b")
    assert await taken(lane, TURN, urgent=True) == "t" * TURN, "who takes no bulk job never does"


async def test_a_bulk_job_is_taken_at_once_when_no_other_waits() -> None:
    lane = Lane()
    for number in range(5):
        lane.put(delivery(number, bulk=True))
    assert await taken(lane, 3) == "bbb"
    lane.put(delivery(9))
    assert await taken(lane, 3) == "tbb"


async def test_what_is_put_back_is_the_next_of_its_class() -> None:
    lane = Lane()
    for number in range(3):
        lane.put(delivery(number))
    first = await lane.get(urgent=False)
    lane.put_back(first)
    assert [(await lane.get(urgent=False)).attempt for _ in range(3)] == [0, 1, 2]


async def test_who_waits_is_woken_and_a_cancelled_one_has_taken_nothing() -> None:
    lane = Lane()
    waiting = [asyncio.create_task(lane.get(urgent=number == 0)) for number in range(3)]
    await asyncio.sleep(0)
    lane.put(delivery(1, bulk=True))
    await asyncio.sleep(0)
    waiting[1].cancel()
    lane.put(delivery(2, bulk=True))
    lane.put(delivery(3))
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert not isinstance(found[0], BaseException)
    assert not found[0].bulk
    left = [each for each in found if isinstance(each, Delivery)] + lane.clear()
    assert sorted(each.attempt for each in left) == [1, 2, 3]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(lane.get(urgent=False), 0.05)
