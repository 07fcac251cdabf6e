"""First the work, then the commit: at least once. If the consumer dies between the two, the work was done and the bookmark
doesn't say so; whoever comes next does it again. Nothing is ever lost, something may be repeated. This is Chopar's order
everywhere, and why everything behind it must bear a repeat (see `test_repeats`).
"""

import asyncio
from contextlib import suppress

from aiokafka import TopicPartition

from chopar.lab.kafka import PATIENCE, Lab, numbered, take, texts, to_end


async def test_a_crash_before_the_commit_repeats_work(lab: Lab) -> None:
    """A consumer does seven of twelve and has committed after the fifth when it goes. Its successor begins at the sixth:
    two are done twice, and all twelve are done."""
    topic, group = await lab.topic(), lab.name("group")
    await lab.send(topic, numbered(1, 12))
    done: list[str] = []

    async with lab.consumer(topic, group=group) as first:
        done += texts(await take(first, 5))
        await first.commit()
        done += texts(await take(first, 2))
        # It is closed here, without a commit.

    async with lab.consumer(topic, group=group) as second:
        done += texts(await to_end(second))
        await second.commit()

    assert done == numbered(1, 7) + numbered(6, 12)


async def test_a_cancelled_worker_leaves_its_last_record_to_the_next(lab: Lab) -> None:
    """A worker commits after each record. It is cancelled when it has done the fourth, but not yet committed it: just
    this one comes again."""
    topic, group = await lab.topic(), lab.name("group")
    await lab.send(topic, numbered(1, 10))
    done: list[str] = []
    did_the_fourth = asyncio.Event()

    async def work() -> None:
        async with lab.consumer(topic, group=group) as consumer:
            async for record in consumer:
                done.append(record.value.decode())
                if len(done) == 4:
                    did_the_fourth.set()
                    await asyncio.Future()  # it never gets to the commit
                await consumer.commit()

    worker = asyncio.create_task(work())
    await asyncio.wait_for(did_the_fourth.wait(), PATIENCE)
    worker.cancel()
    with suppress(asyncio.CancelledError):
        await worker

    async with lab.consumer(topic, group=group) as successor:
        done += texts(await to_end(successor))

    assert done == numbered(1, 4) + numbered(4, 10)


async def test_after_the_commit_nothing_comes_again(lab: Lab) -> None:
    """The same without a crash: all ten are done and committed. The next consumer of the group finds nothing to do."""
    topic, group = await lab.topic(), lab.name("group")
    await lab.send(topic, numbered(1, 10))

    async with lab.consumer(topic, group=group) as first:
        assert texts(await take(first, 10)) == numbered(1, 10)
        await first.commit()

    async with lab.consumer(topic, group=group) as second:
        assert await to_end(second) == []


async def test_a_commit_covers_all_before_it(lab: Lab) -> None:
    """A commit is one number for a partition, not a tick beside each record. Whoever does records side by side and commits
    the tenth has also committed the third, which failed: it does not come again."""
    topic, group = await lab.topic(), lab.name("group")
    await lab.send(topic, numbered(1, 12))

    async with lab.consumer(topic, group=group) as first:
        side_by_side = await take(first, 10)
        failed = side_by_side[2]
        await first.commit({TopicPartition(topic, 0): side_by_side[-1].offset + 1})

    async with lab.consumer(topic, group=group) as second:
        again = texts(await to_end(second))
    assert again == numbered(11, 12)
    assert failed.value.decode() not in again
