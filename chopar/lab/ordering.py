"""One user's events with a key and without: what Kafka keeps in order, and what the sequencer does with the rest."""

from typing import Final

from aiokafka import ConsumerRecord, TopicPartition

from activity.events import Event
from activity.order import Accepted, Duplicate, State, advance
from chopar.lab.kafka import Lab, take, to_end
from chopar.lab.teller import Teller

USER: Final = "ann"
NUMBERS: Final = tuple(str(number) for number in range(1, 7))


async def ordering(lab: Lab, teller: Teller, *, partitions: int) -> None:
    """Sends six numbered events of one user to a topic of so many partitions, twice, and reads them."""
    await teller.step(f"Six events of {USER}, each sent with the key {USER!r}. On which of {partitions} partitions do they lie?")
    topic = await lab.topic(partitions)
    await lab.send(topic, NUMBERS, key=USER)
    keyed = await lab.everything(topic)
    _show(teller, keyed)

    await teller.step("The same six without a key: the sender deals them out in turn. Partition 0 is slow today.")
    topic = await lab.topic(partitions)
    for at, number in enumerate(NUMBERS):
        await lab.send(topic, [number], partition=at % partitions)
    dealt = await _read_last(lab, topic, partitions)
    _show(teller, dealt)

    await teller.step("The sequencer gets them in that order, and the last one twice. They carry a sequence.")
    log = _sequence(teller, [*dealt, dealt[-1]])
    teller.showed(
        f"with a key they were read as {_order(keyed)}, without one as {_order(dealt)}: Kafka keeps the order of a partition\n"
        f"and no other. Chopar's key is the user, and by the sequence it put them back: {log}."
    )


async def _read_last(lab: Lab, topic: str, partitions: int) -> list[ConsumerRecord]:
    """All of `topic`, partition 0 after the others."""
    slow = TopicPartition(topic, 0)
    async with lab.consumer(topic) as consumer:
        if partitions == 1:
            return await to_end(consumer)
        consumer.pause(slow)
        read = await take(consumer, sum(at % partitions != 0 for at in range(len(NUMBERS))))
        consumer.resume(slow)
        return sorted(read, key=_place) + await to_end(consumer)


def _place(record: ConsumerRecord) -> tuple[int, int]:
    """Partition after partition: in which order several are read is chance, and the same text is wanted each time."""
    return record.partition, record.offset


def _show(teller: Teller, records: list[ConsumerRecord]) -> None:
    teller.rows(["read", "event", "partition", "offset"], [[f"{at}.", *_row(record)] for at, record in enumerate(records, 1)])


def _row(record: ConsumerRecord) -> tuple[str, int, int]:
    return record.value.decode(), record.partition, record.offset


def _order(records: list[ConsumerRecord]) -> str:
    return " ".join(record.value.decode() for record in records)


def _sequence(teller: Teller, records: list[ConsumerRecord]) -> str:
    """What Chopar's rule makes of them, event by event; gives the order of the log."""
    state, log, rows = State(), list[str](), list[list[str]]()
    for record in records:
        event = Event(id=record.value.decode(), source="lab", user=USER, sequence=int(record.value), raw=record.value)
        state, decisions = advance(state, event, 0.0)
        accepted = [decision for decision in decisions if isinstance(decision, Accepted)]
        log += [decision.raw.decode() for decision in accepted]
        became = "duplicate" if isinstance(decisions[0], Duplicate) else "logged" if accepted else "waits for its predecessors"
        rows.append([event.id, became, " ".join(f"#{decision.position}" for decision in accepted)])
    teller.rows(["event", "becomes", "positions given"], rows)
    return " ".join(log)
