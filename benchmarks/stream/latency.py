"""How long an event takes at a steady rate: sent → on a side's output, and sent → visible in the store."""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.figures import percentile
from benchmarks.stream.events import event, partition_of
from benchmarks.stream.side import Side, start
from benchmarks.stream.topics import PARTITIONS, Topics

USERS: Final = 100
WARMING: Final = 3.0
"""Seconds of the same stream before the figures count: a JVM compiles, everyone connects."""


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds; what is visible in the store is known to 2 ms."""

    side: str
    round: int
    to: str
    p50: float
    p99: float
    events: int
    missing: int


class _Id(msgspec.Struct):
    id: str


_decode: Final = msgspec.json.Decoder(_Id).decode


class Pace(msgspec.Struct, frozen=True):
    """`rate` events a second for `seconds`."""

    rate: int
    seconds: float


async def measure(
    side: Side, number: int, topics: Topics, kafka: str, folder: Path, pace: Pace, input: str, *, store: bool
) -> list[Latency]:
    """Run `side` on a new `input` at a steady `pace`. `store`: it also writes a Chopar's store."""
    run_id = f"{side.slug}-latency-{number}-{os.urandom(3).hex()}"
    output, group = side.output.format(run=run_id), side.group.format(run=run_id)
    await topics.delete((input, *(name.format(run=run_id) for name in side.owns)))
    await topics.create(input, output)
    await topics.rewind(group, input)
    own = folder / run_id
    process = start(side, {"KAFKA": kafka, "INPUT": input, "OUTPUT": output, "GROUP": group}, own)
    arrivals: dict[str, float] = {}
    stored: dict[str, float] = {}
    try:
        async with _reading(kafka, output, arrivals), _watching(own / "chopar.db", stored) if store else _nothing():
            sent = await _send(kafka, input, pace, arrivals)
            await asyncio.sleep(2.0)
        await process.stop()
    finally:
        process.kill()
    found = [_latency(side, number, "output", sent, arrivals)]
    return [*found, _latency(side, number, "store", sent, stored)] if store else found


def _latency(side: Side, number: int, to: str, sent: Mapping[str, float], seen: Mapping[str, float]) -> Latency:
    took = sorted((seen[id] - at) * 1000 for id, at in sent.items() if id in seen)
    return Latency(
        side=side.name,
        round=number,
        to=to,
        p50=percentile(took, 0.5),
        p99=percentile(took, 0.99),
        events=len(took),
        missing=len(sent) - len(took),
    )


async def _send(kafka: str, topic: str, pace: Pace, arrivals: Mapping[str, float]) -> dict[str, float]:
    """Send evenly; gives when each event was sent that counts. Nothing counts before the side has begun to work."""
    sent: dict[str, float] = {}
    async with AIOKafkaProducer(bootstrap_servers=kafka, acks=1, linger_ms=0) as producer:
        number, began, counts_from = 0, monotonic(), float("inf")
        while (now := monotonic()) < counts_from + pace.seconds:
            if counts_from == float("inf"):
                if arrivals:
                    counts_from = now + WARMING
                elif now > began + 60:
                    return {"nothing arrived": now}
            user = f"u-{number % USERS}"
            raw = event(user, number // USERS + 1)
            if now >= counts_from:
                sent[f"{user}-{number // USERS + 1}"] = monotonic()
            await producer.send(topic, raw, key=user.encode(), partition=partition_of(user, PARTITIONS))
            number += 1
            await asyncio.sleep(max(0.0, began + number / pace.rate - monotonic()))
        await producer.flush()
    return sent


@contextlib.asynccontextmanager
async def _reading(kafka: str, topic: str, arrivals: dict[str, float]) -> AsyncIterator[None]:
    """Note when each event arrives on `topic`."""

    async def read(consumer: AIOKafkaConsumer) -> None:
        while True:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                now = monotonic()
                for record in records:
                    arrivals.setdefault(_decode(record.value).id, now)

    async with AIOKafkaConsumer(bootstrap_servers=kafka, fetch_max_wait_ms=500) as consumer:
        consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
        await consumer.seek_to_beginning()
        task = asyncio.create_task(read(consumer))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def _watching(file: Path, seen: dict[str, float]) -> AsyncIterator[None]:
    """Note when each event is visible in the store."""

    async def watch() -> None:
        while not await asyncio.to_thread(file.exists):  # noqa: ASYNC110  (another process makes it)
            await asyncio.sleep(0.1)
        await asyncio.sleep(2.0)  # its tables are made
        database, last = sqlite3.connect(f"file:{file}?mode=ro", uri=True), 0
        while True:
            rows = database.execute("SELECT rowid, event_id FROM activity WHERE rowid > ?", (last,)).fetchall()
            now = monotonic()
            for rowid, id in rows:
                seen.setdefault(id, now)
                last = max(last, rowid)
            await asyncio.sleep(0.002)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield
