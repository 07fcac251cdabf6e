"""`/api/users/{id}/activity`: what a user did, as the log has it."""

from datetime import datetime
from typing import Annotated, Final

import msgspec

from activity.events import Verdict
from console.routes import Call, Endpoint, Limit
from store.interfaces import Log
from store.log import Entry

LARGEST_PAGE: Final = 4 * 1024 * 1024
"""Bytes of events after which a page ends, whatever its limit."""
_READ: Final = 50
_LATEST: Final = 253_402_300_799.0
"""The last second of the year 9999."""

Position = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1, description="Only positions before this one.")]
Type = Annotated[str, msgspec.Meta(min_length=1, max_length=512, description="Only events of this type.")]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`from` and `to` are about when the event was received: from the first on, before the second."""

    limit: Limit = 50
    type: Type | None = None
    since: Moment | None = msgspec.field(name="from", default=None)
    until: Moment | None = msgspec.field(name="to", default=None)
    as_of: Moment | None = None


class ActivityQuery(Part, frozen=True, forbid_unknown_fields=True):
    """Which part of the log."""

    before: Position | None = None


class Origin(msgspec.Struct, frozen=True):
    """Where the record stands on `activity.log`."""

    partition: int
    offset: int


class ActivityEvent(msgspec.Struct, frozen=True):
    """An event of the log. `event`: the record of `activity.log`; null without the token. `repeats`: where it stood before."""

    position: int
    verdict: Verdict
    type: str
    source: str
    id: str
    sequence: str | None
    time: str | None
    received: str
    repeats: int | None
    kafka: Origin
    event: msgspec.Raw | None


class Activity(msgspec.Struct, frozen=True):
    """A page, newest first. `before` is for the next page; null: there is none. `masked`: payloads are left out for want of the
    token."""

    user: str
    events: list[ActivityEvent]
    before: int | None
    masked: bool


def activity_routes(log: Log) -> list[Endpoint]:
    """The endpoint over a log."""

    async def show(call: Call[ActivityQuery, None]) -> Activity:
        user = call.path["id"]
        entries, before = await read_page(log, user, call.query, call.query.before)
        return Activity(user, [activity_event(entry, shown=call.trusted) for entry in entries], before, not call.trusted)

    summary = "What a user did, newest first; `as_of` shows the log as it was then."
    return [Endpoint("/api/users/{id}/activity", show, summary, Activity, query=ActivityQuery, problems=(503,))]


async def read_page(log: Log, user: str, query: Part, before: int | None) -> tuple[list[Entry], int | None]:
    """A page of at most `LARGEST_PAGE` and one event's bytes, and the position before which the next one begins."""
    found: list[Entry] = []
    size = 0
    since, until, as_of = seconds(query.since), seconds(query.until), seconds(query.as_of)
    while len(found) < query.limit:
        wanted = min(_READ, query.limit - len(found))
        entries = await log.read(user, before=before, limit=wanted, type=query.type, since=since, until=until, as_of=as_of)
        for entry in entries:
            found.append(entry)
            before, size = entry.position, size + len(entry.event)
            if size > LARGEST_PAGE:
                return found, before if before > 1 else None
        if len(entries) < wanted:
            return found, None
    return found, before if before is not None and before > 1 else None


def activity_event(entry: Entry, *, shown: bool) -> ActivityEvent:
    """`shown`: with its payload."""
    return ActivityEvent(
        position=entry.position,
        verdict=entry.verdict,
        type=entry.type,
        source=entry.source,
        id=entry.event_id,
        sequence=entry.sequence,
        time=entry.time,
        received=entry.received,
        repeats=entry.repeats,
        kafka=Origin(entry.kafka_partition, entry.kafka_offset),
        event=msgspec.Raw(entry.event) if shown else None,
    )


def seconds(moment: datetime | None) -> float | None:
    """In Unix seconds, of the years that a clock in UTC can show."""
    return None if moment is None else min(max(moment.timestamp(), 0.0), _LATEST)
