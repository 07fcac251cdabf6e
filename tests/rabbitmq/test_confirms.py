"""Without more, a publisher learns nothing: a message may be lost on the way, or fit no queue. With publisher confirms
RabbitMQ answers for each message that it has it (for a persistent one in a durable queue: on disk). With `mandatory` it
gives back what no queue wants. Chopar's notifier commits its Kafka offset only after the confirm.
"""

import asyncio

import aio_pika
import pytest
from aio_pika import ExchangeType
from aio_pika.exceptions import DeliveryError, PublishError
from pamqp.commands import Basic

from chopar.lab.rabbit import Lab, letter, numbered


async def test_a_confirm_says_that_the_broker_has_it(lab: Lab) -> None:
    """`publish` returns when RabbitMQ has confirmed. From then on it is RabbitMQ's: the messages are in the queue, though
    the publisher's connection is closed at once."""
    queue = await lab.queue()

    async with lab.consumer() as channel:
        for body in numbered(1, 10):
            answer = await channel.default_exchange.publish(letter(body), routing_key=queue.name)
            assert isinstance(answer, Basic.Ack)

    assert await lab.empty(queue) == numbered(1, 10)


async def test_confirms_can_be_awaited_together(lab: Lab) -> None:
    """To wait for each before sending the next costs a journey there and back for each. Twenty are sent and then waited
    for; each has its own answer, and all arrived in the order in which they were sent."""
    queue = await lab.queue()

    exchange = lab.channel.default_exchange
    answers = await asyncio.gather(*(exchange.publish(letter(body), routing_key=queue.name) for body in numbered(1, 20)))

    assert all(isinstance(answer, Basic.Ack) for answer in answers)
    assert await lab.empty(queue) == numbered(1, 20)


async def test_a_mandatory_message_that_no_queue_wants_comes_back(lab: Lab) -> None:
    """A queue is bound for invoices, and somebody publishes with a misspelt key. As the message is mandatory it is
    returned, and the publisher gets an error instead of a confirm."""
    exchange, queue = await lab.exchange(ExchangeType.DIRECT), await lab.queue()
    await queue.bind(exchange, "invoice")

    await exchange.publish(letter("for somebody"), routing_key="invoice", mandatory=True)
    with pytest.raises(PublishError) as caught:
        await exchange.publish(letter("for nobody"), routing_key="invioce", mandatory=True)

    assert caught.value.message is not None
    assert caught.value.message.body == b"for nobody"
    assert await lab.empty(queue) == ["for somebody"]


async def test_without_mandatory_it_is_confirmed_and_gone(lab: Lab) -> None:
    """The same mistake without `mandatory`: RabbitMQ confirms, since it has done all that it was asked to do. The message
    is nowhere."""
    exchange, queue = await lab.exchange(ExchangeType.DIRECT), await lab.queue()
    await queue.bind(exchange, "invoice")

    answer = await exchange.publish(letter("for nobody"), routing_key="invioce", mandatory=False)

    assert isinstance(answer, Basic.Ack)
    assert await lab.empty(queue) == []


async def test_a_full_queue_can_refuse(lab: Lab) -> None:
    """A queue has room for five and rejects what is more. RabbitMQ answers a nack for those: the publisher knows that
    they are still its own. (By default a full queue drops its oldest messages instead, silently.)"""
    full = await lab.queue(arguments={"x-max-length": 5, "x-overflow": "reject-publish"})
    refused: list[str] = []

    for body in numbered(1, 12):
        try:
            await lab.send(full, [body])
        except DeliveryError:
            refused.append(body)

    assert await lab.empty(full) == numbered(1, 5)
    assert refused == numbered(6, 12)


async def test_without_confirms_nobody_is_told(lab: Lab) -> None:
    """The same full queue, and a channel without confirms: each `publish` returns, without an answer, whether the message
    was kept or not. Seven of twelve are lost, and the publisher believes that it has sent all."""
    full = await lab.queue(arguments={"x-max-length": 5, "x-overflow": "reject-publish"})
    sent: list[str] = []

    connection = await aio_pika.connect(lab.url)
    async with connection:
        channel = await connection.channel(publisher_confirms=False)
        for body in numbered(1, 12):
            assert await channel.default_exchange.publish(letter(body), routing_key=full.name) is None
            sent.append(body)
        await channel.declare_queue(full.name, passive=True)  # it answers after all that was sent before

    assert sent == numbered(1, 12)
    assert await lab.empty(full) == numbered(1, 5)
