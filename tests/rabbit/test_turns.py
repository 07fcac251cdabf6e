"""Jobs that wait for their domain's turn in memory, while the wall clock does what it likes."""

import asyncio
import contextlib
from collections.abc import Sequence

import pytest

from activity.domains import Limit
from rabbit.source import Delivery
from rabbit.turns import LONGEST, Turns
from tests.rabbit.orders import make_job

APART = 0.1


class Kept:
    """A `Source` of which only `put_back` is used."""

    def __init__(self) -> None:
        self.back: asyncio.Queue[Delivery] = asyncio.Queue()

    def put_back(self, delivery: Delivery) -> None:
        self.back.put_nowait(delivery)

    async def take(self, *, urgent: bool = False) -> Delivery:
        return await self.back.get()

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None: ...

    async def pause(self) -> Sequence[Delivery]:
        return ()

    async def resume(self) -> None: ...

    async def expect(self, workers: int) -> None: ...


@pytest.mark.parametrize("key", ["email.bulk.welcome", "email.transactional.welcome"])
async def test_a_clock_set_back_holds_nothing_up(key: str) -> None:
    """Neither what is held, nor what comes after: appointments go with the clock."""
    clock, source = [10_000.0], Kept()
    away: list[float] = []
    turns = Turns({"*": Limit(apart=APART)}, source, 8, lambda _delivery, _job, due: away.append(due), lambda: clock[0])
    running = asyncio.create_task(turns.run())
    begun = sum(turns.admits(Delivery(b"", key, 1), make_job()) for _ in range(4))
    assert (begun, turns.held) == (1, 3)
    clock[0] -= 3600.0
    async with asyncio.timeout(60):
        while begun < 4:
            delivery = await source.take()
            clock[0] += APART
            begun += turns.admits(delivery, make_job())
    assert turns.admits(Delivery(b"", key, 1), make_job()) is False
    assert all(due <= clock[0] + LONGEST for due in away), "nobody has to wait for the time that was"
    assert (turns.held, turns.sent_away) == (1, 0)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
