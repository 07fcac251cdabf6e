"""What a record says of an event, in a few bytes: the facts that `activity.accounts` adds up.

Texts become hashes of 64 bits (Python's own, SipHash with a key of the process), so that a fact is small whatever the event.
A key says which event it is (user, source, sequence, id), a `stamp` what it was when it was read: its JSON, and the time that
the broker set. The sequencer passes all of that on unchanged.
"""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Final, TypeAlias

import msgspec

from activity import names, order
from activity.chunk import Record
from activity.events import Event, Headers, Refused, Verdict, decode, decode_log, rfc3339
from activity.ticks import tick_of

LARGEST: Final = 2**63 - 1


class Read(msgspec.Struct, frozen=True, array_like=True, tag=0, gc=False):
    """A record of `activity.events`. `time`: Unix milliseconds. `dead`: a dead letter names it.

    `target`: the partition it has to be moved to, -1 if it lies right. `origin`: where it was moved from.
    """

    partition: int
    offset: int
    stamp: int
    time: int
    dead: bool
    target: int = -1
    origin: tuple[int, int] | None = None


class Logged(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    """A record of `activity.log`. `counted`: its event has a sequence."""

    partition: int
    offset: int
    stamp: int
    time: int
    position: int
    late: bool
    counted: bool


class Waits(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    """An event that waits in a state; `offset` is the state's, on the changelog."""

    partition: int
    offset: int
    stamp: int
    time: int


class Place(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A user's position, on `activity.log` or in the store: `digest` is the same exactly where the same record stands.

    `refused`: a dead letter says that the store could not take it.
    """

    on_log: bool
    partition: int
    offset: int
    digest: int
    refused: bool = False


Fact: TypeAlias = Read | Logged | Waits
Keyed: TypeAlias = tuple[int, Fact]
"""The event that a fact is of, and the fact."""


class Placed(msgspec.Struct, frozen=True, gc=False):
    """What a record of the log says: of its event, and of a position of its user."""

    key: int
    logged: Logged
    user: int
    position: int
    place: Place


def read_fact(partition: int, record: Record, dead: bool, partition_of: Callable[[bytes], int]) -> Keyed | Refused | None:
    """What a record of `activity.events` says; Refused: it is no event; None: it is a tick."""
    headers = record.headers
    if headers and tick_of(record) is not None:
        return None
    event = decode(record.key, record.value, headers)
    if type(event) is Refused:
        return event
    assert isinstance(event, Event)  # noqa: S101  (for mypy: `type() is` above is the quick way to ask)
    home = partition_of(event.user.encode())
    target = home if record.key is None or home != partition else -1
    origin = _origin(headers) if headers else None
    stamp = _stamp(_body(event.raw), _text_of(record.timestamp))
    fact = Read(partition, record.offset, stamp, record.timestamp, dead, target, origin)
    return _key(event.user, event.source, event.sequence, event.id), fact


def log_facts(partition: int, offset: int, value: bytes | None, refused: bool = False) -> Placed | None:
    """What a record of `activity.log` says; None: the sequencer has not written it."""
    if value is None:
        return None
    try:
        found = decode_log(value)
        time = _milliseconds(found.received)
    except (msgspec.DecodeError, ValueError, OverflowError):
        return None
    end = value.rfind(b',"position":')
    if end < 0 or not 0 < found.position <= LARGEST:
        return None
    sequence = found.sequence
    counted, late = sequence is not None, found.verdict == "late"
    stamp = _stamp(value[:end], found.received)
    logged = Logged(partition, offset, stamp, time, found.position, late, counted)
    digest = _digest(found.source, found.id, sequence, found.verdict, value)
    key = _key(found.subject, found.source, sequence, found.id)
    return Placed(key, logged, user_hash(found.subject), found.position, Place(True, partition, offset, digest, refused))


def store_place(
    partition: int, offset: int, source: str, event_id: str, sequence: str | None, verdict: Verdict, event: bytes
) -> Place:
    """What a row of the store says."""
    return Place(False, partition, offset, _digest(source, event_id, sequence, verdict, event))


def waiting_facts(partition: int, offset: int, state: bytes) -> list[Keyed]:
    """What waits in a state. Raises ValueError if a newer version wrote it."""
    found: list[Keyed] = []
    for source in order.decode(state).sources.values():
        for held in source.waiting:
            event = decode(None, held.raw)
            if not isinstance(event, Refused):
                stamp = _stamp(_body(event.raw), rfc3339(held.since))
                fact = Waits(partition, offset, stamp, round(held.since * 1000))
                found.append((_key(event.user, event.source, event.sequence, event.id), fact))
    return found


def user_hash(user: str) -> int:
    """Which user it is."""
    return hash(user.encode())


def place_named(text: bytes | None) -> tuple[int, int] | None:
    """Partition and offset out of `activity.events/3/41`; None: that names no record of this topic."""
    topic, _, rest = (text or b"").partition(b"/")
    partition, _, offset = rest.partition(b"/")
    if topic != names.EVENTS.encode() or not (partition.isdigit() and offset.isdigit()) or len(rest) > 30:
        return None
    return int(partition), int(offset)


def _origin(headers: Headers) -> tuple[int, int] | None:
    return next((place_named(text) for name, text in headers if name == names.MOVED_HEADER), None)


def _key(user: str, source: str, sequence: int | str | None, event_id: str) -> int:
    """No text can imitate another event: the lengths stand before it."""
    return hash(f"{len(user)}:{len(source)}:{sequence}:{user}{source}{event_id}".encode())


def _stamp(body: bytes, received: str) -> int:
    return hash(body + received.encode())


def _digest(source: str, event_id: str, sequence: str | None, verdict: Verdict, event: bytes) -> int:
    return hash(f"{len(source)}:{sequence}:{verdict}:{source}{event_id}\0".encode() + event)


def _body(raw: bytes) -> bytes:
    """What `activity.events.log_value` keeps of an event as it came."""
    return raw.rstrip(b" \t\r\n")[:-1]


@lru_cache(1 << 10)
def _text_of(milliseconds: int) -> str:
    return rfc3339(milliseconds / 1000)


@lru_cache(1 << 10)
def _milliseconds(received: str) -> int:
    return round(datetime.fromisoformat(received).timestamp() * 1000)
