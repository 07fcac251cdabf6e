"""`activity.log` → the store: the queryable activity log."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from activity import names
from activity.chunk import Chunk, Record
from activity.errors import Unreachable
from activity.events import LogRecord, Refused, decode_log
from activity.sequencing import Step, dead_letter
from agents.patience import patiently
from rabbit.failpoints import failpoint
from store.log import Entry


class Store(Protocol):
    """Where entries are kept; what stands already is passed over."""

    async def append(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Returns once all are durable; gives those that contradict the log, which are not and never can be.

        Raises Unreachable when the store is away.
        """


class Outputs(Protocol):
    """Where records that can't be kept go."""

    async def deliver(self, chunk: Chunk, step: Step) -> None:
        """Returns once Kafka has confirmed all, and waits when it is away."""


async def archiver(chunk: Chunk, *, store: Store, outputs: Outputs) -> None:
    """Write a chunk as one transaction, then let its offsets go. A repeat finds its entries there and changes nothing."""
    failpoint("archiver.taken")
    entries: list[Entry] = []
    step = Step()
    for record in chunk:
        entry = read_entry(chunk, record)
        if isinstance(entry, Refused):
            step.dead.append(dead_letter(chunk, record, entry))
        else:
            entries.append(entry)
    if step.dead:
        await outputs.deliver(chunk, step)
    if entries:
        conflicts = await patiently(lambda: store.append(entries), chunk, "the store", (Unreachable,))
        if conflicts:
            await outputs.deliver(chunk, _contradictions(chunk, conflicts))
    failpoint("archiver.appended")
    chunk.done()
    failpoint("archiver.done")


def _contradictions(chunk: Chunk, entries: Sequence[Entry]) -> Step:
    """What contradicts the log, or can't be held by the store, as dead letters."""
    refused = Refused("log-conflict", "its position is another event's in the store, or the store can't hold it")
    offsets = {entry.kafka_offset for entry in entries}
    step = Step()
    for record in chunk:
        if record.offset in offsets:
            step.dead.append(dead_letter(chunk, record, refused))
    return step


def read_entry(chunk: Chunk, record: Record) -> Entry | Refused:
    """The entry that a record of `activity.log` makes; Refused if somebody else wrote it."""
    if record.value is None:
        return Refused("null-value", f"a record of {names.LOG} without a value")
    try:
        found = decode_log(record.value)
    except msgspec.DecodeError as error:
        return Refused("bad-log-record", str(error))
    return entry_of(found, record.value, chunk.partition, record.offset)


def entry_of(found: LogRecord, value: bytes, partition: int, offset: int) -> Entry:
    """The row of the store for a decoded record."""
    return Entry(
        user_id=found.subject,
        position=found.position,
        source=found.source,
        event_id=found.id,
        type=found.type,
        time=found.time,
        received=found.received,
        sequence=found.sequence,
        verdict=found.verdict,
        event=value,
        kafka_partition=partition,
        kafka_offset=offset,
    )
