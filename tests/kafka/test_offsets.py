"""Reading takes nothing away. A record stays in its partition until the topic's retention removes it, whoever has read it;
a reader only has a position, the offset of the record that it reads next, and may move it. A group's committed offset
is a bookmark that the broker keeps for it. That is why Chopar can rebuild a table or a store from a topic.
"""

from aiokafka import TopicPartition

from chopar.lab.kafka import Lab, numbered, take, texts, to_end


async def test_a_reader_can_seek_back_and_read_again(lab: Lab) -> None:
    """A reader has read all twelve. It moves its position back to offset 7 and gets the same five records again."""
    topic = await lab.topic()
    await lab.send(topic, numbered(1, 12))

    async with lab.consumer(topic) as consumer:
        assert texts(await take(consumer, 12)) == numbered(1, 12)

        consumer.seek(TopicPartition(topic, 0), 7)

        assert texts(await take(consumer, 5)) == numbered(8, 12)


async def test_the_bookmark_and_the_position_are_two_things(lab: Lab) -> None:
    """A member reads ten and commits after the fourth. Its position is 10, the group's bookmark is 4: the number of the
    first record that is not done. Who comes next begins at the bookmark."""
    topic, group = await lab.topic(), lab.name("group")
    partition = TopicPartition(topic, 0)
    await lab.send(topic, numbered(1, 10))

    async with lab.consumer(topic, group=group) as consumer:
        await take(consumer, 4)
        await consumer.commit()
        await take(consumer, 6)
        assert await consumer.position(partition) == 10
        assert await consumer.committed(partition) == 4

    async with lab.consumer(topic, group=group) as successor:
        assert texts(await to_end(successor)) == numbered(5, 10)


async def test_lag_is_the_distance_from_the_bookmark_to_the_end(lab: Lab) -> None:
    """Twelve records, nine done: the group is three behind. This is the number to watch when a consumer may be too slow."""
    topic, group = await lab.topic(), lab.name("group")
    partition = TopicPartition(topic, 0)
    await lab.send(topic, numbered(1, 12))

    async with lab.consumer(topic, group=group) as consumer:
        await take(consumer, 9)
        await consumer.commit()
        end = (await consumer.end_offsets([partition]))[partition]
        assert end - await consumer.committed(partition) == 3


async def test_a_group_without_a_bookmark_begins_where_it_is_told(lab: Lab) -> None:
    """Ten records lie there before anybody reads. A new group with `latest` gets only what is sent from now on, one with
    `earliest` gets all. With `latest`, a group that is new, or whose bookmark has expired, skips records silently."""
    topic = await lab.topic()
    await lab.send(topic, numbered(1, 10))

    async with (
        lab.consumer(topic, group=lab.name("late"), auto_offset_reset="latest") as late,
        lab.consumer(topic, group=lab.name("early"), auto_offset_reset="earliest") as early,
    ):
        assert await late.position(TopicPartition(topic, 0)) == 10
        await lab.send(topic, numbered(11, 13))

        assert texts(await take(late, 3)) == numbered(11, 13)
        assert texts(await take(early, 13)) == numbered(1, 13)


async def test_a_reader_can_begin_at_a_point_in_time(lab: Lab) -> None:
    """Each record has a time; the broker finds the first one that is not older than a given time. So a reader can ask
    for everything since ten o'clock without knowing any offset."""
    topic = await lab.topic()
    ten_o_clock = 1_700_000_000_000
    async with lab.producer() as producer:
        for minute, value in enumerate(numbered(1, 10), start=-5):
            await producer.send_and_wait(topic, value.encode(), timestamp_ms=ten_o_clock + minute * 60_000)

    async with lab.consumer(topic) as consumer:
        partition = TopicPartition(topic, 0)
        found = await consumer.offsets_for_times({partition: ten_o_clock})
        consumer.seek(partition, found[partition].offset)

        assert texts(await to_end(consumer)) == numbered(6, 10)
