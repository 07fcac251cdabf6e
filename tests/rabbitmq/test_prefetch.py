"""Prefetch is the number of messages that a consumer may have in hand, delivered and not acknowledged. Without it RabbitMQ
sends all it has to whoever asks first. It bounds the memory of a worker, what is repeated when it dies, and how unevenly
work is dealt out. In Chopar it is the number of mails that a mailer sends at a time.
"""

from chopar.lab.rabbit import Lab, deliveries, in_hand, numbered, text, texts


async def test_no_more_than_prefetch_is_in_hand(lab: Lab) -> None:
    """Twelve messages, prefetch three: three are in hand, nine wait. Each ack makes room for just one more."""
    queue = await lab.queue()
    await lab.send(queue, numbered(1, 12))

    async with lab.consumer(prefetch=3) as channel:
        inbox = await deliveries(await channel.get_queue(queue.name))
        three = await in_hand(inbox, 3)
        assert texts(three) == numbered(1, 3)
        assert await lab.ready(queue) == 9

        await three[0].ack()

        assert texts(await in_hand(inbox, 1)) == ["m04"]
        assert await lab.ready(queue) == 8


async def test_without_prefetch_the_first_gets_all(lab: Lab) -> None:
    """Prefetch 0 is no bound. The first consumer has all twelve in hand before it has done one; a second that comes to
    help finds nothing."""
    queue = await lab.queue()
    await lab.send(queue, numbered(1, 12))

    async with lab.consumer(prefetch=0) as channel:
        await in_hand(await deliveries(await channel.get_queue(queue.name)), 12)

        async with lab.consumer(prefetch=0) as helper:
            its_queue = await helper.get_queue(queue.name)
            assert await its_queue.get(fail=False) is None


async def test_a_slow_worker_gets_less(lab: Lab) -> None:
    """With prefetch one a worker gets its next message when it has done the last. The slow one never gets beyond its
    first, the quick one does the other eleven: work goes where there is time for it."""
    queue = await lab.queue()

    async with lab.consumer(prefetch=1) as slow, lab.consumer(prefetch=1) as quick:
        slow_inbox = await deliveries(await slow.get_queue(queue.name))
        quick_inbox = await deliveries(await quick.get_queue(queue.name))
        await lab.send(queue, numbered(1, 12))
        on_the_desk = await in_hand(slow_inbox, 1)
        done: list[str] = []
        for _ in range(11):
            (message,) = await in_hand(quick_inbox, 1)
            done += texts([message])
            await message.ack()

        assert slow_inbox.empty()
        assert sorted(done + texts(on_the_desk)) == numbered(1, 12)


async def test_prefetch_bounds_what_a_crash_repeats(lab: Lab) -> None:
    """A worker with prefetch two dies after five of ten, with the next two in hand. Two come again as redelivered; three
    nobody has seen."""
    queue = await lab.queue()
    await lab.send(queue, numbered(1, 10))

    async with lab.consumer(prefetch=2) as channel:
        inbox = await deliveries(await channel.get_queue(queue.name))
        for _ in range(5):
            (message,) = await in_hand(inbox, 1)
            await message.ack()
        await in_hand(inbox, 2)

    rest = await lab.take(queue, 5)
    assert {text(message) for message in rest if message.redelivered} == {"m06", "m07"}
    assert {text(message) for message in rest if not message.redelivered} == {"m08", "m09", "m10"}
