"""With at-least-once a repeat is normal: a sender that got no answer sends again, a consumer that died is followed by one
that begins earlier. It does no harm if the handling is idempotent: a second time has the effect of once. The usual way is
to remember the ids of what was done, in the same place as its effect, so that both are there or neither. Chopar's table
`users` and its send ledger are such memories.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from aiokafka import ConsumerRecord

from chopar.lab.kafka import Lab, take, to_end


@dataclass
class Account:
    """Stands for a database, which outlives the consumers: a balance, and the ids of the payments in it."""

    balance: int = 0
    seen: set[bytes] = field(default_factory=set)

    def add(self, payment: ConsumerRecord) -> None:
        """Adds it, each time that it is asked to."""
        self.balance += int(payment.value)

    def add_once(self, payment: ConsumerRecord) -> None:
        """Adds it unless a payment with this id is in the balance."""
        if payment.key not in self.seen:
            self.add(payment)
            self.seen.add(payment.key)


async def test_a_repeat_by_the_sender_counts_once(lab: Lab) -> None:
    """Ten payments of 1. The sender had no answer for three of them and sends these again, with the same ids: thirteen
    records. Who just adds gets 13, who remembers ids gets 10."""
    topic = await lab.topic()
    payments = [f"payment-{number}" for number in range(1, 11)]
    await _pay(lab, topic, payments)
    await _pay(lab, topic, payments[4:7])

    forgetful, remembering = Account(), Account()
    for record in await lab.everything(topic):
        forgetful.add(record)
        remembering.add_once(record)

    assert forgetful.balance == 13
    assert remembering.balance == 10


async def test_a_repeat_by_a_crash_counts_once(lab: Lab) -> None:
    """A consumer adds eight of twelve payments and dies before its commit; its successor begins at the first. As the ids
    are kept with the balance and not in the consumer, the successor knows them."""
    topic, group = await lab.topic(), lab.name("group")
    await _pay(lab, topic, [f"payment-{number}" for number in range(1, 13)])
    account = Account()

    async with lab.consumer(topic, group=group) as first:
        for record in await take(first, 8):
            account.add_once(record)
    async with lab.consumer(topic, group=group) as second:
        again = await to_end(second)
        for record in again:
            account.add_once(record)

    assert len(again) == 12
    assert account.balance == 12


async def test_a_memory_that_dies_with_the_consumer_does_not_help(lab: Lab) -> None:
    """The same crash, but each consumer remembers only what it did itself. The eight payments are in the balance twice."""
    topic, group = await lab.topic(), lab.name("group")
    await _pay(lab, topic, [f"payment-{number}" for number in range(1, 13)])
    account = Account()

    async with lab.consumer(topic, group=group) as first:
        for record in await take(first, 8):
            account.add_once(record)
    account.seen.clear()
    async with lab.consumer(topic, group=group) as second:
        for record in await to_end(second):
            account.add_once(record)

    assert account.balance == 8 + 12


async def test_an_idempotent_producer_does_not_know_a_second_send(lab: Lab) -> None:
    """Kafka does this for the producer's own retries: each record has a number, and the broker drops one that it
    has. It can't know that a program calls `send` again for the same thing; for that there is the id."""
    topic = await lab.topic()

    async with lab.producer(enable_idempotence=True) as producer:
        for _ in range(2):
            await producer.send_and_wait(topic, b"1", key=b"payment-1")

    account = Account()
    records = await lab.everything(topic)
    for record in records:
        account.add_once(record)
    assert (len(records), account.balance) == (2, 1)


async def _pay(lab: Lab, topic: str, ids: Iterable[str]) -> None:
    for payment in ids:
        await lab.send(topic, ["1"], key=payment)
