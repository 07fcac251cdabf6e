"""What is looked at, while somebody looks."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from activity.errors import Unreachable
from console import observing
from console.observing import Observer


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "AGAIN", 0.01)


async def hangs() -> AsyncGenerator[int, None]:
    await asyncio.Event().wait()
    yield 1


async def test_one_that_hangs_or_fails_holds_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "FIRST", 0.2)
    times = 0

    async def broken() -> AsyncGenerator[int, None]:
        nonlocal times
        times += 1
        if times == 1:
            raise Unreachable("CHOPAR_KAFKA_URL", "kafka:1", "away", "start it")
        if times == 2:
            raise ZeroDivisionError
        yield times
        await asyncio.Event().wait()

    async def well() -> AsyncGenerator[str, None]:
        yield "well"
        await asyncio.Event().wait()

    observer = Observer({"hangs": hangs, "broken": broken, "well": well})
    said, _ = await observer.look()
    assert said["well"] == "well"
    async with asyncio.timeout(30):
        while "broken" not in (await observer.look())[0]:
            await observer.change(0.05)
    said, problems = await observer.look()
    assert (said, problems) == ({"well": "well", "broken": 3}, {})
    await observer.close()


async def test_what_failed_is_named() -> None:
    async def broken() -> AsyncGenerator[int, None]:
        if kafka_is_away:
            raise Unreachable("CHOPAR_KAFKA_URL", "kafka:1", "away", "start it")
        yield 1

    kafka_is_away = True
    observer = Observer({"kafka": broken})
    said, problems = await observer.look()
    assert said == {}
    assert "kafka:1" in problems["kafka"]
    await observer.close()


async def test_nothing_is_asked_when_nobody_looks_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "UNWATCHED", 0.05)
    closed = asyncio.Event()

    async def source() -> AsyncGenerator[int, None]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            closed.set()

    observer = Observer({"it": source})
    assert (await observer.look())[0] == {"it": 1}
    async with asyncio.timeout(30):
        await closed.wait()
    assert (await observer.look())[0] == {"it": 1}, "it begins again"
    await observer.close()
