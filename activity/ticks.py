"""A tick: a record of `activity.events` that is no event and lets the sequencer see the time pass.

It carries the timeout that it was sent for. So one that is read again after a crash decides the same, whatever the
setting is by then.
"""

import math
from typing import Final

import msgspec

from activity import names
from activity.chunk import Record


class Tick(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The value of a tick, JSON: gaps that have lasted for `gap_timeout` seconds by the record's own time are given up."""

    gap_timeout: float


def tick_value(gap_timeout: float) -> bytes:
    """The value of a tick for `gap_timeout`, in seconds."""
    return msgspec.json.encode(Tick(gap_timeout))


def gap_timeout_of(record: Record) -> float | None:
    """The timeout that a tick carries, in seconds; None: it is no tick, also where its sender has copied a tick's header."""
    if record.key is not None or record.value is None or (names.KIND_HEADER, names.TICK) not in record.headers:
        return None
    try:
        seconds = _decoder.decode(record.value).gap_timeout
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


_decoder: Final = msgspec.json.Decoder(Tick)
