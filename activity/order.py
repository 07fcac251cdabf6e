"""The order of a user's events: what each one becomes, decided by the state alone. Pure: the same input, the same answer.

An event with a `sequence` (contiguous from 1 for each user and source) is put in its place; one without is taken in the order
of arrival. A state is a value; `advance` and `expire` give a new one.
"""

import math
import zlib
from hashlib import blake2b
from struct import Struct, pack
from typing import Final, TypeAlias

import msgspec

from activity.events import Event, Refused, Verdict

WINDOW: Final = 256
"""How many sequences (or ids) are remembered, and how many events may wait, for each user and source."""
MAX_STATE: Final = 512 * 1024
"""The most bytes a state may have; a Kafka record holds 1 MiB."""


class Waiting(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An event that came before its predecessors. `since`: when it reached Kafka, Unix seconds."""

    sequence: int
    check: bytes
    since: float
    raw: bytes


class Source(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is known of one source: the sequence that is due, the checks of those before it, the events that wait.

    `recent` holds four bytes for each of the last sequences, ending with `due` - 1; zeros: that one never came.
    """

    due: int = 1
    recent: bytes = b""
    waiting: tuple[Waiting, ...] = ()


class State(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A user's state: the last position given, what is known of each source, and two facts for the accounts.

    `seen` holds eight bytes for each of the last events without a sequence. `duplicates`: how many were dropped.
    """

    position: int = 0
    sources: dict[str, Source] = {}
    seen: bytes = b""
    duplicates: int = 0


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """An event that has its position now. `received`: when it reached Kafka, Unix seconds."""

    position: int
    verdict: Verdict
    received: float
    raw: bytes


class Duplicate(msgspec.Struct, frozen=True):
    """The event stands in the log already, or waits."""


class Waits(msgspec.Struct, frozen=True):
    """The event waits for its predecessors."""


Decision: TypeAlias = Accepted | Duplicate | Waits | Refused

_DUPLICATE: Final = Duplicate()
_WAITS: Final = Waits()
_NEVER: Final = b"\0\0\0\0"
_NEW: Final = Source()


def advance(state: State, event: Event, now: float) -> tuple[State, list[Decision]]:
    """What `event`, which reached Kafka at `now`, becomes, and which waiting ones follow it.

    The first decision is the event's own but where it fills the buffer up: then those that had to give way come first.
    """
    if event.sequence is None:
        return _without_sequence(state, event, now)
    source = state.sources.get(event.source)
    if source is None:
        if _too_large(state, len(event.source) + 6 * WINDOW):
            return state, [Refused("state-full", "the user has more sources than a state can hold")]
        source = _NEW
    check = check_of(event.id).to_bytes(4, "big")
    if event.sequence == source.due:
        return _in_turn(state, event, source, check, now)
    if event.sequence < source.due:
        return _behind(state, event, source, check, now)
    return _ahead(state, event, source, check, now)


def check_of(id: str) -> int:
    """What is remembered of an event's id beside its sequence: 32 bits, never 0, which stands for an event that never came."""
    return zlib.crc32(id.encode("utf-8", "surrogatepass")) or 1


def checks_of(ids: list[str]) -> bytes:
    """The checks of several, one after the other."""
    return pack(f">{len(ids)}I", *map(check_of, ids))


def extended(state: State, name: str, checks: bytes) -> State:
    """What `advance` makes of `state` with one event after the other of source `name`, each in turn, if no event of it waits.

    `checks`: of their ids, four bytes each.
    """
    source, count = state.sources[name], len(checks) // 4
    after = Source(source.due + count, (source.recent + checks)[-4 * WINDOW :], source.waiting)
    return State(state.position + count, {**state.sources, name: after}, state.seen, state.duplicates)


def expire(state: State, before: float) -> tuple[State, list[Decision]]:
    """Give up the gaps that kept an event waiting since `before` (Unix seconds) or longer."""
    accepted: list[Decision] = []
    for name, source in state.sources.items():
        late = [held.sequence for held in source.waiting if held.since <= before]
        if late:
            state = _release(state, name, source, late[-1], accepted)
    return state, accepted


def forget(state: State) -> State:
    """The state of a user who has long been quiet: what numbers the next events, without what told repeats.

    A repeat that comes after all is `too-old`, not dropped; without a sequence it is logged again. Nothing may wait.
    """
    assert waiting_since(state) is None, "what waits would be lost"  # noqa: S101
    return State(state.position, {name: Source(source.due) for name, source in state.sources.items()}, b"", state.duplicates)


def waiting_since(state: State) -> float | None:
    """When the event that has waited longest began to, Unix seconds; None: no event waits."""
    oldest = None
    for source in state.sources.values():
        for held in source.waiting:
            if oldest is None or held.since < oldest:
                oldest = held.since
    return oldest


# -- the four places an event can have ---------------------------------------------------------------------------------


def _in_turn(state: State, event: Event, source: Source, check: bytes, now: float) -> tuple[State, list[Decision]]:
    position = state.position + 1
    decisions: list[Decision] = [Accepted(position, "logged", now, event.raw)]
    due, recent, waiting = source.due + 1, source.recent + check, source.waiting
    if waiting and waiting[0].sequence == due:
        due, recent, waiting, position = _run(due, recent, waiting, position, decisions)
    source = Source(due, recent[-4 * WINDOW :], waiting)
    return State(position, {**state.sources, event.source: source}, state.seen, state.duplicates), decisions


def _behind(state: State, event: Event, source: Source, check: bytes, now: float) -> tuple[State, list[Decision]]:
    assert event.sequence is not None  # noqa: S101  (advance() asked)
    at = len(source.recent) - 4 * (source.due - event.sequence)
    if at < 0:
        window = f"{len(source.recent) // 4} that are remembered"
        return state, [Refused("too-old", f"sequence {event.sequence} is older than the last {window}; {source.due} is due")]
    known = source.recent[at : at + 4]
    if known == check:
        return _duplicate(state)
    if known != _NEVER:
        return state, [_conflict(event)]
    recent = source.recent[:at] + check + source.recent[at + 4 :]
    sources = {**state.sources, event.source: Source(source.due, recent, source.waiting)}
    position = state.position + 1
    return State(position, sources, state.seen, state.duplicates), [Accepted(position, "late", now, event.raw)]


def _ahead(state: State, event: Event, source: Source, check: bytes, now: float) -> tuple[State, list[Decision]]:
    assert event.sequence is not None  # noqa: S101  (advance() asked)
    waiting, place = source.waiting, len(source.waiting)
    while place and waiting[place - 1].sequence >= event.sequence:
        place -= 1
    if place < len(waiting) and waiting[place].sequence == event.sequence:
        return _duplicate(state) if waiting[place].check == check else (state, [_conflict(event)])
    if _too_large(state, len(event.raw) + 32):
        return state, [Refused("state-full", "too many bytes wait for this user's missing events")]
    held = Waiting(event.sequence, check, now, event.raw)
    source = Source(source.due, source.recent, (*waiting[:place], held, *waiting[place:]))
    state = _with(state, event.source, source)
    decisions: list[Decision] = []
    if len(source.waiting) > WINDOW:
        state = _release(state, event.source, source, source.waiting[0].sequence, decisions)
    if not any(type(decision) is Accepted and decision.raw is event.raw for decision in decisions):
        decisions.append(_WAITS)
    return state, decisions


def _without_sequence(state: State, event: Event, now: float) -> tuple[State, list[Decision]]:
    name = f"{len(event.source)}:{event.source}{event.id}".encode("utf-8", "surrogatepass")
    mark = blake2b(name, digest_size=8).digest()
    at = state.seen.find(mark)
    while at >= 0:
        if at % 8 == 0:
            return _duplicate(state)
        at = state.seen.find(mark, at + 1)
    position, seen = state.position + 1, (state.seen + mark)[-8 * WINDOW :]
    return State(position, state.sources, seen, state.duplicates), [Accepted(position, "logged", now, event.raw)]


# -- what they share ---------------------------------------------------------------------------------------------------


def _run(
    due: int, recent: bytes, waiting: tuple[Waiting, ...], position: int, decisions: list[Decision]
) -> tuple[int, bytes, tuple[Waiting, ...], int]:
    """Accept the waiting events that follow on from `due`."""
    taken = 0
    for held in waiting:
        if held.sequence != due:
            break
        position += 1
        decisions.append(Accepted(position, "logged", held.since, held.raw))
        recent += held.check
        due += 1
        taken += 1
    return due, recent, waiting[taken:], position


def _release(state: State, name: str, source: Source, through: int, decisions: list[Decision]) -> State:
    """Give up the gaps before sequence `through`, which waits, and accept all up to it and what follows on."""
    due, recent, waiting, position = source.due, source.recent, source.waiting, state.position
    while waiting and waiting[0].sequence <= through:
        missing = waiting[0].sequence - due
        recent = (recent + _NEVER * min(missing, WINDOW))[-4 * WINDOW :]
        due, recent, waiting, position = _run(due + missing, recent, waiting, position, decisions)
    sources = {**state.sources, name: Source(due, recent[-4 * WINDOW :], waiting)}
    return State(position, sources, state.seen, state.duplicates)


def _with(state: State, name: str, source: Source) -> State:
    return State(state.position, {**state.sources, name: source}, state.seen, state.duplicates)


def _duplicate(state: State) -> tuple[State, list[Decision]]:
    return State(state.position, state.sources, state.seen, state.duplicates + 1), [_DUPLICATE]


def _conflict(event: Event) -> Refused:
    return Refused("conflict", f"sequence {event.sequence} of this source came before, with another id")


def _too_large(state: State, more: int) -> bool:
    size = more + 64 + len(state.seen)
    for name, source in state.sources.items():
        size += 4 * len(name) + 6 * WINDOW + sum(len(held.raw) + 32 for held in source.waiting)
    return size > MAX_STATE


# -- states as bytes ---------------------------------------------------------------------------------------------------

_HEADER: Final = Struct(">Bqdd")
_VERSION: Final = 2
_NOT_WAITING: Final = math.inf
_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(State)


def encode(state: State, offset: int, touched: float = 0.0) -> bytes:
    """The state as a table's value. `offset`: of the last record of `activity.events` that it knows.

    `touched`: when that record reached Kafka, Unix seconds; `math.inf`: the state was forgotten.
    """
    since = waiting_since(state)
    return _HEADER.pack(_VERSION, offset, _NOT_WAITING if since is None else since, touched) + _encoder.encode(state)


def decode(value: bytes) -> State:
    """The state that `value` holds. Raises ValueError if another version wrote it."""
    if value[0] != _VERSION:
        raise ValueError(f"a state of version {value[0]}; this program knows version {_VERSION}")
    return _decoder.decode(memoryview(value)[_HEADER.size :])


def peek(value: bytes) -> tuple[int, float | None]:
    """The offset that a state knows of, and since when an event waits in it, without decoding the state."""
    _, offset, since, _ = _HEADER.unpack_from(value)
    return offset, None if since == _NOT_WAITING else since


def touched(value: bytes) -> float:
    """When the last record that the state knows of reached Kafka, Unix seconds; `math.inf`: the state was forgotten since."""
    seconds: float = _HEADER.unpack_from(value)[3]
    return seconds


def is_quiet(value: bytes, before: float) -> bool:
    """Whether the user's last record came at `before` (Unix seconds) or earlier, nothing waits, and there is what to forget."""
    _, _, since, touched = _HEADER.unpack_from(value)
    return bool(since == _NOT_WAITING and touched <= before)
