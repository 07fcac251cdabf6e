"""Kafka keeps the order of a partition and no other. Records of one partition are read as they were written; how two
partitions are read relative to each other depends on who reads, how fast, and on chance. So what must stay in order needs
one key; and what comes from several partitions must carry its own order, as Chopar's `sequence` does.
"""

from aiokafka import TopicPartition

from chopar.lab.kafka import Lab, numbered, take, texts, to_end


async def test_a_partition_is_read_as_it_was_written(lab: Lab) -> None:
    """One sender deals fifteen records out to three partitions in turn. Each partition, taken alone, is read in the order
    in which it was written."""
    topic = await lab.topic(partitions=3)
    await _deal_out(lab, topic, partitions=3)

    records = await lab.everything(topic)

    for partition in range(3):
        assert texts(record for record in records if record.partition == partition) == numbered(1, 15)[partition::3]


async def test_a_later_record_can_be_read_earlier(lab: Lab) -> None:
    """Odd numbers go to partition 0, even ones to partition 1. The reader is held up on partition 0, as by a slow disk or
    another member's long work, and meanwhile reads the other: number 14 comes before number 1."""
    topic = await lab.topic(partitions=2)
    await _deal_out(lab, topic, partitions=2)

    async with lab.consumer(topic) as consumer:
        slow = TopicPartition(topic, 0)
        consumer.pause(slow)
        read = texts(await take(consumer, 7))
        consumer.resume(slow)
        read += texts(await to_end(consumer))

    assert read == numbered(1, 15)[1::2] + numbered(1, 15)[0::2]
    assert read.index("m14") < read.index("m01")


async def test_one_key_brings_the_order_back(lab: Lab) -> None:
    """The same fifteen records with one key are all on one partition, however many there are: all are read in order."""
    topic = await lab.topic(partitions=3)

    await lab.send(topic, numbered(1, 15), key="ann")

    assert texts(await lab.everything(topic)) == numbered(1, 15)


async def test_a_late_record_is_not_put_into_its_place(lab: Lab) -> None:
    """The order is that of arrival. A phone that was offline sends its record with an old time; it comes last, not where
    its time would put it. Kafka does not sort."""
    topic = await lab.topic()
    async with lab.producer() as producer:
        for second in range(1, 11):
            await producer.send_and_wait(topic, f"m{second:02}".encode(), timestamp_ms=second * 1000)
        await producer.send_and_wait(topic, b"offline", timestamp_ms=1500)

    assert texts(await lab.everything(topic)) == [*numbered(1, 10), "offline"]


async def _deal_out(lab: Lab, topic: str, partitions: int) -> None:
    async with lab.producer() as producer:
        for number, value in enumerate(numbered(1, 15)):
            await producer.send_and_wait(topic, value.encode(), partition=number % partitions)
