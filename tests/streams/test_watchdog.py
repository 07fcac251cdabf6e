"""Fault C: recovery that stalls."""

import asyncio
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from faust.types import TP

from activity.chunk import Chunk
from streams import watchdog
from streams.exits import TEMPFAIL
from streams.watchdog import RecoveryWatch
from tests.streams.lab import Lab


class Left(Exception):
    pass


class FakeApp:
    """An app in recovery, as the watch sees it."""

    def __init__(self) -> None:
        self.tables = self.recovery = self.producer = self.client = self
        self.in_recovery = True
        self.consumer_generation_id = 1
        self.remaining = 100
        self.answers = True
        self.consumer = self
        self.active_offsets = {"changelog/0": -1, "changelog/1": 7}
        self.sought: list[dict[str, int]] = []

    def active_remaining_total(self) -> int:
        return self.remaining

    def active_remaining(self) -> dict[str, int]:
        return {"changelog/0": self.remaining, "changelog/1": 0}

    async def seek_wait(self, offsets: dict[str, int]) -> None:
        self.sought.append(offsets)

    def _ensure_producer(self) -> Any:
        return self

    async def fetch_all_metadata(self) -> None:
        if not self.answers:
            raise ConnectionError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]

    def leave(code: int, why: str) -> NoReturn:
        assert code == TEMPFAIL
        raise Left(why)

    monkeypatch.setattr(watchdog, "monotonic", lambda: now[0])
    monkeypatch.setattr(watchdog, "leave", leave)
    return now


async def test_a_recovery_that_stalls_ends_the_process(clock: list[float]) -> None:
    app = FakeApp()
    watch = RecoveryWatch(app)
    await watch.look()
    clock[0] = 10.0
    await watch.look()
    assert app.sought == []
    for clock[0] in (11.0, 12.0, 30.0):
        await watch.look()
    assert app.sought == [{"changelog/0": 0}], "once, from where Faust counts"
    clock[0] = 31.0
    with pytest.raises(Left, match="no progress for 30 s"):
        await watch.look()


@pytest.mark.parametrize("progress", ["remaining", "consumer_generation_id"])
async def test_progress_is_no_stall(clock: list[float], progress: str) -> None:
    app = FakeApp()
    watch = RecoveryWatch(app)
    for step in range(10):
        setattr(app, progress, 50 - step)
        clock[0] += 29.0
        await watch.look()


async def test_a_worker_at_work_is_no_stall(clock: list[float]) -> None:
    app = FakeApp()
    app.in_recovery = False
    watch = RecoveryWatch(app)
    for _ in range(10):
        clock[0] += 29.0
        await watch.look()


async def test_an_outage_is_no_stall(clock: list[float]) -> None:
    app = FakeApp()
    app.answers = False
    watch = RecoveryWatch(app)
    for _ in range(10):
        clock[0] += 31.0
        await watch.look()
    app.answers = True
    clock[0] += 31.0
    with pytest.raises(Left):
        await watch.look()


async def test_a_nudge_has_a_real_consumer_read_again_from_where_faust_counts(kafka_url: str) -> None:
    lab = await Lab(kafka_url).create()
    read: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def work(chunk: Chunk) -> None:
        for record in chunk:
            read.put_nowait(record.value)
        chunk.done()

    async with lab.running(work) as app, asyncio.timeout(60):
        await lab.send([b"0", b"1", b"2"])
        assert [await read.get() for _ in range(3)] == [b"0", b"1", b"2"]
        left, offsets = {TP(lab.topic, 0): 2, TP(lab.topic, 1): 0}, {TP(lab.topic, 0): 1, TP(lab.topic, 1): 7}
        await RecoveryWatch(app)._nudge(SimpleNamespace(active_remaining=lambda: left, active_offsets=offsets))
        assert [await read.get() for _ in range(2)] == [b"1", b"2"]
