"""The key decides the partition: murmur2 of the key's bytes, without the sign, modulo the number of partitions. All records
of one key lie on one partition, hence in order, and are read by one member of a group. Chopar's key is the user id.
The rule is the client's, not the broker's: clients that place keys differently (librdkafka's default) break it.
"""

from collections import defaultdict

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewPartitions

from chopar.lab.kafka import Lab, numbered

USERS = ["ann", "ben", "cleo", "dan", "eve"]


async def test_one_key_is_always_on_one_partition(lab: Lab) -> None:
    """Five users do four things each. Wherever a user's first record went, the other three followed, though another
    producer sent them."""
    topic = await lab.topic(partitions=3)
    for action in ["sign up", "log in", "buy", "log out"]:
        for user in USERS:
            await lab.send(topic, [action], key=user)

    places: dict[bytes, list[int]] = defaultdict(list)
    for record in await lab.everything(topic):
        places[record.key].append(record.partition)

    assert len(places) == 5
    for partitions in places.values():
        assert len(partitions) == 4
        assert len(set(partitions)) == 1
    assert len({partitions[0] for partitions in places.values()}) > 1, "users are spread over the partitions"


@pytest.mark.parametrize(
    ("key", "murmur2"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("abc", 479470107),
    ],
)
async def test_the_partition_is_murmur2_of_the_key(lab: Lab, key: str, murmur2: int) -> None:
    """The hashes are those of Kafka's own Java tests, so a Java program places the same key on the same partition. With
    seven partitions it is the hash, its sign bit taken away, modulo 7."""
    topic = await lab.topic(partitions=7)

    await lab.send(topic, ["hello"], key=key)

    (record,) = await lab.everything(topic)
    assert record.partition == (murmur2 & 0x7FFFFFFF) % 7


async def test_records_without_a_key_are_spread(lab: Lab) -> None:
    """Twenty records of the same sender have no key. Kafka owes them no common partition, and so no order."""
    topic = await lab.topic(partitions=3)

    await lab.send(topic, numbered(1, 20), key=None)

    assert len({record.partition for record in await lab.everything(topic)}) > 1


async def test_more_partitions_move_keys(lab: Lab) -> None:
    """A topic grows from three partitions to eight. What lies there stays, but some keys' next records go elsewhere: one
    user's history is now on two partitions, and their order is lost. So the number is chosen once."""
    topic = await lab.topic(partitions=3)
    async with lab.producer() as producer:
        before = {user: await _place(producer, topic, user) for user in USERS}

    async with lab.admin() as admin:
        await admin.create_partitions({topic: NewPartitions(total_count=8)})
    async with lab.producer() as producer:
        after = {user: await _place(producer, topic, user) for user in USERS}

    assert [user for user in USERS if before[user] != after[user]], "some moved"
    assert max(before.values()) < 3 <= max(after.values())


async def _place(producer: AIOKafkaProducer, topic: str, key: str) -> int:
    place: int = (await producer.send_and_wait(topic, b"hello", key=key.encode())).partition
    return place
