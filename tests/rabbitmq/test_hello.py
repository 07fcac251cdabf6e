"""A queue keeps messages until somebody has taken them. Unlike Kafka's log it is not read but emptied: a message that was
acknowledged is gone, for everybody. Chopar uses queues for jobs, of which each is to be done by one worker, and a log for
events, which many read.
"""

from chopar.lab.rabbit import Lab, deliveries, in_hand, letter, numbered, text, texts


async def test_hello_world(lab: Lab) -> None:
    """A program sends a greeting, another takes it. They need not run at the same time: the queue keeps it."""
    queue = await lab.queue("hello")

    await lab.channel.default_exchange.publish(letter("Hello World!"), routing_key=queue.name)

    message = await queue.get()
    assert text(message) == "Hello World!"
    await message.ack()


async def test_a_message_is_gone_when_it_was_taken(lab: Lab) -> None:
    """Twelve messages are taken, in the order in which they were sent. Whoever looks afterwards finds nothing."""
    queue = await lab.queue()
    await lab.send(queue, numbered(1, 12))
    assert await lab.ready(queue) == 12

    assert await lab.empty(queue) == numbered(1, 12)

    assert await lab.ready(queue) == 0
    assert await queue.get(fail=False) is None


async def test_a_consumer_is_sent_messages_as_they_come(lab: Lab) -> None:
    """Asking again and again is the exception. A consumer says once that it wants a queue's messages, and RabbitMQ
    delivers: those that lie there, then each new one."""
    queue = await lab.queue()
    await lab.send(queue, numbered(1, 5))

    async with lab.consumer() as channel:
        inbox = await deliveries(await channel.get_queue(queue.name))
        assert texts(await in_hand(inbox, 5)) == numbered(1, 5)
        await lab.send(queue, numbered(6, 10))
        assert texts(await in_hand(inbox, 5)) == numbered(6, 10)


async def test_each_message_goes_to_one_consumer(lab: Lab) -> None:
    """Two consumers of one queue compete. RabbitMQ deals the messages out in turn: no message goes to both."""
    queue = await lab.queue()

    async with lab.consumer() as one, lab.consumer() as other:
        ones = await deliveries(await one.get_queue(queue.name))
        others = await deliveries(await other.get_queue(queue.name))
        await lab.send(queue, numbered(1, 12))
        got_one, got_other = texts(await in_hand(ones, 6)), texts(await in_hand(others, 6))

        assert sorted(got_one + got_other) == numbered(1, 12)
        assert got_one == sorted(got_one)
        assert got_other == sorted(got_other)
