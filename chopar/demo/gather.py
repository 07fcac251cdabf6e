"""Finds what really came of a run: reads every place where something can stand, each on its own."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from activity import names, order
from activity.errors import Unreachable
from activity.events import LogRecord, decode_log
from activity.settings import PREFIX, Settings
from chopar.demo.evidence import DeadRecord, Evidence, Row
from chopar.demo.strangers import BUSY
from chopar.demo.traffic import Identity, is_of_run
from chopar.inbox.folder import Folder
from store.jobs import JobRow
from store.opening import Store
from streams.topics import kafka_address

PAGE: Final = 2000


class Kafka:
    """What stands on the topics since `begin`. Raises Unreachable when Kafka does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._where = kafka_address(settings)
        self._partitions = settings.partitions
        self._begin: dict[TopicPartition, int] = {}

    async def begin(self) -> None:
        """From now on."""
        topics = (names.EVENTS, names.LOG, names.DEAD, names.USERS_CHANGELOG)
        self._begin = await self._ends([TopicPartition(topic, number) for topic in topics for number in range(self._partitions)])

    async def count(self, topic: str) -> int:
        """How many records came on `topic`, those of others included."""
        ends = await self._ends(self._of(topic))
        return sum(end - self._begin[place] for place, end in ends.items())

    async def unread(self, group: str, topic: str) -> int:
        """How many records of `topic` the group has not committed."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._where)
        try:
            await admin.start()
            committed = await admin.list_consumer_group_offsets(group)
        except KafkaError as error:
            if isinstance(error, BUSY):  # the group's coordinator is changing: at least one, for all we know
                return 1
            raise self._unreachable(error) from None
        finally:
            await admin.close()
        ends = await self._ends(self._of(topic))
        return sum(end - max(committed[place].offset, 0) if place in committed else end for place, end in ends.items())

    async def records(self, topic: str) -> list[tuple[bytes | None, bytes | None, dict[str, bytes]]]:
        """Key, value and headers of all that came on `topic`, in the order of each partition."""
        found = []
        try:
            async with self._consumer() as consumer:
                places = self._of(topic)
                ends = await consumer.end_offsets(places)
                consumer.assign(places)
                for place in places:  # at once: from the next await on the consumer would choose a place itself
                    consumer.seek(place, self._begin[place])
                unread = {place for place in places if self._begin[place] < ends[place]}
                while unread:
                    for place, batch in (await consumer.getmany(*unread, timeout_ms=1000)).items():
                        found += [
                            (record.key, record.value, dict(record.headers)) for record in batch if record.offset < ends[place]
                        ]
                    unread = {place for place in unread if await consumer.position(place) < ends[place]}
        except KafkaError as error:
            raise self._unreachable(error) from None
        return found

    async def _ends(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        try:
            async with self._consumer() as consumer:
                return dict(await consumer.end_offsets(places))
        except KafkaError as error:
            raise self._unreachable(error) from None

    def _of(self, topic: str) -> list[TopicPartition]:
        return [place for place in self._begin if place.topic == topic]

    def _consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(bootstrap_servers=self._where, enable_auto_commit=False, auto_offset_reset="earliest")

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(f"{PREFIX}KAFKA_URL", self._where, str(error) or type(error).__name__, "see its log")


async def gather(run: str, users: Sequence[str], kafka: Kafka, store: Store, inbox: Folder) -> Evidence:
    """Reads everything there is of `run`."""
    events = await kafka.records(names.EVENTS)
    log = [_row(decode_log(value)) for key, value, _ in await kafka.records(names.LOG) if value and is_of_run(key, run)]
    dead, unfit = await _dead(run, kafka)
    states = {key: value for key, value, _ in await kafka.records(names.USERS_CHANGELOG) if value and is_of_run(key, run)}
    decoded = [order.decode(value) for value in states.values()]
    return Evidence(
        read=sum(is_of_run(key, run) for key, _, _ in events),
        log=log,
        stored=[row for user in users for row in await stored(store, user)],
        dead=dead,
        unfit=unfit,
        duplicates=sum(state.duplicates for state in decoded),
        waiting=sum(len(source.waiting) for state in decoded for source in state.sources.values()),
        jobs=await jobs_of(store, users),
        mails=Counter(mail.message_id.partition("@")[0] for mail in inbox.mails()),
    )


async def stored(store: Store, user: str) -> list[Row]:
    """What the store has of `user`, the oldest first."""
    rows: list[Row] = []
    before = None
    while page := await store.log.read(user, before=before, limit=PAGE):
        before = page[-1].position
        for entry in page:
            sequence = None if entry.sequence is None else int(entry.sequence)
            rows.append(Row(Identity(user, entry.source, entry.event_id, sequence), entry.position, entry.verdict))
    return rows[::-1]


async def jobs_of(store: Store, users: Sequence[str]) -> dict[str, JobRow]:
    """The jobs that the ledger has of these users."""
    ours, found = frozenset(users), dict[str, JobRow]()
    last = None
    while page := await store.jobs.jobs(limit=PAGE, after=last):
        last = page[-1].id
        mine = [job for job in page if job.user_id in ours]
        found |= {job.id: job for job in mine}
        if not mine:  # the newest are the first; what follows is of earlier runs
            break
    return found


async def _dead(run: str, kafka: Kafka) -> tuple[list[DeadRecord], list[DeadRecord]]:
    """The events that were refused, and the logged ones of which a rule could not make its job."""
    refused: list[DeadRecord] = []
    unfit: list[DeadRecord] = []
    for key, value, headers in await kafka.records(names.DEAD):
        if is_of_run(key, run):
            record = DeadRecord(key, value, headers[names.REASON_HEADER].decode())
            origin = headers[f"{names.ERROR_HEADER}topic"].decode()
            (refused if origin == names.EVENTS else unfit).append(record)
    return refused, unfit


def _row(record: LogRecord) -> Row:
    sequence = None if record.sequence is None else int(record.sequence)
    return Row(Identity(record.subject, record.source, record.id, sequence), record.position, record.verdict)
