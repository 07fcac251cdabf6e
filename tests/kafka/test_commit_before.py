"""First the commit, then the work: at most once. If the consumer dies between the two, the bookmark says done and the work
was not; nobody does it. Auto-commit is this in disguise: it commits what was handed out, and knows nothing of what was
finished. Chopar switches it off.
"""

from aiokafka import TopicPartition

from chopar.lab.kafka import Lab, numbered, take, texts, to_end


async def test_a_crash_after_the_commit_loses_work(lab: Lab) -> None:
    """A consumer takes four records, commits them, does two and dies. Its successor begins at the fifth: two were never
    done, and nothing on the broker says so."""
    topic, group = await lab.topic(), lab.name("group")
    await lab.send(topic, numbered(1, 10))
    done: list[str] = []

    async with lab.consumer(topic, group=group) as first:
        four = await take(first, 4)
        await first.commit()
        done += texts(four[:2])

    async with lab.consumer(topic, group=group) as second:
        done += texts(await to_end(second))

    assert done == numbered(1, 2) + numbered(5, 10)


async def test_auto_commit_commits_what_was_handed_out(lab: Lab) -> None:
    """With auto-commit a consumer takes ten records, does three, and is shut down by an error in the fourth. Closing it
    commits its position, which is behind the tenth: seven records are lost."""
    topic, group = await lab.topic(), lab.name("group")
    await lab.send(topic, numbered(1, 15))
    done: list[str] = []

    async with lab.consumer(topic, group=group, enable_auto_commit=True) as first:
        ten = await take(first, 10)
        done += texts(ten[:3])

    async with lab.consumer(topic, group=group, enable_auto_commit=True) as second:
        assert await second.committed(TopicPartition(topic, 0)) == 10
        done += texts(await to_end(second))

    assert done == numbered(1, 3) + numbered(11, 15)


async def test_the_same_without_auto_commit_loses_nothing(lab: Lab) -> None:
    """One setting differs. Nothing was committed, so the successor begins at the first record and does three again."""
    topic, group = await lab.topic(), lab.name("group")
    await lab.send(topic, numbered(1, 15))
    done: list[str] = []

    async with lab.consumer(topic, group=group, enable_auto_commit=False) as first:
        ten = await take(first, 10)
        done += texts(ten[:3])

    async with lab.consumer(topic, group=group, enable_auto_commit=False) as second:
        assert await second.committed(TopicPartition(topic, 0)) is None
        done += texts(await to_end(second))

    assert done == numbered(1, 3) + numbered(1, 15)
