"""What a chunk of `activity.events` becomes: bytes in, bytes out, pure.

Every record ends in exactly one of: `logged`, `late`, `duplicate`, `dead`, `waiting` — or it is `moved`: sent again to the
partition of its user, because it had no key or its sender counted partitions in another way. Ticks are no events.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

import msgspec

from activity import names, order
from activity.chunk import Chunk, Record
from activity.events import Event, Headers, Refused, decode, log_value
from activity.hand import QUICKEST, Hand
from activity.order import Accepted, Decision, Duplicate
from activity.ticks import Tick, tick_of

KeyValue = tuple[bytes, bytes]
Pair = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]
"""Key, value and headers of a record to be sent."""


LARGEST_SENT: Final = 1024 * 1024
"""The most bytes that a record may have, with its headers, which is sent on as it came: what came compressed may be larger
than any topic takes. Of a larger dead letter the first `CUT` of key and value are kept, and headers that have no more."""
CUT: Final = 64 * 1024


class Step(msgspec.Struct):
    """What is to be sent, then written. `log` in order; `moved` by partition; `states` are table values by user.

    `counts`: how many records of the chunk ended how; waiting events that were released count as `released`.
    """

    log: list[KeyValue] = []
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


def sequence(chunk: Chunk, states: Partition, partition_of: Callable[[bytes], int], hand: type[Hand] = QUICKEST) -> Step:
    """What `chunk` becomes. `partition_of`: where Kafka's murmur2 puts a key. `hand`: `Hand` or its twin; they decide alike."""
    return _Work(chunk, states, partition_of, hand).run()


class _Work:
    """One chunk's work: the states it has opened, and what it has led to so far."""

    def __init__(self, chunk: Chunk, states: Partition, partition_of: Callable[[bytes], int], hand: type[Hand]) -> None:
        self._chunk, self._states, self._partition_of, self._hand = chunk, states, partition_of, hand
        self._hands: dict[bytes, Hand] = {}
        self._out = Step()

    def run(self) -> Step:
        hands, out, records, take_all = self._hands, self._out, self._chunk.records, self._hand.take_all
        at = take_all(records, 0, hands, self._take_up, out.log, out.counts)
        while at < len(records):
            self._record(records[at])
            at = take_all(records, at + 1, hands, self._take_up, out.log, out.counts)
        for user, hand in hands.items():
            if (value := hand.encoded()) is not None:
                out.states[user] = value
        return out

    def _record(self, record: Record) -> None:
        if record.headers and (tick := tick_of(record)) is not None:
            self._give_up_gaps(record, tick.gap_timeout)
            self._forget_quiet(record, tick)
            self._count("tick")
        else:
            self._event(record)

    def _event(self, record: Record) -> None:
        user = record.key
        event = decode(user, record.value, record.headers)
        if type(event) is Refused:
            self._refuse(record, event)
            return
        assert isinstance(event, Event)  # noqa: S101  (for mypy: `type() is` above is the quick way to ask)
        if user is None:
            self._move(record, event.user.encode())
            return
        hand = self._hands.get(user) or self._take_up(user)
        if hand is None:
            self._move(record, user)
            return
        if record.offset <= hand.known:
            self._count("repeated")  # read again after a crash: what it led to was confirmed before the state was written
            return
        now = record.timestamp / 1000
        hand.touch(record.offset, now)
        if position := hand.in_turn(event):
            self._out.log.append((user, log_value(event.raw, position, "logged", now)))
            self._count("logged")
            return
        state, decisions = order.advance(hand.state, event, now)
        hand.put(state)
        self._apply(user, record, event, decisions)

    def _take_up(self, user: bytes) -> Hand | None:
        """The user's state as it was before the chunk; None: the user is of another partition, and new to this one."""
        value = self._states.get(user)
        if value is None and self._partition_of(user) != self._chunk.partition:
            return None
        hand = self._hands[user] = self._hand.opened(value)
        return hand

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
        for user in [user for user, since in self._states.waiting.items() if since <= before]:
            self._look_up(user)
        for user, hand in self._hands.items():
            if tick.offset > hand.known:
                state, accepted = order.expire(hand.state, before)
                if accepted:
                    hand.put(state)
                    hand.touch(tick.offset, now)
                    for decision in accepted:
                        assert isinstance(decision, Accepted)  # noqa: S101  (expire() gives nothing else)
                        self._log(user, decision)
                        self._count("released")

    def _forget_quiet(self, record: Record, tick: Tick) -> None:
        """Shrink the states of the users that the tick names, those that are quiet by its own time."""
        before = record.timestamp / 1000 - tick.quiet_after
        for user in map(str.encode, tick.quiet):
            hand = self._look_up(user)
            if hand is None or record.offset <= hand.known:
                continue
            value = hand.encoded() or self._states.get(user)  # what the table will hold: it does not matter where chunks are cut
            if value is not None and order.is_quiet(value, before):
                hand.put(order.forget(hand.state))
                hand.touch(record.offset, math.inf)

    def _look_up(self, user: bytes) -> Hand | None:
        """The user's state in hand, as it is by now; None: there is none."""
        hand = self._hands.get(user)
        if hand is None and self._states.get(user) is not None:
            hand = self._take_up(user)
        return hand

    def _log(self, user: bytes, event: Accepted) -> None:
        self._out.log.append((user, log_value(event.raw, event.position, event.verdict, event.received)))

    def _refuse(self, record: Record, refused: Refused) -> None:
        self._out.dead.append(dead_letter(self._chunk, record, refused))
        self._count("dead")

    def _move(self, record: Record, user: bytes) -> None:
        origin = f"{self._chunk.topic}/{self._chunk.partition}/{record.offset}".encode()
        headers = [header for header in record.headers if header[0] != names.MOVED_HEADER]
        if (size := _size(user, record.value, headers)) > LARGEST_SENT:
            problem = (
                f"it has {size:,} bytes with its headers; {LARGEST_SENT:,} is the limit of what is sent to its user's partition"
            )
            self._refuse(record, Refused("too-big", problem))
            return
        target = self._partition_of(user)
        self._out.moved.setdefault(target, []).append((user, record.value, [*headers, (names.MOVED_HEADER, origin)]))
        self._count("moved")

    def _count(self, what: str) -> None:
        counts = self._out.counts
        counts[what] = counts.get(what, 0) + 1


