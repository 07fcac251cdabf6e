"""What each Python peer does with an event: drop a repeat, restore the user's order, give a position.

The least that gives the right output: a repeat is told by its sequence, and nothing is remembered of what went out. Chopar's
own rule also keeps the checks of the last 256 ids, gaps' ages, verdicts and accounts; no peer pays for those.
"""

import os
from typing import Any

import msgspec


class Event(msgspec.Struct):
    """What decides; the rest of the event passes through unread."""

    id: str
    subject: str
    sequence: str


class State(msgspec.Struct, array_like=True):
    """A user's state: the sequence that is due, and the events that came before their predecessors."""

    due: int = 1
    waiting: dict[int, bytes] = {}


decode = msgspec.json.Decoder(Event).decode


def advance(state: State, sequence: int, raw: bytes) -> list[bytes]:
    """What goes out now that `raw` has come; changes `state`."""
    due, waiting = state.due, state.waiting
    if sequence < due or sequence in waiting:
        return []
    if sequence > due:
        waiting[sequence] = raw
        return []
    out = [b'%b,"position":%d}' % (raw[:-1], due)]
    due += 1
    while waiting and due in waiting:
        out.append(b'%b,"position":%d}' % (waiting.pop(due)[:-1], due))
        due += 1
    state.due = due
    return out


class Place(msgspec.Struct, frozen=True):
    """Where a peer reads and writes."""

    kafka: str
    input: str
    output: str
    group: str
    folder: str


def place(environ: Any = os.environ) -> Place:
    """As the run has set it."""
    return Place(*(environ[f"BENCH_{name.upper()}"] for name in Place.__struct_fields__))
