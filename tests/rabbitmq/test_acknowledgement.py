"""A delivered message is not gone: it is in the consumer's hand until that says what became of it. *Ack*: it is done, forget
it. *Nack* (or reject) with requeue: give it to somebody, perhaps me again. Without requeue: drop it, or dead-letter it where
the queue says so (see `test_retry`). A connection that closes counts as requeue. Chopar acknowledges last of all.
"""

from chopar.lab.rabbit import Lab, deliveries, in_hand, numbered, text, texts


async def test_an_acknowledged_message_is_gone(lab: Lab) -> None:
    """A consumer takes ten, acknowledges the first four, and its connection closes. The six others are in the queue again,
    and only they."""
    queue = await lab.queue()
    await lab.send(queue, numbered(1, 10))

    async with lab.consumer() as channel:
        inbox = await deliveries(await channel.get_queue(queue.name))
        ten = await in_hand(inbox, 10)
        for message in ten[:4]:
            await message.ack()

    assert texts(await lab.take(queue, 6)) == numbered(5, 10)
    assert await lab.ready(queue) == 0


async def test_what_was_in_hand_comes_again_when_the_connection_closes(lab: Lab) -> None:
    """A consumer takes all twelve and dies without a word. RabbitMQ notices that the connection is gone, puts them back in
    their old order and gives them to another, marked as redelivered: perhaps somebody has seen them."""
    queue = await lab.queue()
    await lab.send(queue, numbered(1, 12))

    async with lab.consumer() as dying:
        inbox = await deliveries(await dying.get_queue(queue.name))
        taken = await in_hand(inbox, 12)
        assert not any(message.redelivered for message in taken)
        assert await lab.ready(queue) == 0, "while it lives, nobody else gets them"

    again = await lab.take(queue, 12)
    assert texts(again) == numbered(1, 12)
    assert all(message.redelivered for message in again)


async def test_a_nack_with_requeue_puts_it_back(lab: Lab) -> None:
    """A consumer can't do m01 just now and gives it back. It goes to its old place at the head, and so comes again at
    once, before the others: with nobody else to do it, this is a busy loop. Chopar waits in a delay queue instead."""
    queue = await lab.queue()
    await lab.send(queue, numbered(1, 10))

    message = await queue.get()
    assert (text(message), message.redelivered) == ("m01", False)
    await message.nack(requeue=True)

    again = await queue.get()
    assert (text(again), again.redelivered) == ("m01", True)
    await again.ack()
    assert await lab.empty(queue) == numbered(2, 10)


async def test_a_reject_without_requeue_drops_it(lab: Lab) -> None:
    """A consumer refuses each third message for good. The queue has no dead-letter exchange, so they are gone without a
    trace; the others are done."""
    queue = await lab.queue()
    await lab.send(queue, numbered(1, 12))
    done: list[str] = []

    for number in range(1, 13):
        message = await queue.get()
        if number % 3 == 0:
            await message.reject(requeue=False)
        else:
            done.append(text(message))
            await message.ack()

    assert done == [body for body in numbered(1, 12) if body not in {"m03", "m06", "m09", "m12"}]
    assert await lab.ready(queue) == 0


async def test_one_word_can_settle_many(lab: Lab) -> None:
    """With `multiple` an ack is for this message and all before it that are in hand on the same channel. Ten are taken,
    the seventh is acknowledged so: three come again."""
    queue = await lab.queue()
    await lab.send(queue, numbered(1, 10))

    async with lab.consumer() as channel:
        ten = await in_hand(await deliveries(await channel.get_queue(queue.name)), 10)
        await ten[6].ack(multiple=True)

    assert texts(await lab.take(queue, 3)) == numbered(8, 10)
    assert await lab.ready(queue) == 0


async def test_without_acknowledgements_a_crash_loses_messages(lab: Lab) -> None:
    """A consumer may say that it won't acknowledge. Then a message is gone as soon as it is sent off: the consumer has
    done three of ten when it dies, and the other seven are lost. This is at most once."""
    queue = await lab.queue()
    await lab.send(queue, numbered(1, 10))

    async with lab.consumer() as channel:
        inbox = await deliveries(await channel.get_queue(queue.name), no_ack=True)
        ten = await in_hand(inbox, 10)
        done = texts(ten[:3])

    assert done == numbered(1, 3)
    assert await lab.ready(queue) == 0
