"""What a chunk of `activity.events` becomes: bytes in, bytes out, pure.

Every record ends in exactly one of: `logged`, `late`, `duplicate`, `dead`, `waiting` — or it is `moved`: sent again to the
partition of its user, because it had no key or its sender counted partitions in another way. Ticks are no events.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec

from activity import names, order
from activity.chunk import Chunk, Record
from activity.events import Event, Headers, Refused, decode, log_value
from activity.order import Accepted, Decision, Duplicate, State
from activity.ticks import Tick, tick_of

Pair = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]
"""Key, value and headers of a record to be sent."""


LARGEST_DEAD: Final = 1024 * 1024
"""The most bytes that key and value of a dead letter may have; of a larger one the first `CUT` of each are kept."""
CUT: Final = 64 * 1024


class Step(msgspec.Struct):
    """What is to be sent, then written. `log` in order; `moved` by partition; `states` are table values by user.

    `counts`: how many records of the chunk ended how; waiting events that were released count as `released`.
    """

    log: list[tuple[bytes, bytes]] = []
    dead: list[Pair] = []
    moved: dict[int, list[Pair]] = {}
    states: dict[bytes, bytes] = {}
    counts: dict[str, int] = {}


class Partition(Protocol):
    """The states of one partition's users. A user of another partition is not in it, even if this worker owns both."""

    def get(self, user: bytes) -> bytes | None:
        """The user's state as bytes; None: a new user."""

    @property
    def waiting(self) -> Mapping[bytes, float]:
        """The users for whom an event waits, and since when (Unix seconds)."""


def sequence(chunk: Chunk, states: Partition, partition_of: Callable[[bytes], int]) -> Step:
    """What `chunk` becomes. `partition_of`: where Kafka's murmur2 puts a key."""
    return _Work(chunk, states, partition_of).run()


