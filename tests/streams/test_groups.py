"""Groups, their offsets, and reading beside them, on a real Kafka."""

import asyncio
import uuid

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from activity.errors import Unreachable
from activity.pace import Bounds
from activity.replay import Span
from activity.settings import Settings
from streams import past
from streams.groups import Groups, open_groups
from streams.lag import OURS, all_topics
from streams.past import read_past
from streams.topics import ensure_topics
from tests.streams.lab import Lab


async def until_empty(groups: Groups, name: str) -> None:
    async with asyncio.timeout(60):
        while (await groups.group(name)).members:
            pass


async def test_who_reads_what_how_far_and_moving_it(kafka_url: str) -> None:
    lab = await Lab(kafka_url).create()
    await lab.send([b"0", b"1", b"2"], partition=0)
    await lab.send([b"0"], partition=1)
    async with open_groups(Settings(kafka_url=kafka_url)) as groups:
        assert await groups.bounds(lab.topic) == {0: Bounds(0, 3), 1: Bounds(0, 1)}
        assert (await groups.group(lab.group)).state == "Dead", "nobody has heard of it"
        assert await groups.positions(lab.group, lab.topic) == {}
        member = AIOKafkaConsumer(
            lab.topic, bootstrap_servers=lab.address, group_id=lab.group, client_id="somebody", auto_offset_reset="earliest"
        )
        await member.start()
        try:
            await member.getone()
            await member.commit()
            group = await groups.group(lab.group)
            assert group.state == "Stable"
            owners = [group.owner(lab.topic, partition) for partition in (0, 1, 2)]
            assert [owner and owner.client for owner in owners] == ["somebody", "somebody", None]
            assert sum((await groups.positions(lab.group, lab.topic)).values()) == 1
        finally:
            await member.stop()
        await until_empty(groups, lab.group)
        await groups.move(lab.group, lab.topic, {0: 2})
        assert (await groups.positions(lab.group, lab.topic))[0] == 2
        assert await lab.committed(0) == 2


async def test_every_topic_is_told_of_also_one_that_nobody_reads(kafka_url: str) -> None:
    lab = await Lab(kafka_url).create()
    await lab.send([b"0"], partition=0)
    settings = Settings(kafka_url=kafka_url)
    await ensure_topics(settings)
    async with open_groups(settings) as groups:
        found = {topic.name: topic for topic in await all_topics(groups)}
    assert tuple(found)[: len(OURS)] == OURS
    assert [len(found[name].bounds) for name in OURS] == [settings.partitions] * len(OURS)
    assert (found[lab.topic].ours, found[lab.topic].partitions) == (False, lab.partitions)
    assert not [name for name in found if name.startswith("__")], "Kafka's own"


async def test_a_time_is_the_first_record_from_then_on(kafka_url: str) -> None:
    lab = await Lab(kafka_url).create()
    producer = AIOKafkaProducer(bootstrap_servers=lab.address)
    await producer.start()
    try:
        for seconds in (1000, 2000, 3000):
            await producer.send_and_wait(lab.topic, b"v", partition=0, timestamp_ms=seconds * 1000)
    finally:
        await producer.stop()
    async with open_groups(Settings(kafka_url=kafka_url)) as groups:
        found = [(await groups.at(lab.topic, seconds))[0] for seconds in (0.0, 1000.0, 1000.5, 2500.0, 3000.1)]
        assert found == [0, 0, 1, 2, 3]
        assert (await groups.at(lab.topic, 0.0))[1] == 0, "an empty partition ends where it begins"


async def read(kafka_url: str, topic: str, *spans: Span) -> list[tuple[int, bytes]]:
    settings = Settings(kafka_url=kafka_url)
    return [(chunk.partition, record.value or b"") async for chunk in read_past(settings, topic, spans) for record in chunk]


async def test_a_stretch_is_read_from_its_first_record_to_its_last(kafka_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = await Lab(kafka_url).create()
    for partition in (0, 1):
        await lab.send([b"%d" % n for n in range(50)], partition=partition)
    found = await read(kafka_url, lab.topic, Span(0, 10, 20), Span(1, 49, 50))
    assert [value for partition, value in found if partition == 0] == [b"%d" % n for n in range(10, 20)]
    assert [value for partition, value in found if partition == 1] == [b"49"]
    assert await read(kafka_url, lab.topic) == []
    assert await read(kafka_url, lab.topic, Span(0, 7, 7)) == []
    monkeypatch.setattr(past, "PATIENCE", 1.0)
    with pytest.raises(Unreachable, match=r"CHOPAR_KAFKA_URL: no answer from .* the same command goes on from there"):
        await read(kafka_url, lab.topic, Span(0, 49, 60))


async def test_a_stretch_may_end_with_what_is_no_record(kafka_url: str) -> None:
    """A transaction's end takes an offset, and is never handed out."""
    lab = await Lab(kafka_url).create()
    producer = AIOKafkaProducer(bootstrap_servers=lab.address, transactional_id=uuid.uuid4().hex)
    await producer.start()
    try:
        async with producer.transaction():
            await producer.send_and_wait(lab.topic, b"v", partition=0)
    finally:
        await producer.stop()
    assert await read(kafka_url, lab.topic, Span(0, 0, 2)) == [(0, b"v")]
