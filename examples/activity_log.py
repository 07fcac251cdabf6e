"""An activity log: events on a Kafka topic, a consumer that stores and prints them: make activity-log."""

import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from activity.chunk import Chunk
from activity.names import EVENTS, LOG
from activity.sequencing import Step
from agents.archiver import archiver
from brokers.discovery import read_settings
from brokers.local import KAFKA, one_broker
from chopar.delivery import delivering
from chopar.lab.kafka import Lab
from examples.running import say, start
from store.interfaces import Log
from store.log import Entry
from store.opening import open_store
from streams.app import create_sequencer_app
from streams.topics import kafka_address

SOURCE = "/learn"
RUN = secrets.token_hex(2)
ANN, BEN = f"ann-{RUN}", f"ben-{RUN}"
SENT = [(ANN, 1, "user.signed_up"), (BEN, 1, "user.signed_up"), (ANN, 3, "order.placed"), (ANN, 2, "page.viewed")]
SENT += [(ANN, 3, "order.placed"), (BEN, 2, "user.left")]  # in disorder, and one of them twice


class Printer:
    """The log in the store, which also prints what is new of this run."""

    def __init__(self, log: Log) -> None:
        self.log, self.missing = log, len(set(SENT))

    async def append(self, entries: Sequence[Entry]) -> list[Entry]:
        """Stores first, prints then."""
        appended = await self.log.append(entries)
        for entry in [entry for entry in entries if entry.source == SOURCE]:
            self.missing -= entry.user_id in (ANN, BEN)
            say(f"stored {entry.user_id} #{entry.position} {entry.type}, which had sequence {entry.sequence}")
        return appended.conflicts

    async def deliver(self, chunk: Chunk, step: Step) -> None:
        """Would take what can't be stored; nothing here is of that kind."""


def event(user: str, sequence: int, type: str) -> bytes:
    """A CloudEvent."""
    attributes = {"specversion": "1.0", "id": f"{RUN}-{sequence}", "source": SOURCE, "type": type}
    return msgspec.json.encode({**attributes, "subject": user, "sequence": str(sequence)})


async def main() -> None:
    """Sends SENT to `activity.events`; the sequencer puts it in order on `activity.log`; that is stored and printed."""
    settings = read_settings()
    with tempfile.TemporaryDirectory() as folder:
        async with one_broker(KAFKA, settings) as url, open_store(f"sqlite:///{folder}/log.db") as store:
            settings = msgspec.structs.replace(settings, kafka_url=url, data_dir=Path(folder))
            async with create_sequencer_app(settings), delivering(settings) as delivery:
                for user, sequence, type in SENT:
                    await delivery.send(EVENTS, user.encode(), event(user, sequence, type))
                    say(f"sent   {user} sequence {sequence} {type}")
                await delivery.flush()
                printer = Printer(store.log)
                async with Lab(kafka_address(settings)).consumer(LOG, group="learn-log") as consumer:
                    while printer.missing:
                        for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                            await archiver(Chunk(LOG, partition.partition, records), store=printer, outputs=printer)
                            await consumer.commit({partition: records[-1].offset + 1})
                for user in (ANN, BEN):
                    entries = await store.log.read(user)
                    say(f"the log of {user}: {', '.join(entry.type for entry in reversed(entries))}")


if __name__ == "__main__":
    start(main())
