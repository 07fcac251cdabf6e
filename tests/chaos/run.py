"""One run: traffic and blows at once, then everything drained, then the checker."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from brokers.kafka import Kafka
from brokers.node import Node
from tests.chaos.checker import check
from tests.chaos.evidence import gather
from tests.chaos.findings import Findings
from tests.chaos.fleet import Fleet
from tests.chaos.storm import MIXES, Blow, plan
from tests.chaos.traffic import Sent, Traffic
from tests.installation import Installation
from tests.processes import NOTIFIER, WORKER

GAP_TIMEOUT: Final = 2.0
PARTITIONS: Final = 8
GROUPS: Final = {"chopar": ("activity.events", "activity.log"), "chopar-notify": ("activity.log",)}
WARM_UP: Final = 8.0


class Run(msgspec.Struct, frozen=True):
    """What to do. Without a notifier no RabbitMQ is needed."""

    seed: int
    mix: str = "all"
    rate: int = 2000
    users: int = 300
    workers: int = 3
    notifier: bool = True
    patience: float = 240.0


async def storm(run: Run, folder: Path, kafka: Node[Kafka], rabbit_url: str | None) -> Findings:
    """Do it. What was broken stands in the findings; raises only when it could not be done."""
    ours = Installation(folder, kafka.url, rabbit_url or "", CHOPAR_GAP_TIMEOUT=f"{GAP_TIMEOUT:.0f}s")
    processes = {f"worker-{number}": ours.process(WORKER, f"worker-{number}") for number in range(run.workers)}
    if rabbit_url:
        processes["notifier"] = ours.process(NOTIFIER, "notifier")
    blows = plan(run.seed, MIXES[run.mix], list(processes))
    fleet = Fleet(processes, kafka)
    address = kafka.url.removeprefix("kafka://")
    fleet.start()
    watching = asyncio.create_task(fleet.watch())
    try:
        await _strike(run, blows, fleet, address)
        began = monotonic()
        is_drained = await _drained(address, run.patience, bool(rabbit_url))
        took = monotonic() - began
        watching.cancel()
        await fleet.stop()
    finally:
        watching.cancel()
        fleet.kill()
    findings = check(await gather(address, ours.store, rabbit_url), PARTITIONS, GAP_TIMEOUT)
    if not is_drained:
        findings.breaks("progress", f"not all was worked off within {run.patience:.0f} s")
    for surprise in fleet.surprises:
        findings.breaks("ends", surprise)
    findings.counts = {**fleet.struck, **fleet.exits, "seconds to drain": round(took), **findings.counts}
    return findings


async def _strike(run: Run, blows: list[Blow], fleet: Fleet, address: str) -> None:
    traffic = Traffic(run.seed, run.users, PARTITIONS, late=int(run.rate * GAP_TIMEOUT * 2))
    async with _feeding(address, iter(traffic), run.rate):
        await asyncio.sleep(WARM_UP)
        for blow in blows:
            await asyncio.sleep(blow.after)
            await fleet.strike(blow)
        await fleet.settle()


@asynccontextmanager
async def _feeding(address: str, traffic: Iterator[Sent], rate: int) -> AsyncIterator[None]:
    """Traffic while the block runs; at its end all that was sent is on Kafka."""
    producer = AIOKafkaProducer(bootstrap_servers=address, enable_idempotence=True, linger_ms=5, request_timeout_ms=120_000)
    await _until_topics(producer)
    feeding = asyncio.create_task(_feed(producer, traffic, rate))
    try:
        yield
    finally:
        feeding.cancel()
        (ended,) = await asyncio.gather(feeding, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended
        await producer.flush()
        await producer.stop()


async def _until_topics(producer: AIOKafkaProducer) -> None:
    await producer.start()
    async with asyncio.timeout(90):
        while True:
            try:
                await producer.partitions_for("activity.events")
            except KafkaError:
                await asyncio.sleep(0.5)
            else:
                return


async def _feed(producer: AIOKafkaProducer, traffic: Iterator[Sent], rate: int) -> None:
    began, number = monotonic(), 0
    while True:
        due = int((monotonic() - began) * rate)
        for sent in (next(traffic) for _ in range(min(due - number, rate))):
            await _hand_over(producer, sent)
            number += 1
        await asyncio.sleep(0.02)


async def _hand_over(producer: AIOKafkaProducer, sent: Sent) -> None:
    while True:
        try:
            await producer.send("activity.events", sent.value, key=sent.key, partition=sent.partition)
        except KafkaError:  # nothing was queued
            await asyncio.sleep(0.2)
        else:
            return


async def _drained(address: str, patience: float, with_notifier: bool) -> bool:
    """Whether the groups come to the ends of their topics within `patience` seconds, and stay there for a gap's time."""
    groups = {group: topics for group, topics in GROUPS.items() if with_notifier or group != "chopar-notify"}
    deadline, since = monotonic() + patience, None
    while monotonic() < deadline:
        if await _lag(address, groups):
            since = None
        elif since is None:
            since = monotonic()
        elif monotonic() - since > 2 * GAP_TIMEOUT + 2:
            return True
        await asyncio.sleep(1.0)
    return False


async def _lag(address: str, groups: dict[str, tuple[str, ...]]) -> int:
    """How many records the groups have not committed."""
    admin, consumer = AIOKafkaAdminClient(bootstrap_servers=address), AIOKafkaConsumer(bootstrap_servers=address)
    try:
        await admin.start()
        await consumer.start()
        topics = set(chain.from_iterable(groups.values()))
        ends = await consumer.end_offsets([TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)])
        lag = 0
        for group, of_group in groups.items():
            committed = await admin.list_consumer_group_offsets(group)
            for tp, end in ends.items():
                if tp.topic in of_group:
                    lag += end - max(committed[tp].offset if tp in committed else 0, 0)
        return lag
    finally:
        await consumer.stop()
        await admin.close()
