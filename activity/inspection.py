"""A user's state in words, for whoever looks into the table. Pure."""

import math
from typing import Final

import msgspec

from activity import order
from activity.events import rfc3339
from activity.order import Source, Waiting

_NEVER: Final = b"\0\0\0\0"


class _Named(msgspec.Struct, gc=False):
    id: str
    type: str


_named: Final = msgspec.json.Decoder(_Named)


class WaitingView(msgspec.Struct, frozen=True):
    """An event that waits. Nothing of its data is here. `until`: when the gap is given up, if nothing comes before."""

    source: str
    sequence: int
    id: str
    type: str
    since: str
    until: str
    bytes: int
    why: str


class SourceView(msgspec.Struct, frozen=True):
    """A source: the sequence that is due, and how many before it are remembered; `missing` of those never came."""

    source: str
    next_sequence: int
    recent: int
    missing: int
    waiting: list[WaitingView]


class StateView(msgspec.Struct, frozen=True):
    """A user's state.

    `recent_ids`: how many ids of events without a sequence are remembered. `duplicates`: how many were dropped. `event_offset`:
    of the last record of `activity.events` that it knows. `quiet`: the user was quiet for so long that only numbers were kept.
    """

    user: str
    partition: int
    next_position: int
    sources: list[SourceView]
    recent_ids: int
    duplicates: int
    event_offset: int
    last_record: str | None
    quiet: bool
    bytes: int

    @property
    def waiting(self) -> list[WaitingView]:
        """The events that wait, of all sources."""
        return [held for source in self.sources for held in source.waiting]


def view(user: str, partition: int, value: bytes, gap_timeout: float) -> StateView:
    """The state `value` of `user`. Raises ValueError if another version wrote it."""
    state, touched = order.decode(value), order.touched(value)
    return StateView(
        user=user,
        partition=partition,
        next_position=state.position + 1,
        sources=[_source(name, source, gap_timeout) for name, source in sorted(state.sources.items())],
        recent_ids=len(state.seen) // 8,
        duplicates=state.duplicates,
        event_offset=order.peek(value)[0],
        last_record=None if touched == math.inf else rfc3339(touched),
        quiet=touched == math.inf,
        bytes=len(value),
    )


def _source(name: str, source: Source, gap_timeout: float) -> SourceView:
    checks = [source.recent[at : at + 4] for at in range(0, len(source.recent), 4)]
    due, waiting = source.due, []
    for held in source.waiting:
        waiting.append(_waiting(name, held, due, gap_timeout))
        due = held.sequence + 1
    return SourceView(name, source.due, len(checks), checks.count(_NEVER), waiting)


def _waiting(source: str, held: Waiting, due: int, gap_timeout: float) -> WaitingView:
    """`due`: the sequence after the one before, in the log or waiting too."""
    named = _named.decode(held.raw)
    if held.sequence == due:
        why = f"it follows on {due - 1}, which waits too"
    elif held.sequence == due + 1:
        why = f"{due} has not come"
    else:
        why = f"{due} to {held.sequence - 1} have not come"
    since, until = rfc3339(held.since), rfc3339(held.since + gap_timeout)
    return WaitingView(source, held.sequence, named.id, named.type, since, until, len(held.raw), why)
