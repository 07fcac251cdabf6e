"""Kafka away, workers paused: real processes on a real Kafka."""

import asyncio
import logging
import signal
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from activity import names
from brokers.kafka import Kafka
from brokers.node import Node
from streams import outage as outages
from streams.exits import TEMPFAIL
from streams.outage import KafkaOutage
from tests.installation import Installation, read_log, send


def events(users: list[str], first: int, last: int) -> list[dict[str, Any]]:
    return [
        {
            "specversion": "1.0", "id": f"{user}-{n}", "source": "/web", "type": "page.viewed", "subject": user,
            "sequence": str(n),
        }
        for n in range(first, last + 1)
        for user in users
    ]  # fmt: skip


def test_an_outage_is_told_once_and_its_end_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(outages, "monotonic", lambda: now[0])
    outage = KafkaOutage()
    outage.listen()
    noise = logging.getLogger("aiokafka.conn")
    with caplog.at_level(logging.INFO), caplog.at_level(logging.INFO, logger=noise.name):
        noise.error("Unable connect to node with id 1: refused")
        assert caplog.messages == [], "at the start, whoever starts the worker says it"
        outage.ended()
        for _ in range(100):
            noise.error("Unable connect to node with id 1: refused")
            noise.warning("Heartbeat failed")
            outage.ended()  # the coordinator answers, a partition's leader does not
            now[0] += 1.0
        now[0] += 2.0
        outage.ended()
        outage.ended()
        noise.warning("something else")
    first, second, third = caplog.messages
    assert first.startswith("Kafka is away")
    assert second.startswith("Kafka is back after")
    assert third == "something else"


@pytest.mark.timeout(400)
async def test_kafka_may_be_away_for_longer_than_a_session(private_kafka: Node[Kafka], tmp_path: Path) -> None:
    users = [f"u-{n}" for n in range(20)]
    ours = Installation(tmp_path, private_kafka.url)
    async with ours.running(ours.worker):
        await send(private_kafka.url, events(users, 1, 20), rate=10_000)
        await ours.until(lambda: ours.stored("u-") == 400, "the first events stored")
        sending = asyncio.create_task(send(private_kafka.url, events(users, 21, 60), rate=200))
        await asyncio.sleep(1.0)
        await private_kafka.kill()
        await asyncio.sleep(15.0)
        await private_kafka.start()
        await sending
        await ours.until(lambda: ours.stored("u-") == 1200, "all events stored")
        assert ours.worker.running, "the outage was waited out"
        await asyncio.to_thread(ours.worker.says, "Kafka is back after")  # with the next heartbeat that follows on no failure
        assert ours.worker.stop() == 0
    log = ours.worker.log.read_text()
    assert log.count("Kafka is away") == 1, log
    assert log.count("Kafka is back after") == 1
    for user, records in (await read_log(private_kafka.url, set(users))).items():
        assert sorted(set(records)) == [(n, f"{user}-{n}") for n in range(1, 61)]


async def test_a_worker_stops_while_kafka_is_away(private_kafka: Node[Kafka], tmp_path: Path) -> None:
    ours = Installation(tmp_path, private_kafka.url)
    async with ours.running(ours.worker):
        await send(private_kafka.url, events(["u-1"], 1, 20), rate=10_000)
        await ours.until(lambda: ours.stored("u-") == 20, "stored")
        await private_kafka.kill()
        assert await asyncio.to_thread(ours.worker.stop) == 0


@pytest.mark.timeout(400)
async def test_a_worker_whose_states_hang_leaves_before_its_partitions_move(kafka_url: str, tmp_path: Path) -> None:
    """What Kafka has not taken would go out later, over the newer states of the next owner."""
    run = f"b{uuid.uuid4().hex[:8]}"
    users = [f"{run}-{n}" for n in range(40)]
    block = tmp_path / "block"
    ours = Installation(tmp_path, kafka_url)
    blocked = ours.process((sys.executable, "-m", "tests.streams.blocked_worker"), "blocked", BLOCK=str(block))
    async with ours.running(blocked):
        await send(kafka_url, events(users, 1, 20), rate=10_000)
        await ours.until(lambda: ours.stored(f"{run}-") == 800, "the first events stored")
        block.touch()
        await send(kafka_url, events(users, 21, 40), rate=10_000)
        async with ours.running(ours.worker):
            assert await asyncio.to_thread(blocked.wait) == TEMPFAIL
            block.unlink()
            await send(kafka_url, events(users, 41, 60), rate=10_000)
            await ours.until(lambda: ours.stored(f"{run}-") == 2400, "all events stored")
    for user, records in (await read_log(kafka_url, set(users))).items():
        assert sorted(set(records)) == [(n, f"{user}-{n}") for n in range(1, 61)]


@pytest.mark.timeout(400)
async def test_a_worker_that_was_paused_leaves_and_writes_nothing_more(kafka_url: str, tmp_path: Path) -> None:
    """Its partitions are another's when it wakes; the states that it had in hand would go over newer ones."""
    run = f"z{uuid.uuid4().hex[:8]}"
    users = [f"{run}-{n}" for n in range(40)]
    block = tmp_path / "block"
    ours = Installation(tmp_path, kafka_url)
    other = ours.process((sys.executable, "-m", "tests.streams.blocked_worker"), "other", BLOCK=str(block))
    async with ours.running(other):
        await send(kafka_url, events(users, 1, 20), rate=10_000)
        await ours.until(lambda: ours.stored(f"{run}-") == 800, "the first events stored")
        block.touch()
        await send(kafka_url, events(users, 21, 40), rate=10_000)
        await ours.until(lambda: ours.stored(f"{run}-") > 800, "it has states in hand")  # an event is logged, then its state
        other.signal(signal.SIGSTOP)
        async with ours.running(ours.worker):
            await ours.until(lambda: ours.stored(f"{run}-") == 1600, "the rest stored by its successor")
            assert await asyncio.to_thread(ours.worker.stop) == 0
        written = await ends(kafka_url)
        block.unlink()
        other.signal(signal.SIGCONT)
        assert await asyncio.to_thread(other.wait) == TEMPFAIL
        assert await ends(kafka_url) == written
    for user, records in (await read_log(kafka_url, set(users))).items():
        assert sorted(set(records)) == [(n, f"{user}-{n}") for n in range(1, 41)]


async def ends(kafka_url: str) -> dict[TopicPartition, int]:
    """Where the log and the states end."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka_url.removeprefix("kafka://"))
    await consumer.start()
    try:
        found: dict[TopicPartition, int] = await consumer.end_offsets(
            [TopicPartition(topic, n) for topic in (names.LOG, names.USERS_CHANGELOG) for n in range(8)]
        )
        return found
    finally:
        await consumer.stop()
