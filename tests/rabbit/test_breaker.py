"""The circuit's shell: how often a far end is looked at that is away, or that answers and takes nothing."""

import asyncio
import contextlib

import pytest

from activity.outcomes import Retry, Sent
from rabbit import breaker
from rabbit.breaker import Breaker, Flow
from rabbit.channel import ChannelSource
from rabbit.circuit import THRESHOLD
from rabbit.outage import Outage

BUSY = Retry("421", burn=False, slow=True, kind="busy")


async def test_a_server_that_answers_and_refuses_every_mail_is_looked_at_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: asyncio.Queue[int] = asyncio.Queue()
    answers = iter([True, True, False, True, True])

    async def wait(failures: int) -> None:
        waits.put_nowait(failures)

    async def probe() -> bool:
        return next(answers)

    monkeypatch.setattr(breaker, "wait", wait)
    flow = Flow(ChannelSource(), lambda _delivery: None, lambda: None)
    tested = Breaker(flow, probe, Outage("the mail server"), lambda: 1.0)
    running = asyncio.create_task(tested.run())

    def is_open() -> bool:
        return tested.since is not None or flow.held_by("circuit")

    async def opened_and_closed() -> None:
        for _ in range(THRESHOLD):
            tested.note(BUSY)
        assert is_open()
        async with asyncio.timeout(60):
            while is_open():  # noqa: ASYNC110
                await asyncio.sleep(0)

    for _ in range(3):
        await opened_and_closed()
    tested.note(Sent())
    await opened_and_closed()
    assert [waits.get_nowait() for _ in range(waits.qsize())] == [1, 2, 3, 4, 1]
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
