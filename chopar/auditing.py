"""The audit: reads what stands on Kafka and in the store, and compares. The rules are `activity.accounts` and its neighbours."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from itertools import groupby
from operator import itemgetter
from typing import Final

import msgspec

from activity import names
from activity.accounts import Difference, Limits, Span, Sums
from activity.chunk import Record
from activity.errors import Mismatch
from activity.evidence import Evidence, States
from activity.facts import Fact, Keyed, Place, Placed, log_facts, store_place, user_hash
from activity.jobs import JobState
from activity.positions import Positions
from activity.settings import Settings
from activity.verdicts import Verdicts
from chopar.partitions import Partitions, reading_partitions
from chopar.spool import Row, Spool, spools
from chopar.stored import reading_store
from store.log import Entry
from store.opening import Store
from streams.topics import check_topics, partition_of

PAGE: Final = 1000
"""Rows of the store read at once: an event may have 256 KiB."""
TOPICS: Final = (names.EVENTS, names.LOG, names.DEAD, names.USERS_CHANGELOG)

Advance = Callable[[str, int, int], None]
"""Told how far the audit is: with what, how much of it is done since the last time, and how much there is in all."""


class Audited(msgspec.Struct, frozen=True):
    """What was found: the sums by partition, the jobs by state, and what differs, by topic, partition and offset."""

    partitions: list[Sums]
    jobs: dict[JobState, int]
    differences: "Differences"

    @property
    def total(self) -> Sums:
        """The sums of all partitions."""
        total = Sums()
        for sums in self.partitions:
            total.add(sums)
        return total

    @property
    def ok(self) -> bool:
        """Whether everything adds up."""
        total = self.total
        return not len(self.differences) and total.read == total.ended + total.unchecked


class Differences:
    """What differs, on disk: where everything is lost there are millions."""

    def __init__(self, spool: Spool) -> None:
        self._spool, self._count = spool, 0

    def add(self, found: Iterable[Difference]) -> None:
        """Write them down."""
        for one in found:
            self._count += 1
            place = TOPICS.index(one.topic) << 32 | one.partition
            self._spool.add([(place, one.offset, _encode(one))])

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Difference]:
        return (_difference.decode(what) for _, _, what in self._spool)


@contextmanager
def tables() -> Iterator["Tables"]:
    """Where the audit keeps what is to be compared while it runs."""
    with spools("facts", "places", "differences") as (facts, places, differences):
        yield Tables(facts, places, Differences(differences))


class Tables(msgspec.Struct, frozen=True):
    """Facts by event, positions by user, and what differs."""

    facts: Spool
    places: Spool
    differences: Differences


async def audit(settings: Settings, kept: Tables, advance: Advance) -> Audited:
    """Looks at everything, changes nothing. Raises ChoparError when Kafka or the store can't be looked at."""
    if problems := [f"{state.name}: {state.problem}" for state in await check_topics(settings) if state.problem]:
        raise Mismatch("; ".join(problems))
    async with reading_store(settings) as store, reading_partitions(settings) as kafka:
        where = lru_cache(1 << 16)(partial(partition_of, partitions=settings.partitions))
        run = Audit(store, kafka, settings.partitions, where, 1000 * settings.quiet_after, kept, advance)
        limits, jobs = await run.read()
    run.judge(limits)  # Kafka's client is closed by now: it would not bear that nobody looks after it for so long
    return Audited(run.sums, jobs, kept.differences)


