"""The accounts: read = logged + late + duplicate + dead + waiting, by partition, and the records that do not add up.

Pure, and independent of what the sequencer counts. `activity.evidence` turns records into facts; `activity.verdicts` is fed with
all facts of one event at a time, `activity.positions` with all positions of one user: nothing else has to be held in memory.
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

Kind = Literal["lost", "unfounded", "altered", "twice", "hole", "position", "not-stored", "not-on-log", "foreign"]


class Difference(msgspec.Struct, frozen=True):
    """A record that does not add up: where it stands, and what is wrong with it."""

    kind: Kind
    topic: str
    partition: int
    offset: int
    problem: str


class Span(msgspec.Struct, frozen=True):
    """What stands of a partition: from offset `begin` to before `end`.

    `first`: when the first record came, in Unix milliseconds; if there is none any more, the newest time that retention reaches.
    """

    begin: int
    end: int
    first: int = 0

    def deleted(self, time: int) -> bool:
        """Whether retention may have deleted what was written at `time` or later: it can't be looked for then."""
        return self.begin > 0 and time <= self.first


class Limits(msgspec.Struct, frozen=True):
    """How far each partition goes. `read` and `archived`: the offsets that sequencer and archiver have committed.

    `quiet_after`: milliseconds after which the sequencer may have forgotten what a user sent.
    `newest`: the end of the log after the store was read. What the store has from between the two ends is newer than this look.
    """

    events: Sequence[Span]
    log: Sequence[Span]
    dead: Sequence[Span]
    read: Sequence[int]
    archived: Sequence[int]
    newest: Sequence[int]
    quiet_after: float


class Sums(msgspec.Struct):
    """The sums of one partition. `records`: on `activity.events`, of which `unread` are not read yet.

    `moved` ones count where they were moved to. `unchecked`: what became of it may be among what retention has deleted.
    `log`: records of `activity.log`, of which `repeated` repeat another. `stored`: rows of the store that stand on the log too.
    `unstored` are not archived yet, `refused` on `activity.dead` because the store can't hold them.
    """

    records: int = 0
    ticks: int = 0
    moved: int = 0
    unread: int = 0
    logged: int = 0
    late: int = 0
    duplicate: int = 0
    dead: int = 0
    waiting: int = 0
    lost: int = 0
    unchecked: int = 0
    log: int = 0
    repeated: int = 0
    stored: int = 0
    unstored: int = 0
    refused: int = 0

    @property
    def read(self) -> int:
        """The records that had to end somewhere."""
        return self.records - self.ticks - self.moved - self.unread

    @property
    def ended(self) -> int:
        """Those that did: it is what was read, but for what is lost or can't be checked."""
        return self.logged + self.late + self.duplicate + self.dead + self.waiting

    def add(self, other: "Sums") -> None:
        """Add another partition's."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


AUDIT_SWITCH: Final = "audit"
"""The switch in the store under which the last verdict stands."""


class Verdict(msgspec.Struct, frozen=True):
    """What an audit found at `at` (Unix seconds): of how many records, and how many of them differ."""

    at: float
    ok: bool
    read: int
    differences: int
