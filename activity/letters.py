"""Dead letters as a user's timeline tells them. Pure."""

from typing import Final

import msgspec

from activity import names
from activity.dead import ActionRow, DeskEntry, LetterState, What
from activity.events import rfc3339


class ActionStory(msgspec.Struct, frozen=True):
    """What somebody did with a letter."""

    what: What
    by: str
    at: str
    note: str


class LetterStory(msgspec.Struct, frozen=True, tag_field="kind", tag="letter"):
    """A dead letter at the desk, and what was done with it, oldest first. `says`: what it is and how it stands, in a sentence.

    `origin`: the topic or queue that it was refused from, `partition` and `offset` where on a topic. `job`: which job it is;
    null: it is none. `died`: when.
    """

    id: str
    state: LetterState
    says: str
    reason: str
    problem: str
    origin: str
    partition: int | None
    offset: int | None
    job: str | None
    died: str
    actions: list[ActionStory]


def letter_story(entry: DeskEntry) -> LetterStory:
    """The story of a letter."""
    return LetterStory(
        id=entry.id,
        state=entry.state,
        says=f"{_what(entry)}; {_stands(entry)}",
        reason=entry.reason,
        problem=entry.problem,
        origin=entry.origin,
        partition=entry.partition,
        offset=entry.offset,
        job=entry.job or None,
        died=rfc3339(entry.first_seen),
        actions=[action_story(action) for action in entry.actions],
    )


def action_story(action: ActionRow) -> ActionStory:
    """The story of an action."""
    return ActionStory(action.what, action.by, rfc3339(action.at), action.note)


_QUEUES: Final = (names.TRANSACTIONAL_QUEUE, names.BULK_QUEUE)


def _what(entry: DeskEntry) -> str:
    if entry.origin == names.EVENTS:
        return "an event was refused and is not in the log"
    if entry.origin == names.LOG:
        return "a record of the log could not be passed on"
    if entry.origin in _QUEUES:
        return "a mail was given up"
    return "it does not say where it was refused"


def _stands(entry: DeskEntry) -> str:
    if entry.state == "open":
        return "it waits at the desk for a person"
    by = next((action.by for action in reversed(entry.actions) if action.what == entry.state), "somebody")
    return f"{entry.state} by {by}"
