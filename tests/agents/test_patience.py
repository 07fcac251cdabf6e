"""Waiting an outage out."""

import asyncio
import logging

import pytest

from agents import patience
from agents.patience import Lost, patiently
from tests.activity.examples import Record, chunk


class Away(Exception):
    pass


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(patience, "GRACE", 0.05)


async def test_it_tries_again_until_it_works_and_tells_twice(caplog: pytest.LogCaptureFixture) -> None:
    troubles = [Away("no"), Away("no"), Away("no")]

    async def attempt() -> str:
        if troubles:
            raise troubles.pop()
        return "done"

    with caplog.at_level(logging.INFO):
        assert await patiently(attempt, chunk(Record(None, None)), "the store", (Away,)) == "done"
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert told[0].startswith("the store is away")
    assert told[1].startswith("the store is back after")


async def test_another_error_is_raised_at_once() -> None:
    async def attempt() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await patiently(attempt, chunk(Record(None, None)), "the store", (Away,))


async def test_a_lost_chunk_is_let_go_between_two_tries() -> None:
    ours = chunk(Record(None, None))

    async def attempt() -> None:
        ours.lost = True
        raise Away

    with pytest.raises(Lost):
        await patiently(attempt, ours, "the store", (Away,))


async def test_a_lost_chunk_lets_a_try_that_hangs_go() -> None:
    ours, cancelled = chunk(Record(None, None)), asyncio.Event()

    async def attempt() -> None:
        ours.lost = True
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(Lost):
        await patiently(attempt, ours, "the store", (Away,))
    assert cancelled.is_set()


async def test_a_lost_chunk_lets_a_try_that_works_finish() -> None:
    ours = chunk(Record(None, None))

    async def attempt() -> str:
        ours.lost = True
        await asyncio.sleep(0.01)
        return "done"

    assert await patiently(attempt, ours, "the store", (Away,)) == "done"