class Audit:
    """One run: `read`, then `judge`; then `sums` has the sums of each partition, and `kept` what differs."""

    def __init__(
        self,
        store: Store,
        kafka: Partitions,
        partitions: int,
        partition_of: Callable[[bytes], int],
        quiet_after: float,
        kept: Tables,
        advance: Advance,
    ) -> None:
        self._store, self._kafka, self._kept, self._advance = store, kafka, kept, advance
        self._numbers = range(partitions)
        self._partition_of, self._quiet_after = partition_of, quiet_after
        self.sums = [Sums() for _ in self._numbers]

    async def read(self) -> tuple[Limits, dict[JobState, int]]:
        """Everything that is to be compared, and how far it goes; and the jobs."""
        # The order makes it right while the system runs. Whatever led to a committed offset was confirmed before it, so
        # what is looked at later has it. A waiting event that is released is on the log before its state says so: states
        # first, then the log. Each record of the log was made of one that was on `activity.events` before: that one last.
        read = await self._kafka.committed(names.APP, names.EVENTS)
        archived = await self._kafka.committed(names.APP, names.LOG)
        await self._read_states()
        log, dead = await self._kafka.spans(names.LOG), await self._kafka.spans(names.DEAD)
        events = await self._kafka.spans(names.EVENTS)
        self._check_unread(read, events)
        limits = Limits(events, log, dead, _numbers(read), _numbers(archived), [], self._quiet_after)
        evidence = Evidence(limits, self.sums, self._partition_of)
        await self._read_topics(limits, evidence)
        await self._read_store(limits)
        newest = await self._kafka.ends(names.LOG)
        return msgspec.structs.replace(limits, newest=newest), await self._store.jobs.counts()

    # -- reading -------------------------------------------------------------------------------------------------------

    async def _read_states(self) -> None:
        """The newest state of each user. Twice to the end: what was compacted meanwhile has a newer one behind it."""
        ends = await self._kafka.ends(names.USERS_CHANGELOG)
        for number in self._numbers:
            states, begin = States(number), 0
            for again in (False, True):
                end = (await self._kafka.ends(names.USERS_CHANGELOG))[number] if again else ends[number]
                async for batch in self._kafka.batches(names.USERS_CHANGELOG, number, begin, end):
                    _take_states(states, batch)
                    self._advance(names.USERS_CHANGELOG, len(batch), sum(ends))
                begin = end
            self._kept.facts.add(map(_fact_row, states.facts()))

    async def _read_topics(self, limits: Limits, evidence: Evidence) -> None:
        """Dead letters first: a record is read with the knowledge of them."""
        reads = (
            (names.DEAD, limits.dead, self._dead),
            (names.EVENTS, limits.events, self._events),
            (names.LOG, limits.log, self._log),
        )
        for topic, spans, take in reads:
            total = sum(span.end - span.begin for span in spans)
            for number, span in enumerate(spans):
                async for batch in self._kafka.batches(topic, number, span.begin, span.end):
                    take(evidence, number, batch)
                    self._advance(topic, len(batch), total)

    def _dead(self, evidence: Evidence, number: int, batch: Sequence[Record]) -> None:
        for record in batch:
            if (found := evidence.dead(number, record)) is not None:
                self._kept.differences.add([found])

    def _events(self, evidence: Evidence, number: int, batch: Sequence[Record]) -> None:
        rows: list[Row] = []
        for record in batch:
            found = evidence.event(number, record)
            if type(found) is tuple:
                rows.append(_fact_row(found))
            elif type(found) is Difference:
                self._kept.differences.add([found])
        self._kept.facts.add(rows)

    def _log(self, evidence: Evidence, number: int, batch: Sequence[Record]) -> None:
        facts: list[Row] = []
        places: list[Row] = []
        for record in batch:
            found = evidence.logged(number, record.offset, record.value)
            if type(found) is Placed:
                facts.append((found.key, 0, _encode(found.logged)))
                places.append((found.user, found.position, _encode(found.place)))
            elif type(found) is Difference:
                self._kept.differences.add([found])
        self._kept.facts.add(facts)
        self._kept.places.add(places)

    async def _read_store(self, limits: Limits) -> None:
        """All rows. Of those whose records retention has deleted from the log, the store is the witness."""
        total, last = await self._store.log.count(), None
        while page := await self._store.log.page(last, PAGE):
            last = page[-1].user_id, page[-1].position
            rows = [entry for entry in page if 0 <= entry.kafka_partition < len(limits.log)]
            self._kept.differences.add(_stray(entry) for entry in page if not 0 <= entry.kafka_partition < len(limits.log))
            self._kept.places.add(map(_place_row, rows))
            for entry in rows:
                if entry.kafka_offset < limits.log[entry.kafka_partition].begin:
                    found = log_facts(entry.kafka_partition, entry.kafka_offset, entry.event)
                    if found is not None:
                        self._kept.facts.add([(found.key, 0, _encode(found.logged))])
            self._advance("the store", len(page), total)

    # -- judging -------------------------------------------------------------------------------------------------------

    def _check_unread(self, read: Sequence[int | None], events: Sequence[Span]) -> None:
        """What retention has deleted before it was read is lost, and no record is left to say so."""
        for number, (offset, span) in enumerate(zip(read, events, strict=True)):
            if offset is not None and offset < span.begin:
                problem = f"{span.begin - offset:,} records from here on were deleted before they were read"
                self._kept.differences.add([Difference("lost", names.EVENTS, number, offset, problem)])

    def judge(self, limits: Limits) -> None:
        """Compares, event by event, then user by user."""
        verdicts, positions = Verdicts(limits, self.sums), Positions(limits, self.sums)
        for _, event in groupby(self._told("events", self._kept.facts), key=itemgetter(0)):
            found = verdicts.of_event([_fact.decode(what) for _, _, what in event])
            self._kept.differences.add(found)
        for _, user in groupby(self._told("positions", self._kept.places), key=itemgetter(0)):
            found = positions.of_user((position, _place.decode(what)) for _, position, what in user)
            self._kept.differences.add(found)

    def _told(self, what: str, rows: Spool) -> Iterator[Row]:
        """`rows`, and every so often how many they were."""
        total = len(rows)
        for number, row in enumerate(rows, 1):
            if number % PAGE == 0:
                self._advance(f"comparing {what}", PAGE, total)
            yield row


def _take_states(states: States, batch: Sequence[Record]) -> None:
    try:
        for record in batch:
            states.take(record)
    except ValueError as error:
        raise Mismatch(f"table {names.USERS}: {error}") from None


def _numbers(offsets: Iterable[int | None]) -> list[int]:
    return [offset or 0 for offset in offsets]


def _fact_row(keyed: Keyed) -> Row:
    return keyed[0], 0, _encode(keyed[1])


def _place_row(entry: Entry) -> Row:
    place = store_place(
        entry.kafka_partition,
        entry.kafka_offset,
        entry.source,
        entry.event_id,
        entry.sequence,
        entry.verdict,
        entry.event,
    )
    return user_hash(entry.user_id), entry.position, _encode(place)


def _stray(entry: Entry) -> Difference:
    """A row that names a partition that there is not; it is told at partition 0."""
    problem = f"the store has a record of partition {entry.kafka_partition}, which there is not"
    return Difference("not-on-log", names.LOG, max(entry.kafka_partition, 0), entry.kafka_offset, problem)


_encode: Final = msgspec.msgpack.Encoder().encode
_fact: Final = msgspec.msgpack.Decoder(Fact)
_place: Final = msgspec.msgpack.Decoder(Place)
_difference: Final = msgspec.msgpack.Decoder(Difference)
