"""Finds what really came of a run: reads every place where something can stand, each on its own."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from activity import names, order
from activity.events import LogRecord, decode_log
from activity.ledger import JobRow
from activity.settings import Settings
from chopar.demo.evidence import DeadRecord, Evidence, Row
from chopar.demo.traffic import Identity, is_of_run
from chopar.inbox.folder import Folder
from chopar.partitions import reading_partitions
from store.opening import Store

PAGE: Final = 2000


class Kafka:
    """What stands on the topics since `begin`. Raises Unreachable when Kafka does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._begin: dict[str, list[int]] = {}

    async def begin(self) -> None:
        """From now on."""
        async with reading_partitions(self._settings) as kafka:
            for topic in (names.EVENTS, names.LOG, names.DEAD, names.USERS_CHANGELOG):
                self._begin[topic] = await kafka.ends(topic)

    async def count(self, topic: str) -> int:
        """How many records came on `topic`, those of others included."""
        async with reading_partitions(self._settings) as kafka:
            return sum(await kafka.ends(topic)) - sum(self._begin[topic])

    async def unread(self, group: str, topic: str) -> int:
        """How many records of `topic` the group has not committed."""
        async with reading_partitions(self._settings) as kafka:
            committed = await kafka.committed(group, topic)
            return sum(await kafka.ends(topic)) - sum(offset or 0 for offset in committed)

    async def records(self, topic: str) -> list[tuple[bytes | None, bytes | None, dict[str, bytes | None]]]:
        """Key, value and headers of all that came on `topic`, in the order of each partition."""
        found = []
        async with reading_partitions(self._settings) as kafka:
            ends = await kafka.ends(topic)
            for number, (begin, end) in enumerate(zip(self._begin[topic], ends, strict=True)):
                async for batch in kafka.batches(topic, number, begin, end):
                    found += [(record.key, record.value, dict(record.headers)) for record in batch]
        return found


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
            record = DeadRecord(key, value, (headers[names.REASON_HEADER] or b"").decode())
            origin = (headers[f"{names.ERROR_HEADER}topic"] or b"").decode()
            (refused if origin == names.EVENTS else unfit).append(record)
    return refused, unfit


def _row(record: LogRecord) -> Row:
    sequence = None if record.sequence is None else int(record.sequence)
    return Row(Identity(record.subject, record.source, record.id, sequence), record.position, record.verdict)