_OURS: Final = (names.ERROR_HEADER, names.REASON_HEADER)
_FRAME: Final = 10
"""Bytes that the lengths of a header take, at most."""
_LONGEST: Final = 1000
"""Characters of a problem: it may name what a stranger wrote."""


def dead_letter(chunk: Chunk, record: Record, refused: Refused) -> Pair:
    """What is sent to `activity.dead` for a record of `chunk`, cut if it would not fit; it stands whole where it came from."""
    key, value, headers = record.key, record.value, record.headers
    cut: list[tuple[str, bytes | None]] = []
    if (size := _size(key, value, headers)) > LARGEST_SENT:
        key, value, headers = key and key[:CUT], value and value[:CUT], list(_fitting(headers, CUT))
        cut = [(names.CUT_HEADER, str(size).encode())]
    return key, value, [*dead_headers(headers, refused, chunk.topic, chunk.partition, record.offset), *cut]


def _size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Bytes that a record has, at most."""
    return len(key or b"") + len(value or b"") + sum(len(name.encode()) + len(held or b"") + _FRAME for name, held in headers)


def _fitting(headers: Headers, room: int) -> Iterator[tuple[str, bytes | None]]:
    """Those of `headers` that fit into so many bytes; one that does not is passed over."""
    for header in headers:
        if (size := _size(None, None, [header])) <= room:
            room -= size
            yield header


def dead_headers(headers: Headers, refused: Refused, topic: str, partition: int, offset: int) -> list[tuple[str, bytes | None]]:
    """The headers of a record of `activity.dead`: those it had, why it is there, and where it came from (KIP-1034)."""
    error = names.ERROR_HEADER
    return [
        *(header for header in headers if not header[0].startswith(_OURS)),
        (names.REASON_HEADER, refused.reason.encode()),
        (f"{error}exception", b"Refused"),
        (f"{error}message", refused.problem[:_LONGEST].encode("utf-8", "replace")),
        (f"{error}topic", topic.encode()),
        (f"{error}partition", str(partition).encode()),
        (f"{error}offset", str(offset).encode()),
    ]
