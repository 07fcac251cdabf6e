"""A tick: a record of `activity.events` that is no event and lets the sequencer see the time pass.

It carries the times that it was sent for, and names the users that were found quiet. So one that is read again after a
crash decides the same, whatever the settings are by then and whoever reads it.
"""

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from activity import names
from activity.chunk import Record


class Tick(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The value of a tick, JSON. Seconds are counted back from the record's own time.

    Gaps that have lasted for `gap_timeout` are given up. The states of `quiet` users whose last record is older than
    `quiet_after` are forgotten but for their numbers.
    """

    gap_timeout: float
    quiet_after: float = math.inf
    quiet: tuple[str, ...] = ()


def tick_value(gap_timeout: float, quiet_after: float = math.inf, quiet: Sequence[bytes] = ()) -> bytes:
    """The value of a tick; times in seconds."""
    return msgspec.json.encode(Tick(gap_timeout, quiet_after, tuple(user.decode() for user in quiet)))


def tick_of(record: Record) -> Tick | None:
    """The tick that `record` is; None: it is none, also where its sender has copied a tick's header."""
    if record.key is not None or record.value is None or (names.KIND_HEADER, names.TICK) not in record.headers:
        return None
    try:
        tick = _decoder.decode(record.value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return tick if math.isfinite(tick.gap_timeout) and tick.gap_timeout >= 0 and tick.quiet_after >= 0 else None


_decoder: Final = msgspec.json.Decoder(Tick)