class _Work:
    """One chunk's work: the states it has opened, and what it has led to so far."""

    def __init__(self, chunk: Chunk, states: Partition, partition_of: Callable[[bytes], int]) -> None:
        self._chunk, self._states, self._partition_of = chunk, states, partition_of
        self._open: dict[bytes, State] = {}
        self._known: dict[bytes, int] = {}
        self._changed: dict[bytes, tuple[int, float]] = {}
        self._out = Step()

    def run(self) -> Step:
        for record in self._chunk.records:
            tick = tick_of(record) if record.headers else None
            if tick is not None:
                self._give_up_gaps(record, tick.gap_timeout)
                self._forget_quiet(record, tick)
                self._count("tick")
            else:
                self._event(record)
        self._out.states = {user: order.encode(self._open[user], *last) for user, last in self._changed.items()}
        return self._out

    def _event(self, record: Record) -> None:
        event = decode(record.key, record.value, record.headers)
        if type(event) is Refused:
            self._refuse(record, event)
            return
        assert isinstance(event, Event)  # noqa: S101  (for mypy: `type() is` above is the quick way to ask)
        user = record.key
        if user is None:
            user = event.user.encode()
            self._move(record, user)
            return
        state = self._open.get(user)
        if state is None:
            value = self._states.get(user)
            if value is None:
                if self._partition_of(user) != self._chunk.partition:
                    self._move(record, user)
                    return
                state, self._known[user] = State(), -1
            else:
                state, self._known[user] = order.decode(value), order.peek(value)[0]
            self._open[user] = state
        if record.offset <= self._known[user]:
            self._count("repeated")  # read again after a crash: what it led to was confirmed before the state was written
            return
        now = record.timestamp / 1000
        state, decisions = order.advance(state, event, now)
        self._keep(user, state, record.offset, now)
        self._apply(user, record, event, decisions)

    def _apply(self, user: bytes, record: Record, event: Event, decisions: list[Decision]) -> None:
        for decision in decisions:
            if type(decision) is Accepted:
                self._log(user, decision)
                self._count(decision.verdict if decision.raw is event.raw else "released")
            elif type(decision) is Refused:
                self._refuse(record, decision)
            elif type(decision) is Duplicate:
                self._count("duplicate")
            else:
                self._count("waiting")

    def _give_up_gaps(self, tick: Record, gap_timeout: float) -> None:
        """Give up the gaps that are too old by the tick's own time and timeout: read again, it decides the same."""
        now = tick.timestamp / 1000
        before = now - gap_timeout
        touched = set(self._open)
        for user in [user for user, since in self._states.waiting.items() if since <= before and user not in touched]:
            self._look_up(user)
        for user, state in list(self._open.items()):
            if tick.offset > self._known[user]:
                after, accepted = order.expire(state, before)
                if accepted:
                    self._keep(user, after, tick.offset, now)
                    for decision in accepted:
                        assert isinstance(decision, Accepted)  # noqa: S101  (expire() gives nothing else)
                        self._log(user, decision)
                        self._count("released")

    def _forget_quiet(self, record: Record, tick: Tick) -> None:
        """Shrink the states of the users that the tick names, those that are quiet by its own time."""
        before = record.timestamp / 1000 - tick.quiet_after
        for user in map(str.encode, tick.quiet):
            value = self._look_up(user)
            if user in self._changed:  # what the table will hold, so that it does not matter where chunks are cut
                value = order.encode(self._open[user], *self._changed[user])
            if value is not None and order.is_quiet(value, before) and record.offset > self._known[user]:
                self._keep(user, order.forget(self._open[user]), record.offset, math.inf)

    def _look_up(self, user: bytes) -> bytes | None:
        """Open the user's state, as it was before this chunk, if there is one."""
        value = self._states.get(user)
        if value is not None and user not in self._open:
            self._open[user], self._known[user] = order.decode(value), order.peek(value)[0]
        return value

    def _keep(self, user: bytes, state: State, offset: int, touched: float) -> None:
        self._open[user] = state
        self._changed[user] = offset, touched

    def _log(self, user: bytes, event: Accepted) -> None:
        self._out.log.append((user, log_value(event.raw, event.position, event.verdict, event.received)))

    def _refuse(self, record: Record, refused: Refused) -> None:
        origin = (self._chunk.topic, self._chunk.partition, record.offset)
        key, value = record.key, record.value
        headers = dead_headers(record.headers, refused, *origin)
        size = len(key or b"") + len(value or b"")
        if size > LARGEST_DEAD:  # it came compressed, and would not fit as it is; it stands whole at its origin
            key, value = (key or b"")[:CUT], (value or b"")[:CUT]
            headers = [*dead_headers((), refused, *origin), (names.CUT_HEADER, str(size).encode())]
        self._out.dead.append((key, value, headers))
        self._count("dead")

    def _move(self, record: Record, user: bytes) -> None:
        origin = f"{self._chunk.topic}/{self._chunk.partition}/{record.offset}".encode()
        headers = [header for header in record.headers if header[0] != names.MOVED_HEADER]
        target = self._partition_of(user)
        self._out.moved.setdefault(target, []).append((user, record.value, [*headers, (names.MOVED_HEADER, origin)]))
        self._count("moved")

    def _count(self, what: str) -> None:
        counts = self._out.counts
        counts[what] = counts.get(what, 0) + 1


_OURS: Final = (names.ERROR_HEADER, names.REASON_HEADER)


def dead_headers(headers: Headers, refused: Refused, topic: str, partition: int, offset: int) -> list[tuple[str, bytes | None]]:
    """The headers of a record of `activity.dead`: those it had, why it is there, and where it came from (KIP-1034)."""
    error = names.ERROR_HEADER
    return [
        *(header for header in headers if not header[0].startswith(_OURS)),
        (names.REASON_HEADER, refused.reason.encode()),
        (f"{error}exception", b"Refused"),
        (f"{error}message", refused.problem.encode("utf-8", "replace")),
        (f"{error}topic", topic.encode()),
        (f"{error}partition", str(partition).encode()),
        (f"{error}offset", str(offset).encode()),
    ]
