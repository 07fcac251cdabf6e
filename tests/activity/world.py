"""A whole installation in memory: topics, the real sequencer's rule, a store. For tests of the audit's rules."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from activity import names
from activity.accounts import Difference, Limits, Span, Sums
from activity.chunk import Chunk
from activity.events import decode_log
from activity.evidence import Evidence, States
from activity.facts import Fact, Keyed, Place, Placed, log_facts, store_place, user_hash
from activity.positions import Positions
from activity.sequencing import Pair, Step, sequence
from activity.ticks import tick_of
from activity.verdicts import Verdicts
from tests.activity.examples import Record
from tests.activity.partitions import Table, owner

PARTITIONS: Final = 2
NOW: Final = 10**9


class Row(msgspec.Struct, frozen=True):
    """A row of the store, as far as the audit asks for it."""

    user: str
    position: int
    partition: int
    offset: int
    event: bytes


class World:
    """Two partitions; user `elsewhere` belongs on the second.

    `read` and `archived` are the committed offsets, `begin` says where retention has got to, `newest` where the log ended later.
    """

    def __init__(self) -> None:
        self.events: list[list[Record]] = [[] for _ in range(PARTITIONS)]
        self.log: list[list[Record]] = [[] for _ in range(PARTITIONS)]
        self.dead: list[list[Record]] = [[] for _ in range(PARTITIONS)]
        self.changelog: list[list[Record]] = [[] for _ in range(PARTITIONS)]
        self.tables = [Table() for _ in range(PARTITIONS)]
        self.read = [0] * PARTITIONS
        self.archived = [0] * PARTITIONS
        self.store: dict[tuple[str, int], Row] = {}
        self.quiet_after = 7 * 86_400_000.0
        self.newest: list[int] | None = None
        self.begin: dict[str, list[int]] = defaultdict(lambda: [0] * PARTITIONS)

    def send(self, partition: int, *records: Record) -> None:
        """Records for `activity.events`, with the offsets that they get there."""
        for record in records:
            append(self.events[partition], record)
            tick = tick_of(record)
            if tick is not None and tick.quiet:
                self.quiet_after = -float(NOW)  # whenever it likes: the broker's clock is set back, too

    def work(self, partition: int, count: int) -> None:
        """The sequencer takes a chunk."""
        part, step = self._step(partition, count)
        self._deliver(partition, step)
        self._write(partition, step)
        self.read[partition] += len(part)

    def crash(self, partition: int, count: int, confirmed: int, written: bool) -> None:
        """It takes a chunk and dies: some of the outputs are confirmed, or all, and then perhaps the states too."""
        _, step = self._step(partition, count)
        everything = confirmed >= max(len(step.log), len(step.dead))
        moved = step.moved if everything else {}
        self._deliver(partition, Step(log=step.log[:confirmed], dead=step.dead[:confirmed], moved=moved))
        if everything and written:
            self._write(partition, step)

    def _step(self, partition: int, count: int) -> tuple[list[Record], Step]:
        start = self.read[partition]
        part = self.events[partition][start : start + count]
        return part, sequence(Chunk(names.EVENTS, partition, part), self.tables[partition], owner)

    def _deliver(self, partition: int, step: Step) -> None:
        for user, value in step.log:
            append(self.log[partition], Record(user, value))
        for pair in step.dead:
            append(self.dead[partition], _record(pair))
        for target, pairs in step.moved.items():
            self.send(target, *map(_record, pairs))

    def _write(self, partition: int, step: Step) -> None:
        for user, state in step.states.items():
            append(self.changelog[partition], Record(user, state))
            self.tables[partition][user] = state

    def archive(self, partition: int) -> None:
        """The archiver takes all that is on the log."""
        for record in self.log[partition][self.archived[partition] :]:
            assert record.value is not None
            found = decode_log(record.value)
            row = Row(found.subject, found.position, partition, record.offset, record.value)
            self.store.setdefault((row.user, row.position), row)
        self.archived[partition] = len(self.log[partition])

    def settle(self) -> None:
        """Everything is read, also what is moved on the way, and archived."""
        while any(len(self.events[number]) > self.read[number] for number in range(PARTITIONS)):
            for number in range(PARTITIONS):
                self.work(number, 10**6)
        for number in range(PARTITIONS):
            self.archive(number)

    # -- the audit -----------------------------------------------------------------------------------------------------

    def audit(self) -> tuple[list[Sums], list[Difference]]:
        """The sums, and what differs, in the order of topic, partition and offset."""
        spans = [self._spans(name, topic) for name, topic in self._topics()]
        limits = Limits(
            spans[0],
            spans[1],
            spans[2],
            self.read,
            self.archived,
            self.newest or [end_of(log) for log in self.log],
            self.quiet_after,
        )
        sums = [Sums() for _ in range(PARTITIONS)]
        facts, places = _Facts(), _Places()
        found = self._take_in(Evidence(limits, sums, owner), facts, places)
        self._take_in_store(limits, facts, places)
        verdicts, positions = Verdicts(limits, sums), Positions(limits, sums)
        for event in facts.groups.values():
            found += verdicts.of_event(event)
        for user in places.groups.values():
            found += positions.of_user(sorted(user, key=lambda pair: pair[0]))
        return sums, sorted(found, key=lambda one: (one.topic, one.partition, one.offset, one.kind))

    def _take_in(self, evidence: Evidence, facts: "_Facts", places: "_Places") -> list[Difference]:
        """As `chopar.auditing` does: states, dead letters, events, the log."""
        for number in range(PARTITIONS):
            states = States(number)
            for state in self.changelog[number]:
                states.take(state)
            facts.add(states.facts())
        settled: list[Any] = [evidence.dead(number, one) for number, one in self._left(names.DEAD, self.dead)]
        for number, record in self._left(names.EVENTS, self.events):
            keyed = evidence.event(number, record)
            if isinstance(keyed, tuple):
                facts.add([keyed])
            else:
                settled.append(keyed)
        for number, record in self._left(names.LOG, self.log):
            placed = evidence.logged(number, record.offset, record.value)
            if isinstance(placed, Placed):
                facts.add([(placed.key, placed.logged)])
                places.add(placed.user, placed.position, placed.place)
            else:
                settled.append(placed)
        return [one for one in settled if one is not None]

    def _take_in_store(self, limits: Limits, facts: "_Facts", places: "_Places") -> None:
        for row in self.store.values():
            found = decode_log(row.event)
            place = store_place(row.partition, row.offset, found.source, found.id, found.sequence, found.verdict, row.event)
            places.add(user_hash(row.user), row.position, place)
            if row.offset < limits.log[row.partition].begin:
                placed = log_facts(row.partition, row.offset, row.event)
                assert isinstance(placed, Placed)
                facts.add([(placed.key, placed.logged)])

    def _topics(self) -> list[tuple[str, list[list[Record]]]]:
        return [(names.EVENTS, self.events), (names.LOG, self.log), (names.DEAD, self.dead)]

    def _left(self, name: str, topic: list[list[Record]]) -> list[tuple[int, Record]]:
        """What retention has left."""
        begin = self.begin[name]
        return [(number, record) for number in range(PARTITIONS) for record in topic[number] if record.offset >= begin[number]]

    def _spans(self, name: str, topic: list[list[Record]]) -> list[Span]:
        spans = []
        for number, records in enumerate(topic):
            begin = self.begin[name][number]
            left = [record for record in records if record.offset >= begin]
            spans.append(Span(begin, end_of(records), left[0].timestamp if left else NOW))
        return spans


class _Facts:
    def __init__(self) -> None:
        self.groups: defaultdict[int, list[Fact]] = defaultdict(list)

    def add(self, keyed: Iterable[Keyed]) -> None:
        for key, fact in keyed:
            self.groups[key].append(fact)


class _Places:
    def __init__(self) -> None:
        self.groups: defaultdict[int, list[tuple[int, Place]]] = defaultdict(list)

    def add(self, user: int, position: int, place: Place) -> None:
        self.groups[user].append((position, place))


def append(records: list[Record], record: Record) -> Record:
    """`record` as it stands at the end of `records`."""
    records.append(msgspec.structs.replace(record, offset=end_of(records)))
    return records[-1]


def end_of(records: Sequence[Record]) -> int:
    """The offset behind the last one; tests take records out."""
    return records[-1].offset + 1 if records else 0


def _record(pair: Pair) -> Record:
    key, value, headers = pair
    return Record(key, value, 0, NOW, headers)


def total(sums: Sequence[Sums]) -> Sums:
    """The sums of all partitions."""
    found = Sums()
    for one in sums:
        found.add(one)
    return found


def named(differences: Iterable[Difference]) -> list[tuple[Any, ...]]:
    """Kind, topic, partition and offset of each."""
    return [(one.kind, one.topic, one.partition, one.offset) for one in differences]
