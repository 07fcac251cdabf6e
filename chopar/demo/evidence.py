"""What really came of a run. Values only; `gather` finds them."""

from collections.abc import Mapping, Sequence

import msgspec

from activity.ledger import JobRow
from chopar.demo.traffic import Identity


class Row(msgspec.Struct, frozen=True):
    """An event where it is logged."""

    identity: Identity
    position: int
    verdict: str


class DeadRecord(msgspec.Struct, frozen=True):
    """A record of `activity.dead`: what it was, and why."""

    key: bytes | None
    value: bytes | None
    reason: str


class Evidence(msgspec.Struct, kw_only=True):
    """All that was found of one run.

    `read`: records on `activity.events`. `log`: on `activity.log`, `stored`: in the store. `duplicates` and `waiting` are
    what the sequencer's own states count. `mails`: how many messages are in the inbox, by job.
    """

    read: int
    log: Sequence[Row]
    stored: Sequence[Row]
    dead: Sequence[DeadRecord]
    unfit: Sequence[DeadRecord]
    duplicates: int
    waiting: int
    jobs: Mapping[str, JobRow]
    mails: Mapping[str, int]
