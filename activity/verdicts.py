"""What became of each event: every record of it ends in exactly one place. Pure; one event's facts in, what differs out."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Final

from activity import names
from activity.accounts import Difference, Kind, Limits, Sums
from activity.facts import Fact, Logged, Read, Waits
from activity.order import WINDOW

_NEVER: Final = 2**63
_offset: Final = attrgetter("offset")


class _Part:
    """One partition's facts of an event, and what each record of it ended as."""

    def __init__(self) -> None:
        self.reads: list[Read] = []
        self.logged: list[Logged] = []
        self.waits: list[Waits] = []
        self.ends: dict[int, Logged | Waits] = {}
        self.known_since = _NEVER
        self._free: dict[int, list[Read]] = {}

    def sort(self) -> None:
        self.reads.sort(key=_offset)
        self.logged.sort(key=_offset)
        for read in reversed(self.reads):
            self._free.setdefault(read.stamp, []).append(read)

    def take(self, fact: Logged | Waits) -> Read | None:
        """The first record that may have led to `fact` and has led to nothing else; from now on it has."""
        free = self._free.get(fact.stamp)
        if not free:
            return None
        read = free.pop()
        self.ends[read.offset] = fact
        return read

    def has(self, fact: Logged | Waits) -> bool:
        """Whether a record may have led to `fact`."""
        return fact.stamp in self._free


class Verdicts:
    """The rule; what it finds is added to the sums, one for each partition."""

    def __init__(self, limits: Limits, sums: Sequence[Sums]) -> None:
        self._limits, self._sums = limits, sums

    def of_event(self, facts: Iterable[Fact]) -> Iterator[Difference]:
        """All facts of one event, in any order: each record of it has to end in exactly one place."""
        facts = list(facts)
        if len(facts) == 2 and self._is_plain(*facts):
            return
        parts: defaultdict[int, _Part] = defaultdict(_Part)
        origins: set[tuple[int, int]] = set()
        for fact in facts:
            part = parts[fact.partition]
            if isinstance(fact, Read):
                part.reads.append(fact)
                if fact.origin is not None:
                    origins.add(fact.origin)
            elif isinstance(fact, Logged):
                part.logged.append(fact)
            else:
                part.waits.append(fact)
        for number, part in parts.items():
            part.sort()
            yield from self._match_log(number, part)
            yield from self._match_waits(number, part)
            yield from self._settle(number, part, origins)

    def _is_plain(self, first: Fact, second: Fact) -> bool:
        """Whether it is what most events are, one record that is on the log once; it is counted then."""
        read, entry = (first, second) if type(first) is Read else (second, first)
        if type(read) is not Read or type(entry) is not Logged or read.dead or read.offset >= self._limits.read[read.partition]:
            return False
        if read.partition != entry.partition or read.stamp != entry.stamp:
            return False
        sums = self._sums[read.partition]
        sums.logged, sums.late = sums.logged + (not entry.late), sums.late + entry.late
        return True

    def _match_log(self, number: int, part: _Part) -> Iterator[Difference]:
        """Find for each position of the event the record that it was given to."""
        places: set[int] = set()
        last: Logged | None = None
        for entry in part.logged:
            if entry.position in places:
                continue  # a repeat after a crash; `activity.positions` looks whether it is the same
            if last is not None and not self._may_be_forgotten(last, entry):
                yield _of_log("twice", entry, f"the event of {_log(last)} stands at position {entry.position} as well")
            elif (read := part.take(entry)) is not None:
                last = entry
                places.add(entry.position)
                if read.dead:
                    yield _of_event("twice", read, f"it stands on {names.DEAD} and on {_log(entry)}")
            elif part.has(entry):
                yield _of_log("twice", entry, f"fewer records of {names.EVENTS} led to it than it has positions")
            elif self._limits.events[number].deleted(entry.time):
                last = entry
                places.add(entry.position)
                part.known_since = min(part.known_since, entry.time)
            elif part.reads:
                yield _of_log("altered", entry, f"it is not what was read at {_event(part.reads[0])}")
            else:
                yield _of_log("unfounded", entry, f"no record of {names.EVENTS} led to it")

    def _may_be_forgotten(self, last: Logged, entry: Logged) -> bool:
        """Whether the sequencer may have forgotten the event by the time it came again: enough others, or a long silence."""
        if entry.counted:
            return False
        return abs(entry.position - last.position) > WINDOW or entry.time - last.time >= self._limits.quiet_after

    def _match_waits(self, number: int, part: _Part) -> Iterator[Difference]:
        """The log was looked at after the states: what stands on both no longer waits."""
        for held in part.waits:
            read = part.take(held)
            if read is not None and read.dead:
                yield _of_event("twice", read, f"it stands on {names.DEAD} and waits")
            elif read is None and not part.has(held) and not self._limits.events[number].deleted(held.time):
                problem = f"an event waits that no record of {names.EVENTS} led to"
                yield Difference("unfounded", names.USERS_CHANGELOG, number, held.offset, problem)

    def _settle(self, number: int, part: _Part, origins: set[tuple[int, int]]) -> Iterator[Difference]:
        """Count each record for what it ended as; a repeat is one whose event was accounted for by an earlier record."""
        sums, read_up_to, known = self._sums[number], self._limits.read[number], False
        for read in part.reads:
            end = part.ends.get(read.offset)
            known = known or end is not None
            if read.offset >= read_up_to:
                sums.unread += 1
            elif type(end) is Logged:
                sums.logged, sums.late = sums.logged + (not end.late), sums.late + end.late
            elif end is not None:
                sums.waiting += 1
            elif read.dead:
                sums.dead += 1
            elif (number, read.offset) in origins:
                sums.moved += 1
            elif known or part.known_since <= read.time:
                sums.duplicate += 1
            elif self._can_be_deleted(read):
                sums.unchecked += 1
            else:
                sums.lost += 1
                yield _of_event("lost", read, "it was read, and is not logged, late, a duplicate, dead or waiting")

    def _can_be_deleted(self, read: Read) -> bool:
        """Whether its dead letter, or what it was moved to, may be among what retention has deleted."""
        limits = self._limits
        moved = read.target >= 0 and limits.events[read.target].deleted(read.time)
        return moved or limits.dead[read.partition].deleted(read.time)


def _event(read: Read) -> str:
    return f"{names.EVENTS}/{read.partition}/{read.offset}"


def _log(entry: Logged) -> str:
    return f"{names.LOG}/{entry.partition}/{entry.offset}"


def _of_event(kind: Kind, read: Read, problem: str) -> Difference:
    return Difference(kind, names.EVENTS, read.partition, read.offset, problem)


def _of_log(kind: Kind, entry: Logged, problem: str) -> Difference:
    return Difference(kind, names.LOG, entry.partition, entry.offset, problem)
