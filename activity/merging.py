"""A page of a timeline out of two sources, each with an order of its own: the log's events and the dead letters. Pure."""

from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec.structs import replace

from activity.dead import DeskEntry
from activity.events import rfc3339
from activity.timeline import Logged

T = TypeVar("T")


class Place(msgspec.Struct, frozen=True):
    """Where a page ends: its last event's position; when its last letter died, and its id. None: no page had one so far."""

    event: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] | None = None
    letter: tuple[float, str] | None = None


class Stretch(msgspec.Struct, Generic[T], frozen=True):
    """What was read of one source, newest first. `more`: there may be some behind it."""

    entries: Sequence[T]
    more: bool


def merge(
    events: Stretch[Logged], letters: Stretch[DeskEntry], place: Place, limit: int
) -> tuple[list[Logged | DeskEntry], Place | None]:
    """A page of at most `limit`, of what was read from `place` on, and the place from which the next one begins; None: there is
    none. Each source keeps its order, and of their next ones the newer comes first (a letter, if it died as the event came).

    So it only depends on the two sources, and not on where pages end: an event that waited for one before it was
    received earlier than its position says. The page ends where a source has more that was not read.
    """
    page: list[Logged | DeskEntry] = []
    event, letter = 0, 0
    while len(page) < limit:
        next_event = events.entries[event] if event < len(events.entries) else None
        next_letter = letters.entries[letter] if letter < len(letters.entries) else None
        if (next_event is None and events.more) or (next_letter is None and letters.more):
            break
        if next_letter is not None and (next_event is None or rfc3339(next_letter.first_seen) >= next_event.record.received):
            page.append(next_letter)
            letter += 1
            place = replace(place, letter=(next_letter.first_seen, next_letter.id))
        elif next_event is not None:
            page.append(next_event)
            event += 1
            place = replace(place, event=next_event.record.position)
        else:
            return page, None
    is_left = event < len(events.entries) or letter < len(letters.entries) or events.more or letters.more
    return page, place if is_left else None
