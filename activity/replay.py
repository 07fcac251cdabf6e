"""Reading history again: from where to where, and what is done with a job that it makes. Pure.

A job of an old event may have been sent. The ledger says so of each job that was ever begun; of one that it does not know
there are three explanations, and only one of them forbids to publish it:

    the rule is new, or was mended          its mail was never sent
    the job still waits on RabbitMQ         it is published twice, and the ledger gives it to one mailer
    the store lost what it knew of it       its mail may have been sent

The third is told by the store itself: its log and its ledger are lost together. So where a row is missing of an event
that the archiver has passed, no job that the ledger does not know is published; it is put down as `unknown`, which
stays when the rows are back.
"""

import re
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from activity.jobs import JobState
from activity.settings import duration

EXPECTED = "expected a time like 2026-01-31T09:30:00Z, how long ago like 2h, an offset, or PARTITION:OFFSET"


class Moment(msgspec.Struct, frozen=True):
    """The first record that was written at `seconds` (Unix) or later, in each partition."""

    seconds: float


class Offset(msgspec.Struct, frozen=True):
    """An offset of one partition, or the same one of each."""

    offset: int
    partition: int | None = None


Point: TypeAlias = Moment | Offset


def parse_point(text: str, now: float) -> Point:
    """The point that a person named. Raises ValueError that says what was expected."""
    if match := re.fullmatch(r"(?:(\d{1,9}):)?(\d{1,18})", text, re.ASCII):
        return Offset(int(match[2]), None if match[1] is None else int(match[1]))
    try:
        if text[-1:].isalpha():  # a bare number is an offset, and `Z` no unit
            return Moment(max(0.0, now - duration(text)))
    except ValueError:
        pass
    try:
        when = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        raise ValueError(f"{EXPECTED}, not {text[:40]!r}") from None
    if when.tzinfo is None:
        raise ValueError(f"a time needs its zone, like {text[:40]}Z or {text[:40]}+05:00")
    return Moment(max(0.0, when.timestamp()))


def only_partition(*points: Point | None, user: int | None) -> int | None:
    """The one partition that the points and the user's key leave; None: all of them. Raises ValueError if none is left."""
    named = {point.partition for point in points if isinstance(point, Offset) and point.partition is not None}
    if user is not None:
        named.add(user)
    if len(named) > 1:
        told = " and ".join(map(str, sorted(named)))
        raise ValueError(f"partitions {told} can't both be meant" + ("" if user is None else f"; the user is on {user}"))
    return named.pop() if named else None


class Span(msgspec.Struct, frozen=True):
    """The offsets from `start` to before `stop` of a partition; `missing` more were asked for and are no longer there."""

    partition: int
    start: int
    stop: int
    missing: int = 0

    def __len__(self) -> int:
        return self.stop - self.start


def span(partition: int, begin: int, end: int, since: int, until: int | None) -> Span:
    """What there is between `since` and `until` of a partition that holds `begin` to before `end`."""
    stop = max(begin, end if until is None else min(until, end))
    start = min(max(since, begin), stop)
    return Span(partition, start, stop, missing=max(0, min(begin, end if until is None else until) - since))


class Known(msgspec.Struct, frozen=True):
    """What the ledger knows of a job. Attempt 0: none was ever begun as far as it knows."""

    state: JobState
    attempt: int


Fate = Literal["known", "publish", "hold"]
"""`known`: nothing to do, the ledger has it. `publish` it. `hold`: its mail may have been sent, a person decides."""


def fate(known: Known | None, *, store_lost: bool, send_unknown: bool) -> Fate:
    """What a replay does with a job. `store_lost`: rows are missing in the range. `send_unknown`: a person wants it sent."""
    if known is None:
        return "hold" if store_lost and not send_unknown else "publish"
    held = known == Known("unknown", 0)
    return "publish" if held and send_unknown else "known"


class Move(msgspec.Struct, frozen=True):
    """A group's next offset of a partition, from `position` to `target`."""

    partition: int
    position: int
    target: int

    @property
    def again(self) -> int:
        """How many records are read again."""
        return max(0, self.position - self.target)

    @property
    def skipped(self) -> int:
        """How many records would never be read."""
        return max(0, self.target - self.position)


def move(partition: int, begin: int, end: int, position: int | None, since: int) -> Move:
    """Where a group that stands at `position` (None: nowhere, so it begins at the first record) is set by `since`."""
    return Move(partition, min(max(begin, position or 0), end), min(max(begin, since), end))
