"""A message that was done but not acknowledged comes again, and a publisher that got no confirm publishes again: with acks a
repeat is normal. The handling must bear it: a message has an id, and who did it remembers the id together with the effect.
The flag `redelivered` is no substitute. Chopar's ids are its job ids, its memory is the send ledger.
"""

from dataclasses import dataclass, field

from aio_pika.abc import AbstractIncomingMessage, AbstractQueue

from chopar.lab.rabbit import Lab, deliveries, in_hand, letter

ALL = [f"email {number:02}" for number in range(1, 11)]


@dataclass
class Outbox:
    """Stands for a store, which outlives the consumers: emails, and the ids of those that are in it."""

    emails: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def send(self, message: AbstractIncomingMessage) -> None:
        """Sends it, each time that it is asked to."""
        self.emails.append(message.body.decode())

    def send_once(self, message: AbstractIncomingMessage) -> None:
        """Sends it unless one with this id was sent."""
        assert message.message_id is not None
        if message.message_id not in self.seen:
            self.send(message)
            self.seen.add(message.message_id)


async def test_a_crash_between_work_and_ack_repeats_the_work(lab: Lab) -> None:
    """A consumer sends the emails of six of ten messages and acknowledges four. Its successor is given the other six:
    who just sends has sent two emails twice, who remembers ids has sent ten."""
    queue = await lab.queue()
    await _publish(lab, queue, range(1, 11))
    forgetful, remembering = Outbox(), Outbox()

    async with lab.consumer(prefetch=6) as dying:
        six = await in_hand(await deliveries(await dying.get_queue(queue.name)), 6)
        for message in six:
            forgetful.send(message)
            remembering.send_once(message)
        for message in six[:4]:
            await message.ack()
    for message in await lab.take(queue, 6):
        forgetful.send(message)
        remembering.send_once(message)

    assert len(forgetful.emails) == 12
    assert sorted(remembering.emails) == ALL


async def test_a_publisher_that_publishes_again_does_no_harm(lab: Lab) -> None:
    """The publisher's connection broke before three confirms came. It can't know whether these three arrived, so it
    publishes them again. They had arrived: thirteen messages are in the queue, ten emails are sent."""
    queue = await lab.queue()
    await _publish(lab, queue, range(1, 11))
    await _publish(lab, queue, range(8, 11))
    outbox = Outbox()

    messages = await lab.take(queue, 13)
    for message in messages:
        outbox.send_once(message)

    assert sorted(outbox.emails) == ALL


async def test_redelivered_is_no_substitute_for_an_id(lab: Lab) -> None:
    """Redelivered means: was sent to somebody before. A consumer died with ten in hand and had done none of them, and a
    publisher's repeat is not marked at all. Who drops what is marked sends only that repeat, and loses nine of ten."""
    queue = await lab.queue()
    await _publish(lab, queue, range(1, 11))
    async with lab.consumer() as dying:
        await in_hand(await deliveries(await dying.get_queue(queue.name)), 10)
    await _publish(lab, queue, [10])
    by_flag, by_id = Outbox(), Outbox()

    for message in await lab.take(queue, 11):
        if not message.redelivered:
            by_flag.send(message)
        by_id.send_once(message)

    assert by_flag.emails == ["email 10"]
    assert sorted(by_id.emails) == ALL


async def _publish(lab: Lab, queue: AbstractQueue, numbers: range | list[int]) -> None:
    for number in numbers:
        message = letter(f"email {number:02}", message_id=f"job-{number}")
        await lab.channel.default_exchange.publish(message, routing_key=queue.name)
