"""`chopar send` to a real Kafka: what arrives, where, and what is refused."""

import json
import uuid
from collections import defaultdict
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from activity.names import EVENTS
from activity.settings import Settings
from streams.topics import ensure_topics, partition_of
from tests.chopar.running import chopar, event

PARTITIONS = 8


@pytest.fixture
def user() -> str:
    """A user of this test only: the Kafka is everyone's."""
    return f"send-{uuid.uuid4().hex[:8]}"


async def arrived(kafka_url: str, user: str) -> list[tuple[int, bytes | None, bytes | None]]:
    """Partition, key and value of the records that name the user, in the order of each partition."""
    await ensure_topics(Settings(kafka_url=kafka_url, partitions=PARTITIONS))  # nobody makes them if nothing is sent
    places = [TopicPartition(EVENTS, number) for number in range(PARTITIONS)]
    found = []
    async with AIOKafkaConsumer(bootstrap_servers=kafka_url.removeprefix("kafka://"), enable_auto_commit=False) as consumer:
        ends = await consumer.end_offsets(places)
        consumer.assign(places)
        for place in places:  # at once: from the next await on the consumer would choose a place itself
            consumer.seek(place, 0)
        unread = {place for place in places if ends[place]}
        while unread:
            for records in (await consumer.getmany(*unread, timeout_ms=500)).values():
                found += [(record.partition, record.key, record.value) for record in records]
            unread = {place for place in unread if await consumer.position(place) < ends[place]}
    return [record for record in found if user.encode() in (record[1] or b"") + (record[2] or b"")]


async def test_each_event_arrives_under_its_subject_on_the_partition_of_that_key_in_order(
    kafka_url: str, tmp_path: Path, user: str
) -> None:
    lines = [event(f"{user}-{number % 7}", number) for number in range(1, 301)]
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(lines))
    result = chopar("send", str(file), kafka_url=kafka_url, data_dir=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert result.stderr == "sent 300 records\n"
    by_user: defaultdict[bytes | None, list[bytes | None]] = defaultdict(list)
    for partition, key, value in await arrived(kafka_url, user):
        assert partition == partition_of(key or b"", PARTITIONS)
        by_user[key].append(value)
    assert by_user == {f"{user}-{n}".encode(): [line for line in lines if f'"{user}-{n}"'.encode() in line] for n in range(7)}


async def test_an_array_from_a_pipe(kafka_url: str, tmp_path: Path, user: str) -> None:
    events = [json.loads(event(user, number)) for number in (1, 2)]
    result = chopar(
        "send", "-", "--json", stdin=json.dumps(events, indent=2).encode(), kafka_url=kafka_url, data_dir=str(tmp_path)
    )
    assert (result.returncode, msgspec.json.decode(result.stdout)) == (0, {"sent": 2, "refused": 0})
    assert [json.loads(value or b"") for _, _, value in await arrived(kafka_url, user)] == events


async def test_what_is_no_event_is_refused_with_its_line_and_the_others_are_sent(
    kafka_url: str, tmp_path: Path, user: str
) -> None:
    lines = [event(user, 1), b"nonsense", b"", event(user, 2, specversion="0.3"), event(user, 3)]
    result = chopar("send", "-", "--json", stdin=b"\n".join(lines), kafka_url=kafka_url, data_dir=str(tmp_path))
    assert (result.returncode, msgspec.json.decode(result.stdout)) == (1, {"sent": 2, "refused": 2})
    assert [line.split(":")[:2] for line in result.stderr.splitlines()] == [
        ["line 2", " not-json"],
        ["line 4", " bad-specversion"],
    ]
    assert [value for _, _, value in await arrived(kafka_url, user)] == [lines[0], lines[4]]


async def test_strict_sends_all_or_nothing(kafka_url: str, tmp_path: Path, user: str) -> None:
    arguments = {"kafka_url": kafka_url, "data_dir": str(tmp_path)}
    good = [event(user, 1), event(user, 2)]
    result = chopar("send", "-", "--strict", stdin=b"\n".join([*good, b"nonsense"]), settings=arguments)
    assert (result.returncode, await arrived(kafka_url, user)) == (1, [])
    assert result.stderr.splitlines()[-1] == "refused 1; nothing was sent"
    assert chopar("send", "-", "--strict", stdin=b"\n".join(good), settings=arguments).returncode == 0
    assert [value for _, _, value in await arrived(kafka_url, user)] == good


async def test_raw_sends_anything_with_the_key_that_is_given_or_none(kafka_url: str, tmp_path: Path, user: str) -> None:
    arguments = {"kafka_url": kafka_url, "data_dir": str(tmp_path)}
    assert chopar("send", "-", "--raw", "--key", user, stdin=b"[1,\n]", settings=arguments).returncode == 0
    assert chopar("send", "-", "--raw", stdin=f"no event of {user}".encode(), settings=arguments).returncode == 0
    found = await arrived(kafka_url, user)
    assert sorted((key or b"", value) for _, key, value in found) == [
        (b"", f"no event of {user}".encode()),
        (user.encode(), b"[1,"),
        (user.encode(), b"]"),
    ]
