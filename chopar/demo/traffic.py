"""What the demo sends, and what is to become of each record. Values only; `shop` makes them."""

from collections.abc import Sequence
from typing import Literal

import msgspec

Fate = Literal["logged", "late", "duplicate", "dead"]


class Identity(msgspec.Struct, frozen=True):
    """Which event it is."""

    user: str
    source: str
    id: str
    sequence: int | None = None


class Planned(msgspec.Struct, frozen=True):
    """A record for `activity.events` and its fate.

    `reason`: of a dead one. `swapped`: it is sent after its successor, so it is late if the machine stalls in between.
    """

    key: bytes
    value: bytes | None
    fate: Fate
    identity: Identity | None = None
    reason: str = ""
    swapped: bool = False


class Traffic(msgspec.Struct, frozen=True):
    """Everything one run sends. `latecomers` are sent when all gaps of `records` have been given up."""

    run: str
    records: Sequence[Planned]
    latecomers: Sequence[Planned]

    @property
    def all(self) -> list[Planned]:
        """In the order in which they are sent."""
        return [*self.records, *self.latecomers]

    @property
    def good(self) -> list[Planned]:
        """Those that the log is to have, each once."""
        return [record for record in self.all if record.fate in ("logged", "late")]

    @property
    def users(self) -> list[str]:
        """Whose events they are."""
        return sorted({record.key.decode() for record in self.all})


def is_of_run(key: bytes | None, run: str) -> bool:
    """Whether a record belongs to this run: its user does."""
    return key is not None and key.startswith(user_prefix(run).encode())


def user_prefix(run: str) -> str:
    """How the names of a run's users begin."""
    return f"u-{run}-"
