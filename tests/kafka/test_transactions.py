"""At least once becomes exactly once when output and bookmark are one: a transaction sends records and commits the offsets
of what they were made from, all or nothing. A reader with `read_committed` sees nothing of a transaction that was aborted or
is still open. It covers Kafka and nothing else: an email that was sent stays sent. Therefore Chopar doesn't build on
transactions; it hands over at least once and recognises repeats where it counts, in the store.
"""

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import ProducerFenced

from chopar.lab.kafka import Lab, numbered, take, texts, to_end

SHOUTED = [value.upper() for value in numbered(1, 10)]


class Crash(Exception):
    """The program ends here."""


async def test_at_least_once_a_crash_is_seen_in_the_output(lab: Lab) -> None:
    """A program reads ten records, sends each on in capitals, and dies before it commits. The next one does all again:
    twenty records lie in the output."""
    source, target, group = await lab.topic(), await lab.topic(), lab.name("group")
    await lab.send(source, numbered(1, 10))

    async with lab.consumer(source, group=group) as consumer, lab.producer() as producer:
        await _shout(producer, target, await take(consumer, 10))
    async with lab.consumer(source, group=group) as consumer, lab.producer() as producer:
        await _shout(producer, target, await take(consumer, 10))
        await consumer.commit()

    assert texts(await lab.everything(target, isolation_level="read_committed")) == SHOUTED * 2


async def test_exactly_once_a_crash_is_not_seen(lab: Lab) -> None:
    """The same in a transaction. The crash aborts it: neither the output nor the bookmark is there. The next program
    does all again, and a reader with `read_committed` sees each record once; the others are there, but void."""
    source, target, group = await lab.topic(), await lab.topic(), lab.name("group")
    await lab.send(source, numbered(1, 10))

    async def run(crash: bool) -> None:
        async with lab.consumer(source, group=group) as consumer, lab.producer(transactional_id=f"{group}-t") as producer:
            assert await consumer.committed(TopicPartition(source, 0)) is None
            records = await take(consumer, 10)
            async with producer.transaction():
                await _shout(producer, target, records)
                await producer.send_offsets_to_transaction(_bookmark(records), group)
                if crash:
                    raise Crash

    with pytest.raises(Crash):
        await run(crash=True)
    await run(crash=False)

    assert texts(await lab.everything(target, isolation_level="read_committed")) == SHOUTED
    assert texts(await lab.everything(target, isolation_level="read_uncommitted")) == SHOUTED * 2
    async with lab.consumer(source, group=group) as consumer:
        assert await to_end(consumer) == [], "the bookmark was committed with the output"


async def test_nothing_is_seen_of_an_aborted_transaction(lab: Lab) -> None:
    """Ten records are sent in a transaction that is aborted, then one outside of it. A reader with `read_committed` gets
    the one; a reader without, which is the default, gets eleven."""
    target = await lab.topic()

    async with lab.producer(transactional_id=lab.name("transaction")) as producer:
        await producer.begin_transaction()
        for value in numbered(1, 10):
            await producer.send_and_wait(target, value.encode())
        await producer.abort_transaction()
    await lab.send(target, ["the end"])

    assert texts(await lab.everything(target, isolation_level="read_committed")) == ["the end"]
    assert texts(await lab.everything(target)) == [*numbered(1, 10), "the end"]


async def test_an_open_transaction_holds_up_its_readers(lab: Lab) -> None:
    """A transaction has sent ten records and is still open; another program sends one behind them. A `read_committed`
    reader may not pass the open ones, so for it the topic ends before them. With the commit all eleven are there."""
    target = await lab.topic()
    partition = TopicPartition(target, 0)

    async with (
        lab.producer(transactional_id=lab.name("transaction")) as producer,
        lab.consumer(target, isolation_level="read_committed") as reader,
    ):
        await producer.begin_transaction()
        for value in numbered(1, 10):
            await producer.send_and_wait(target, value.encode())
        await lab.send(target, ["behind"])
        assert await reader.end_offsets([partition]) == {partition: 0}

        await producer.commit_transaction()

        assert texts(await take(reader, 11)) == [*numbered(1, 10), "behind"]


async def test_a_program_that_was_replaced_can_no_longer_commit(lab: Lab) -> None:
    """A program was paused for so long that another was started with its transactional id. When it awakes in the midst
    of its transaction it is fenced off: its records are void, and only its successor's are seen."""
    target, transactional_id = await lab.topic(), lab.name("transaction")

    async with lab.producer(transactional_id=transactional_id) as zombie:
        await zombie.begin_transaction()
        for value in numbered(1, 10):
            await zombie.send_and_wait(target, value.encode())

        async with lab.producer(transactional_id=transactional_id) as successor, successor.transaction():
            for value in numbered(11, 15):
                await successor.send_and_wait(target, value.encode())

        with pytest.raises(ProducerFenced):
            await zombie.commit_transaction()

    assert texts(await lab.everything(target, isolation_level="read_committed")) == numbered(11, 15)


async def test_what_is_done_outside_of_kafka_is_done_twice(lab: Lab) -> None:
    """For each record an email is sent. The transaction is aborted after six, and the next run begins anew: the output is
    exactly once, but six people have two emails."""
    source, target, group = await lab.topic(), await lab.topic(), lab.name("group")
    await lab.send(source, numbered(1, 10))
    emails: list[str] = []

    async def run(crash_after: int | None) -> None:
        async with lab.consumer(source, group=group) as consumer, lab.producer(transactional_id=f"{group}-t") as producer:
            records = await take(consumer, 10)
            async with producer.transaction():
                for record in records[:crash_after]:
                    emails.append(record.value.decode())
                    await _shout(producer, target, [record])
                if crash_after is not None:
                    raise Crash
                await producer.send_offsets_to_transaction(_bookmark(records), group)

    with pytest.raises(Crash):
        await run(crash_after=6)
    await run(crash_after=None)

    assert texts(await lab.everything(target, isolation_level="read_committed")) == SHOUTED
    assert emails == numbered(1, 6) + numbered(1, 10)


async def _shout(producer: AIOKafkaProducer, target: str, records: list[ConsumerRecord]) -> None:
    """The program's work: each record in capitals, all of them stored when it returns."""
    for record in records:
        await producer.send_and_wait(target, record.value.upper())


def _bookmark(records: list[ConsumerRecord]) -> dict[TopicPartition, int]:
    """Behind the last of them."""
    last = records[-1]
    return {TopicPartition(last.topic, last.partition): last.offset + 1}
