"""Taking in what stands on the topics: each record becomes a fact, or is settled at once. Pure.

Dead letters first, then events: what a dead letter names is known by then.
"""

from collections.abc import Callable, Iterator, Sequence

from activity import names
from activity.accounts import Difference, Limits, Sums
from activity.chunk import Record
from activity.events import Refused
from activity.facts import Keyed, Placed, log_facts, read_fact, user_hash, waiting_facts
from activity.order import peek

NOT_STORED: Sequence[bytes] = (b"log-conflict",)
"""The reasons for which the archiver puts a record of the log away that it could read."""


class Marks:
    """Some of a partition's offsets, a bit for each."""

    def __init__(self, begin: int, end: int) -> None:
        self._begin, self._end = begin, end
        self._bits = bytearray((max(end - begin, 0) + 7) // 8)

    def add(self, offset: int) -> None:
        """Mark an offset; outside of the partition's it is passed over."""
        if self._begin <= offset < self._end:
            at = offset - self._begin
            self._bits[at >> 3] |= 1 << (at & 7)

    def __contains__(self, offset: int) -> bool:
        at = offset - self._begin
        return self._begin <= offset < self._end and bool(self._bits[at >> 3] & 1 << (at & 7))


class Evidence:
    """What is known of the records before they are compared; what is settled at once is added to the sums."""

    def __init__(self, limits: Limits, sums: Sequence[Sums], partition_of: Callable[[bytes], int]) -> None:
        self._limits, self._sums, self._partition_of = limits, sums, partition_of
        self._dead = [Marks(span.begin, span.end) for span in limits.events]
        self._refused = [Marks(span.begin, span.end) for span in limits.log]

    def dead(self, partition: int, record: Record) -> Difference | None:
        """Take in a dead letter: it carries its reason and its origin."""
        headers = dict(record.headers)
        where = [headers.get(f"{names.ERROR_HEADER}{name}") or b"" for name in ("topic", "partition", "offset")]
        topic = where[0].decode(errors="replace")
        if topic not in (names.EVENTS, names.LOG) or not (where[1].isdigit() and where[2].isdigit()):
            return Difference("foreign", names.DEAD, partition, record.offset, "it does not say where it came from")
        origin, offset = int(where[1][:20]), int(where[2][:20])
        spans = self._limits.events if topic == names.EVENTS else self._limits.log
        if origin >= len(spans) or offset >= spans[origin].end:
            problem = f"it says that it came from {topic}/{origin}/{offset}, which there is not"
            return Difference("unfounded", names.DEAD, partition, record.offset, problem)
        if topic == names.EVENTS:
            self._dead[origin].add(offset)
        elif headers.get(names.REASON_HEADER) in NOT_STORED:
            self._refused[origin].add(offset)
        return None

    def event(self, partition: int, record: Record) -> Keyed | Difference | None:
        """A record of `activity.events` as a fact; None: it is settled, a Difference: it is lost."""
        sums, dead = self._sums[partition], record.offset in self._dead[partition]
        sums.records += 1
        fact = read_fact(partition, record, dead, self._partition_of)
        if type(fact) is tuple:
            return fact
        if record.offset >= self._limits.read[partition]:
            sums.unread += 1
        elif fact is None:
            sums.ticks += 1
        elif dead:
            sums.dead += 1
        elif self._limits.dead[partition].deleted(record.timestamp):
            sums.unchecked += 1
        else:
            assert isinstance(fact, Refused)  # noqa: S101  (for mypy: nothing else is left)
            sums.lost += 1
            problem = f"it was read, is no event ({fact.reason}), and is not on {names.DEAD}"
            return Difference("lost", names.EVENTS, partition, record.offset, problem)
        return None

    def logged(self, partition: int, offset: int, value: bytes | None) -> Placed | Difference:
        """A record of `activity.log` as facts."""
        found = log_facts(partition, offset, value, offset in self._refused[partition])
        if found is None:
            self._sums[partition].log += 1
            return Difference("foreign", names.LOG, partition, offset, "the sequencer has not written it")
        return found


class States:
    """The states of one partition, read from its changelog: what waits in each user's newest one."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._known: dict[int, int] = {}
        self._waiting: dict[int, list[Keyed]] = {}

    def take(self, record: Record) -> None:
        """Take in a state. One that knows of less than the one before it was written late and does not count.

        Raises ValueError if a newer version wrote it.
        """
        if record.key is None:
            return
        user = user_hash(record.key.decode(errors="replace"))
        if record.value is None:
            self._known.pop(user, None)
            self._waiting.pop(user, None)
            return
        offset, since = peek(record.value)
        if offset < self._known.get(user, -1):
            return
        self._known[user] = offset
        if since is None:
            self._waiting.pop(user, None)
        else:
            self._waiting[user] = waiting_facts(self._partition, record.offset, record.value)

    def facts(self) -> Iterator[Keyed]:
        """What waits."""
        for found in self._waiting.values():
            yield from found
