"""A far end that is away stops those that need it, nobody else; each catches up by itself."""

import asyncio
import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from faust.types import TP

from activity.chunk import Chunk
from brokers.node import Node
from brokers.rabbitmq import RabbitMQ
from streams import consumer
from streams.consumer import WAITING_CHUNKS
from tests.installation import Installation, read_log, send
from tests.rabbit.broker import drain, waiting
from tests.streams.lab import Lab
from tests.streams.test_consumer import eventually, values
from tests.streams.test_outage import events


@contextmanager
def away(store: Path) -> Iterator[None]:
    """SQLite is away for all others while one holds its lock."""
    holder = sqlite3.connect(store, timeout=30, isolation_level=None)
    try:
        holder.execute("begin immediate")
        yield
        holder.execute("rollback")
    finally:
        holder.close()


def signed_up(users: list[str], first: int, last: int) -> list[dict[str, Any]]:
    data = {"email": "ann@shop.example", "name": "Ann"}
    return [{**event, "type": "user.signed_up", "data": data} for event in events(users, first, last)]


@pytest.mark.timeout(400)
async def test_the_store_and_rabbitmq_are_away(kafka_url: str, private_rabbitmq: Node[RabbitMQ], tmp_path: Path) -> None:
    run = f"i{uuid.uuid4().hex[:8]}"
    users = [f"{run}-{n}" for n in range(20)]
    ours = Installation(tmp_path, kafka_url, private_rabbitmq.url)

    async def logged() -> int:
        return sum(len(set(log)) for log in (await read_log(kafka_url, set(users))).values())

    async with ours.running(ours.worker, ours.notifier):
        await private_rabbitmq.kill()
        await send(kafka_url, signed_up(users, 1, 20), rate=5000)
        await ours.until(lambda: ours.stored(run) == 400, "stored while RabbitMQ is away")
        with away(ours.store):
            await send(kafka_url, signed_up(users, 21, 60), rate=5000)
            async with asyncio.timeout(120):
                while await logged() < 1200:  # noqa: ASYNC110  (what is waited for stands on Kafka)
                    await asyncio.sleep(0.5)
            await asyncio.to_thread(ours.worker.says, "the store is away")
            assert ours.stored(run) == 400
        await ours.until(lambda: ours.stored(run) == 1200, "stored after the store is back")
        await private_rabbitmq.start()
        jobs: set[str] = set()
        async with asyncio.timeout(120):
            while len(jobs) < 1200:
                if not (count := await waiting(private_rabbitmq.url, "email.transactional")):
                    await asyncio.sleep(0.2)
                    continue
                taken = await drain(private_rabbitmq.url, "email.transactional", count)
                jobs |= {job["event"]["id"] for job in (json.loads(message.body) for message in taken) if job["user"] in users}
        assert ours.worker.running
        assert ours.notifier.running
    for user in users:
        stored = ours.rows("select position, event_id from activity where user_id = ? order by position", user)
        assert stored == [(n, f"{user}-{n}") for n in range(1, 61)]
    log = ours.worker.log.read_text()
    assert log.count("the store is away") == log.count("the store is back") == 1, log


@pytest.mark.parametrize("bound", ["LARGEST_CHUNK", "LARGEST_CHUNK_BYTES"])
async def test_what_waits_for_an_agent_is_bounded_and_holds_up_no_other_partition(
    kafka_url: str, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """Fault H."""
    monkeypatch.setattr(consumer, bound, 1)  # else what waits would go into one chunk
    lab = await Lab(kafka_url).create()
    back, done = asyncio.Event(), list[int]()

    async def work(chunk: Chunk) -> None:
        await back.wait()
        done.extend(int(record.value or b"") for record in chunk)
        chunk.done()

    async with lab.running(work) as app:
        inflight = cast(Any, app.consumer)._inflight
        for number in range(10 * WAITING_CHUNKS):
            await lab.send(values(number + 1, number + 1))  # each would be a chunk
        await lab.send(values(0, 0), partition=1)
        await eventually(lambda: len(inflight[TP(lab.topic, 1)]) == 1)
        held = len(inflight[TP(lab.topic, 0)])
        back.set()
        assert held == WAITING_CHUNKS
        await eventually(lambda: len(done) == 10 * WAITING_CHUNKS + 1)
    assert [value for value in done if value] == list(range(1, 10 * WAITING_CHUNKS + 1))
