"""A topic is a name for a few logs. Each log is called a partition: records are only ever added at its end, and each gets
the next number there, its offset. The number of partitions is chosen when the topic is created; Chopar takes it from
`CHOPAR_PARTITIONS` and keeps it, because more partitions would move keys (see `test_keys`).
"""

import pytest
from aiokafka.admin import NewTopic
from aiokafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError

from chopar.lab.kafka import Lab, numbered, texts


async def test_a_topic_is_created_with_its_number_of_partitions(lab: Lab) -> None:
    """Somebody creates a topic with three partitions. Whoever asks afterwards learns that there are 0, 1 and 2."""
    topic = await lab.topic(partitions=3)

    async with lab.consumer(topic) as consumer:
        assert consumer.partitions_for_topic(topic) == {0, 1, 2}


async def test_a_topic_can_be_created_only_once(lab: Lab) -> None:
    """Two programs that start at the same time may both try to create a topic. The second is told that it exists."""
    topic = await lab.topic(partitions=3)

    async with lab.admin() as admin:
        answer = await admin.create_topics([NewTopic(topic, num_partitions=5, replication_factor=1)])
    assert [code for _, code, _ in answer.topic_errors] == [TopicAlreadyExistsError.errno]

    async with lab.consumer(topic) as consumer:
        assert consumer.partitions_for_topic(topic) == {0, 1, 2}, "and nothing was changed"


async def test_each_partition_counts_its_records_from_zero(lab: Lab) -> None:
    """Seven records go to partition 0 and five to partition 1. Offsets number each partition's own records, so both
    begin at 0: a record's place is the partition and the offset together."""
    topic = await lab.topic(partitions=2)
    await lab.send(topic, numbered(1, 7), partition=0)
    await lab.send(topic, numbered(8, 12), partition=1)

    records = await lab.everything(topic)

    assert [record.offset for record in records if record.partition == 0] == [0, 1, 2, 3, 4, 5, 6]
    assert [record.offset for record in records if record.partition == 1] == [0, 1, 2, 3, 4]


async def test_the_producer_is_told_where_its_record_lies(lab: Lab) -> None:
    """`send` only puts the record into the client's buffer. The broker's answer is a second thing to wait for: partition
    and offset. Only then is the record stored, and only then may its sender forget it."""
    topic = await lab.topic(partitions=1)

    async with lab.producer() as producer:
        answers = [await producer.send(topic, value.encode()) for value in numbered(1, 10)]
        places = [await answer for answer in answers]

    assert [(place.partition, place.offset) for place in places] == [(0, offset) for offset in range(10)]
    assert texts(await lab.everything(topic)) == numbered(1, 10)


async def test_without_a_topic_nothing_is_sent(lab: Lab) -> None:
    """A broker may create a topic at the first record, with as many partitions as it likes. These brokers don't: a
    misspelt name is an error, not a new topic that nobody reads."""
    async with lab.producer(request_timeout_ms=1000, retry_backoff_ms=100) as producer:
        with pytest.raises(UnknownTopicOrPartitionError):
            await producer.send_and_wait(lab.name("misspelt"), b"lost?")
